//! Upstreams, and one worker's connections to them.
//!
//! A worker's `Pools` belong to its own thread; their locks are there for the type system and are never contended. A pool is known by scheme, authority and
//! vouching certificates, so it outlives a reload that leaves those alone. A connection goes back to its pool only when its answer was read to the end
//! and hyper says that it is idle: request sent whole, nothing left over. Any other end closes it.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use foldhash::fast::RandomState;
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::SendRequest;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::ProxyConfigError;
use super::trace::{Trace, Traced};
use super::upload::{Progress, Upload};
use crate::config;
use crate::telemetry::Metrics;
use crate::wire::body::Lease;
use crate::wire::patience::Patience;

/// Connections kept unused for one server, by one worker.
const MAX_IDLE: usize = 256;
/// How long a server that could not be reached is passed over at first, and at most.
const FIRST_PENALTY: Duration = Duration::from_secs(5);
const LONGEST_PENALTY: Duration = Duration::from_secs(60);

/// Servers that do the same job.
#[derive(Debug)]
pub struct Upstream {
    /// Its name in the file.
    pub name: Arc<str>,
    /// Time limits.
    pub response_timeout: Duration,
    /// Between two pieces of an answer, and for an unused connection.
    pub idle_timeout: Duration,
    connect_timeout: Duration,
    servers: Vec<Server>,
}

/// One server and how to speak to it.
#[derive(Debug)]
pub struct Server {
    key: Arc<Key>,
    host: String,
    port: u16,
    tls: Option<Tls>,
    /// Its authority, for `Host` where the client's is not kept.
    pub host_header: HeaderValue,
}

/// What makes two servers the same one.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    hash: u64,
    https: bool,
    authority: String,
    ca: Option<Arc<[u8]>>,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

#[derive(Clone)]
struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.name).finish()
    }
}

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

impl Upstream {
    /// Makes an upstream ready: its certificates are read here.
    pub fn new(name: &str, settings: &config::Upstream) -> Result<Self, ProxyConfigError> {
        let https = settings
            .servers
            .iter()
            .any(|server| server.scheme_str() == Some("https"));
        let trust = https.then(|| Trust::read(settings.ca_file.as_deref())).transpose()?;
        let servers = settings.servers.iter().map(|uri| Server::new(uri, trust.as_ref()));
        Ok(Self {
            name: name.into(),
            response_timeout: settings.response_timeout,
            idle_timeout: settings.idle_timeout,
            connect_timeout: settings.connect_timeout,
            servers: servers.collect::<Result<_, _>>()?,
        })
    }
}

/// Who vouches for servers.
struct Trust {
    connector: TlsConnector,
    ca: Option<Arc<[u8]>>,
}

impl Trust {
    fn read(ca_file: Option<&Path>) -> Result<Self, ProxyConfigError> {
        let mut roots = RootCertStore::empty();
        let ca: Option<Arc<[u8]>> = match ca_file {
            Some(path) => Some(add_file(&mut roots, path)?),
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                None
            }
        };
        if roots.is_empty() {
            let whose = ca_file.map_or("the system".into(), |path| path.display().to_string());
            return Err(ProxyConfigError(format!(
                "{whose} has no certificates to verify https upstreams with; set ca_file"
            )));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ProxyConfigError(error.to_string()))?;
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            ca,
        })
    }
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<Arc<[u8]>, ProxyConfigError> {
    let wrong = |why: String| ProxyConfigError(format!("ca_file {}: {why}", path.display()));
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(pem.into())
}

impl Server {
    fn new(uri: &Uri, trust: Option<&Trust>) -> Result<Self, ProxyConfigError> {
        let wrong = || ProxyConfigError(format!("{uri} is not a server; write it like http://127.0.0.1:3000"));
        let authority = uri.authority().ok_or_else(wrong)?;
        let https = uri.scheme_str() == Some("https");
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let tls = match trust.filter(|_| https) {
            Some(trust) => Some(Tls {
                connector: trust.connector.clone(),
                name: ServerName::try_from(host.clone()).map_err(|_| wrong())?,
            }),
            None => None,
        };
        let ca = trust.filter(|_| https).and_then(|trust| trust.ca.clone());
        let mut hasher = DefaultHasher::new();
        (https, authority.as_str(), &ca).hash(&mut hasher);
        Ok(Self {
            key: Arc::new(Key {
                hash: hasher.finish(),
                https,
                authority: authority.to_string(),
                ca,
            }),
            host,
            port: authority.port_u16().unwrap_or(if https { 443 } else { 80 }),
            tls,
            host_header: HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?,
        })
    }
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

