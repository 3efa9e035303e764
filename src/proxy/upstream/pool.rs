//! One worker's connections.
//!
//! A worker's `Pools` belong to its own thread; their locks are there for the type system and are never contended. A pool is known by scheme, authority and
//! vouching certificates, so it outlives a reload that leaves those alone. A connection goes back to its pool only when its answer was read to the end
//! and hyper says that it is idle: request sent whole, nothing left over. Any other end closes it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::connection::Connection;
use super::{Key, Server, Upstream, lock};
use crate::telemetry::Metrics;

/// Connections kept unused for one server, by one worker.
const MAX_IDLE: usize = 256;
/// How long a server that could not be reached is passed over at first, and at most.
pub(super) const FIRST_PENALTY: Duration = Duration::from_secs(5);
const LONGEST_PENALTY: Duration = Duration::from_secs(60);

/// No connection could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody there, or not who it should be.
    #[error("cannot connect: {0}")]
    Refused(#[from] io::Error),
    /// Not in time.
    #[error("cannot connect in time")]
    TimedOut,
    /// hyper would not begin.
    #[error("cannot connect: {0}")]
    Http(#[from] hyper::Error),
}

/// One worker's connection pools; they outlive a reload.
#[derive(Debug, Default)]
pub struct Pools {
    state: Mutex<Workers>,
}

#[derive(Debug, Default)]
struct Workers {
    pools: HashMap<Arc<Key>, Arc<Pool>, RandomState>,
    /// Which server of an upstream is next.
    turns: HashMap<Arc<str>, usize, RandomState>,
}

/// A connection to send one request on.
#[derive(Debug)]
pub struct Acquired<'a> {
    /// The server at its other end.
    pub server: &'a Server,
    /// The connection.
    pub connection: Arc<Connection>,
    /// Whether it has served before, so that the server may be closing it just now.
    pub reused: bool,
}

impl Pools {
    /// A connection to one of the upstream's servers: the next in turn that is not passed over, an idle connection before a new one.
    /// `fresh`: a new one in any case. A server that cannot be reached is passed over for a while, and the next one asked.
    pub async fn acquire<'a>(
        &self,
        upstream: &'a Upstream,
        fresh: bool,
        metrics: &Metrics,
    ) -> Result<Acquired<'a>, ConnectError> {
        let start = self.turn(upstream);
        let mut failed = None;
        for server in in_turn(&upstream.servers, start) {
            let pool = self.pool(server);
            if pool.is_passed_over() {
                continue;
            }
            match pool.acquire(server, upstream, fresh, metrics).await {
                Ok(acquired) => return Ok(acquired),
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        // All of them failed lately: better the one in turn than none.
        match in_turn(&upstream.servers, start).next() {
            Some(server) => self.pool(server).acquire(server, upstream, fresh, metrics).await,
            None => Err(io::Error::from(io::ErrorKind::AddrNotAvailable).into()),
        }
    }

    fn turn(&self, upstream: &Upstream) -> usize {
        if upstream.servers.len() < 2 {
            return 0;
        }
        let mut state = lock(&self.state);
        if let Some(turn) = state.turns.get_mut(&upstream.name) {
            *turn = turn.wrapping_add(1);
            return *turn % upstream.servers.len();
        }
        state.turns.insert(Arc::clone(&upstream.name), 0);
        0
    }

    pub(super) fn pool(&self, server: &Server) -> Arc<Pool> {
        let mut state = lock(&self.state);
        if let Some(pool) = state.pools.get(&server.key) {
            return Arc::clone(pool);
        }
        let pool = Arc::new(Pool::default());
        state.pools.insert(Arc::clone(&server.key), Arc::clone(&pool));
        pool
    }
}

fn in_turn(servers: &[Server], start: usize) -> impl Iterator<Item = &Server> {
    servers.iter().cycle().skip(start).take(servers.len())
}

/// One worker's connections to one server.
#[derive(Debug, Default)]
pub(super) struct Pool {
    pub(super) state: Mutex<PoolState>,
}