    fn pool(&self, server: &Server) -> Arc<Pool> {
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
struct Pool {
    state: Mutex<PoolState>,
}

#[derive(Debug, Default)]
struct PoolState {
    /// Unused connections and until when they are kept, the longest unused in front.
    idle: VecDeque<(Instant, Arc<Connection>)>,
    /// Whether somebody closes those that were unused too long.
    reaped: bool,
    penalty: Option<Penalty>,
}

#[derive(Clone, Copy, Debug)]
struct Penalty {
    until: Instant,
    length: Duration,
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
        let made = tokio::time::timeout(upstream.connect_timeout, self.connect(server, upstream.idle_timeout)).await;
        match made.unwrap_or(Err(ConnectError::TimedOut)) {
            Ok(connection) => {
                lock(&self.state).penalty = None;
                metrics.upstream_connection(&upstream.name);
                Ok(Acquired {
                    server,
                    connection,
                    reused: false,
                })
            }
            Err(error) => {
                self.punish();
                Err(error)
            }
        }
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

    fn put(self: &Arc<Self>, connection: Arc<Connection>) {
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
            None => self.begin(tcp, keep).await,
            Some(tls) => {
                let stream = tls.connector.connect(tls.name.clone(), tcp).await?;
                self.begin(stream, keep).await
            }
        }
    }

    async fn begin<T>(self: &Arc<Self>, io: T, keep: Duration) -> Result<Arc<Connection>, ConnectError>
    where
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let trace = Arc::new(Trace::default());
        let io = hyper_util::rt::TokioIo::new(Traced::new(io, Arc::clone(&trace)));
        let (sender, driver) = hyper::client::conn::http1::handshake(io).await?;
        // A task of its own: polling it within the request's task runs fewer instructions and costs more kernel time.
        let task = tokio::spawn(async move {
            if let Err(error) = driver.with_upgrades().await {
                tracing::debug!(%error, "an upstream connection ended badly");
            }
        });
        Ok(Arc::new(Connection {
            line: Mutex::new(Line {
                sender,
                patience: Some(Patience::new(keep)),
            }),
            trace,
            task: task.abort_handle(),
            pool: Arc::downgrade(self),
            keep,
        }))
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

/// A connection to a server. Dropped, it closes, whatever it was doing.
pub struct Connection {
    line: Mutex<Line>,
    trace: Arc<Trace>,
    task: AbortHandle,
    pool: Weak<Pool>,
    keep: Duration,
}

struct Line {
    sender: SendRequest<Upload>,
    /// The timer that waits for answers; one for all of them. Away while it does.
    patience: Option<Patience>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum SendError {
    /// The time limit passed.
    TimedOut,
    /// The connection failed; perhaps the request came back, unsent or to be sent again.
    Failed(hyper::Error, Option<Box<Request<Upload>>>),
}

impl Connection {
    /// Sends a request and waits for the head of its answer, at most `limit` after the upstream took the last of it. `again`: the request has no body
    /// and may be repeated, so if the connection dies without a word of an answer it is given back.
    pub async fn send(
        &self,
        request: Request<Upload>,
        progress: Option<&Progress>,
        limit: Duration,
        again: bool,
    ) -> Result<Response<Incoming>, SendError> {
        self.trace.begin(again);
        let (answer, patience) = {
            let mut line = lock(&self.line);
            (line.sender.try_send_request(request), line.patience.take())
        };
        let mut patience = patience.unwrap_or(Patience::new(limit));
        patience.restart(limit);
        let mut answer = std::pin::pin!(answer);
        let outcome = poll_fn(|cx| {
            if let Poll::Ready(outcome) = answer.as_mut().poll(cx) {
                return Poll::Ready(Some(outcome));
            }
            if let Some(progress) = progress {
                patience.renew_from(progress.last());
            }
            patience.poll_over(cx).map(|()| None)
        })
        .await;
        lock(&self.line).patience = Some(patience);
        match outcome {
            Some(Ok(response)) => Ok(response),
            Some(Err(error)) => Err(self.failed(error)),
            None => Err(SendError::TimedOut),
        }
    }

    fn failed(&self, mut error: TrySendError<Request<Upload>>) -> SendError {
        let request = error.take_message().or_else(|| self.trace.replay());
        SendError::Failed(error.into_error(), request.map(Box::new))
    }

    fn is_ready(&self) -> bool {
        lock(&self.line).sender.is_ready()
    }
}

impl Lease for Connection {
    fn finished(self: Arc<Self>) {
        if self.is_ready()
            && let Some(pool) = self.pool.upgrade()
        {
            pool.put(self);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A poisoned lock guards nothing that a panic could have left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