#[derive(Debug, Default)]
pub(super) struct PoolState {
    /// Unused connections and until when they are kept, the longest unused in front.
    idle: VecDeque<(Instant, Arc<Connection>)>,
    /// Whether somebody closes those that were unused too long.
    reaped: bool,
    pub(super) penalty: Option<Penalty>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Penalty {
    until: Instant,
    pub(super) length: Duration,
}

impl Pool {
    async fn acquire<'a>(
        self: &Arc<Self>,
        server: &'a Server,
        upstream: &Upstream,
        fresh: bool,
        metrics: &Metrics,
    ) -> Result<Acquired<'a>, ConnectError> {
        if !fresh && let Some(connection) = self.take() {
            return Ok(Acquired {
                server,
                connection,
                reused: true,
            });
        }
        // Boxed, since connecting needs much room (TLS) and happens seldom: a request's future would carry that room about.
        let connection = Box::pin(self.begin(server, upstream)).await?;
        metrics.upstream_connection(&upstream.name);
        Ok(Acquired {
            server,
            connection,
            reused: false,
        })
    }

    /// A new connection; a server that gives none is passed over for a while.
    async fn begin(self: &Arc<Self>, server: &Server, upstream: &Upstream) -> Result<Arc<Connection>, ConnectError> {
        let connecting = self.connect(server, upstream.idle_timeout);
        let made = tokio::time::timeout(upstream.connect_timeout, connecting).await;
        let made = made.unwrap_or(Err(ConnectError::TimedOut));
        match &made {
            Ok(_) => lock(&self.state).penalty = None,
            Err(_) => self.punish(),
        }
        made
    }

    /// The connection used last: the oldest ones get to rest, and to be closed.
    fn take(&self) -> Option<Arc<Connection>> {
        let mut state = lock(&self.state);
        while let Some((until, connection)) = state.idle.pop_back() {
            if connection.is_ready() && Instant::now() < until {
                return Some(connection);
            }
        }
        None
    }

    pub(super) fn put(self: &Arc<Self>, connection: Arc<Connection>) {
        let keep = connection.keep;
        let mut state = lock(&self.state);
        if state.idle.len() >= MAX_IDLE {
            state.idle.pop_front();
        }
        state.idle.push_back((Instant::now() + keep, connection));
        if !state.reaped {
            state.reaped = true;
            tokio::spawn(reap(Arc::downgrade(self), keep));
        }
    }

    /// Closes what was unused too long; returns when to look again.
    fn sweep(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut state = lock(&self.state);
        state
            .idle
            .retain(|(until, connection)| now < *until && connection.is_ready());
        let next = state.idle.iter().map(|(until, _)| *until).min();
        state.reaped = next.is_some();
        next
    }

    fn is_passed_over(&self) -> bool {
        let penalty = lock(&self.state).penalty;
        penalty.is_some_and(|penalty| Instant::now() < penalty.until)
    }

    fn punish(&self) {
        let mut state = lock(&self.state);
        let length = state
            .penalty
            .map_or(FIRST_PENALTY, |before| (before.length * 2).min(LONGEST_PENALTY));
        state.penalty = Some(Penalty {
            until: Instant::now() + length,
            length,
        });
    }

    async fn connect(self: &Arc<Self>, server: &Server, keep: Duration) -> Result<Arc<Connection>, ConnectError> {
        let tcp = TcpStream::connect((server.host.as_str(), server.port)).await?;
        tcp.set_nodelay(true)?;
        match &server.tls {
            None => Ok(Connection::begin(tcp, Arc::downgrade(self), keep).await?),
            Some(tls) => {
                let stream = tls.connector.connect(tls.name.clone(), tcp).await?;
                Ok(Connection::begin(stream, Arc::downgrade(self), keep).await?)
            }
        }
    }
}

/// Closes unused connections of a pool until there are none.
async fn reap(pool: Weak<Pool>, keep: Duration) {
    let mut next = Instant::now() + keep;
    loop {
        tokio::time::sleep_until(next).await;
        let Some(pool) = pool.upgrade() else { return };
        match pool.sweep() {
            Some(moment) => next = moment,
            None => return,
        }
    }
}
