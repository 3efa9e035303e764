//! The way to the server: connections that are made when needed, limits on everything, and a breaker.
//!
//! All calls share one connection, which pipelines them. A connection that broke or went silent is thrown away and the next call makes a new one, which
//! is all that recovery takes; behind Sentinel that also finds a new master. After a failure the server is left alone for a moment, and then one call
//! tries while the others are refused at once: nothing waits for a dead store. In a Cluster each node mends by itself, so a dead node stops only the
//! calls that need it.

use std::sync::{Mutex as BriefLock, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline,
    RedisConnectionInfo, RedisError, RedisFuture, RedisResult, ScriptInvocation, ServerErrorKind, TlsCertificates,
    TlsMode, Value,
};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::config;
use crate::config::servers::{self, RedisForm, ServerAddress, ServerTls};

/// For so long a server that failed is left alone.
const PAUSE: Duration = Duration::from_millis(500);

/// What is asked.
#[derive(Clone, Copy)]
pub(super) enum Ask<'a> {
    Command(&'a Cmd),
    Script(&'a ScriptInvocation<'a>),
}

/// Why there is no answer.
pub(super) enum Fault {
    /// None came in time, or the connection broke: it may have been done.
    Unanswered,
    /// It was not done.
    Refused(RedisError),
    /// It was not even asked, since the server failed a moment ago.
    LeftAlone,
}

/// The way to one server, or to several that act as one.
pub(super) struct Link {
    way: Way,
    connect_limit: Duration,
    answer_limit: Duration,
    state: BriefLock<State>,
    connecting: Mutex<()>,
    watchers: BriefLock<Vec<Watcher>>,
}

#[derive(Default)]
struct State {
    /// The connection in use, and its number.
    line: Option<(u64, Line)>,
    connections: u64,
    quiet_until: Option<Instant>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link(…)")
    }
}

impl Link {
    /// Connects to nothing yet.
    pub(super) fn new(server: &servers::Redis, settings: &config::Store) -> RedisResult<Self> {
        Ok(Self {
            way: Way::to(server, settings)?,
            connect_limit: settings.connect_timeout,
            // Shorter than a whole call, so that silence is noticed as such before the caller is gone.
            answer_limit: settings.timeout.saturating_mul(3) / 4,
            state: BriefLock::default(),
            connecting: Mutex::default(),
            watchers: BriefLock::default(),
        })
    }

    /// How long an answer may take.
    pub(super) fn answer_limit(&self) -> Duration {
        self.answer_limit
    }

    /// Asks, and asks `again` when the connection turns out to be dead.
    pub(super) async fn send<T: FromRedisValue>(&self, ask: Ask<'_>, again: bool) -> Result<T, Fault> {
        let (number, mut line) = self.line().await?;
        match line.ask(ask).await {
            Ok(answer) => Ok(answer),
            Err(error) if again && error.is_connection_dropped() => {
                self.let_go(number, None);
                let (number, mut line) = self.line().await?;
                line.ask(ask).await.map_err(|error| self.fault(number, error))
            }
            Err(error) => Err(self.fault(number, error)),
        }
    }

    /// Asks the node that holds a slot about all its keys.
    pub(super) async fn ask_node<T: FromRedisValue>(&self, slot: u16, command: &Cmd) -> Result<T, Fault> {
        let (number, mut line) = self.line().await?;
        let answer = line.ask_node(slot, command).await;
        answer.map_err(|error| self.fault(number, error))
    }

    /// Whether slots are spread over nodes.
    pub(super) fn is_cluster(&self) -> bool {
        self.way.mends_itself()
    }

    /// A connection for one follower alone, whose waiting would keep everybody behind it in the queue.
    pub(super) async fn watcher(&self, slice: Duration) -> Result<Watcher, Fault> {
        if let Some(watcher) = brief(&self.watchers).pop() {
            return Ok(watcher);
        }
        if self.is_quiet() {
            return Err(Fault::LeftAlone);
        }
        let line = self.connect(slice + self.answer_limit).await?;
        Ok(Watcher { line })
    }

    /// Waits with a question that may take its time. A watcher that failed is not kept.
    pub(super) async fn wait(&self, watcher: &mut Watcher, question: &Cmd) -> Result<(), Fault> {
        let answer: RedisResult<Value> = watcher.line.ask(Ask::Command(question)).await;
        answer.map(|_| ()).map_err(kind_of_fault)
    }

    /// Keeps a watcher for the next follower.
    pub(super) fn keep_watcher(&self, watcher: Watcher) {
        brief(&self.watchers).push(watcher);
    }

    async fn line(&self) -> Result<(u64, Line), Fault> {
        if let Some(line) = self.kept()? {
            return Ok(line);
        }
        let _turn = if brief(&self.state).quiet_until.is_some() {
            self.connecting.try_lock().map_err(|_| Fault::LeftAlone)?
        } else {
            self.connecting.lock().await
        };
        if let Some(line) = self.kept()? {
            return Ok(line);
        }
        let made = self.connect(self.answer_limit).await;
        let mut state = brief(&self.state);
        match made {
            Ok(line) => {
                state.quiet_until = None;
                state.connections += 1;
                let line = (state.connections, line);
                state.line = Some(line.clone());
                Ok(line)
            }
            Err(fault) => {
                state.quiet_until = Some(Instant::now() + PAUSE);
                Err(fault)
            }
        }
    }

    fn kept(&self) -> Result<Option<(u64, Line)>, Fault> {
        let state = brief(&self.state);
        match &state.line {
            Some(line) => Ok(Some(line.clone())),
            None if state.quiet_until.is_some_and(|until| Instant::now() < until) => Err(Fault::LeftAlone),
            None => Ok(None),
        }
    }

    fn is_quiet(&self) -> bool {
        brief(&self.state)
            .quiet_until
            .is_some_and(|until| Instant::now() < until)
    }

    async fn connect(&self, answer_limit: Duration) -> Result<Line, Fault> {
        let limit = self.connect_limit.saturating_mul(self.way.steps());
        let made = timeout(limit, self.way.connect(self.connect_limit, answer_limit)).await;
        match made {
            Ok(line) => line.map_err(Fault::Refused),
            Err(late) => Err(Fault::Refused(std::io::Error::from(late).into())),
        }
    }

    /// What an error says about the connection it came over.
    fn fault(&self, number: u64, error: RedisError) -> Fault {
        let is_dead = match error.kind() {
            _ if self.way.mends_itself() => error.kind() == ErrorKind::ClusterConnectionNotFound,
            // Somebody else became the master.
            ErrorKind::Server(ServerErrorKind::ReadOnly) => true,
            _ => error.is_timeout() || error.is_unrecoverable_error(),
        };
        if is_dead {
            let pause = (!error.is_connection_dropped()).then_some(PAUSE);
            self.let_go(number, pause);
        }
        kind_of_fault(error)
    }

    /// Lets go of a connection, unless another one has taken its place already.
    fn let_go(&self, number: u64, pause: Option<Duration>) {
        let mut state = brief(&self.state);
        if state.line.as_ref().is_some_and(|(current, _)| *current == number) {
            state.line = None;
            state.quiet_until = pause.map(|pause| Instant::now() + pause);
        }
    }
}

fn kind_of_fault(error: RedisError) -> Fault {
    match error.kind() {
        ErrorKind::Io => Fault::Unanswered,
        _ => Fault::Refused(error),
    }
}

fn brief<T>(lock: &BriefLock<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A follower's own connection.
pub(super) struct Watcher {
    line: Line,
}

/// A connection; a clone is the same one.
#[derive(Clone)]
enum Line {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Line {
    async fn ask<T: FromRedisValue>(&mut self, ask: Ask<'_>) -> RedisResult<T> {
        match ask {
            Ask::Command(command) => command.query_async(self).await,
            Ask::Script(script) => script.invoke_async(self).await,
        }
    }

    async fn ask_node<T: FromRedisValue>(&mut self, slot: u16, command: &Cmd) -> RedisResult<T> {
        let Self::Cluster(line) = self else {
            return command.query_async(self).await;
        };
        let node = SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
        let answer = line
            .route_command(command.clone(), RoutingInfo::SingleNode(node))
            .await?;
        Ok(redis::from_redis_value(answer)?)
    }
}

impl ConnectionLike for Line {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(line) => line.req_packed_command(cmd),
            Self::Cluster(line) => line.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(line) => line.req_packed_commands(pipeline, offset, count),
            Self::Cluster(line) => line.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(line) => line.get_db(),
            Self::Cluster(line) => line.get_db(),
        }
    }
}

/// How a connection is made.
enum Way {
    Single(Box<Client>),
    Sentinel(Box<Mutex<SentinelClient>>),
    Cluster(Box<ClusterClient>),
}

impl Way {
    fn to(server: &servers::Redis, settings: &config::Store) -> RedisResult<Self> {
        let certificates = certificates(server)?;
        match &server.form {
            RedisForm::Single { server: at, database } => {
                let client = single(server, at, *database, certificates)?;
                Ok(Self::Single(Box::new(client)))
            }
            RedisForm::Sentinel {
                sentinels,
                service,
                database,
            } => {
                let client = sentinel(server, sentinels, service, *database, certificates)?;
                Ok(Self::Sentinel(Box::new(Mutex::new(client))))
            }
            RedisForm::Cluster { nodes } => {
                let client = cluster(server, nodes, certificates, settings)?;
                Ok(Self::Cluster(Box::new(client)))
            }
        }
    }

    /// Connections that are made one after the other until there is one to use.
    fn steps(&self) -> u32 {
        match self {
            Self::Single(_) => 1,
            Self::Sentinel(_) | Self::Cluster(_) => 4,
        }
    }

    fn mends_itself(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    async fn connect(&self, connect_limit: Duration, answer_limit: Duration) -> RedisResult<Line> {
        let single = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(connect_limit))
            .set_response_timeout(Some(answer_limit));
        match self {
            Self::Single(client) => {
                let made = client.get_multiplexed_async_connection_with_config(&single).await;
                made.map(Line::Single)
            }
            Self::Sentinel(client) => {
                let mut client = client.lock().await;
                let made = client.get_async_connection_with_config(&single).await;
                made.map(Line::Single)
            }
            Self::Cluster(client) => {
                let config = ClusterConfig::new()
                    .set_connection_timeout(connect_limit)
                    .set_response_timeout(answer_limit);
                client.get_async_connection_with_config(config).await.map(Line::Cluster)
            }
        }
    }
}

fn certificates(server: &servers::Redis) -> RedisResult<Option<TlsCertificates>> {
    let read = server.ca_file.as_ref().map(std::fs::read).transpose()?;
    let own = read.filter(|_| server.tls == ServerTls::Verify);
    Ok(own.map(|pem| TlsCertificates {
        client_tls: None,
        root_cert: Some(pem),
    }))
}

fn address(at: &ServerAddress, tls: ServerTls) -> ConnectionAddr {
    match tls {
        ServerTls::Off => ConnectionAddr::Tcp(at.host.clone(), at.port),
        ServerTls::Verify => ConnectionAddr::TcpTls {
            host: at.host.clone(),
            port: at.port,
            insecure: false,
            tls_params: None,
        },
    }
}

fn login(server: &servers::Redis, database: u32) -> RedisConnectionInfo {
    let mut login = RedisConnectionInfo::default().set_db(i64::from(database));
    if let Some(user) = &server.user {
        login = login.set_username(user);
    }
    if let Some(password) = &server.password {
        login = login.set_password(password.expose());
    }
    login
}

fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn single(
    server: &servers::Redis,
    at: &ServerAddress,
    database: u32,
    certificates: Option<TlsCertificates>,
) -> RedisResult<Client> {
    let info = address(at, server.tls)
        .into_connection_info()?
        .set_tcp_settings(tcp())
        .set_redis_settings(login(server, database));
    match certificates {
        Some(certificates) => Client::build_with_tls(info, certificates),
        None => Client::open(info),
    }
}

/// User and password are those of the servers; sentinels are asked without.
fn sentinel(
    server: &servers::Redis,
    sentinels: &[ServerAddress],
    service: &str,
    database: u32,
    certificates: Option<TlsCertificates>,
) -> RedisResult<SentinelClient> {
    let sentinels = sentinels.iter().map(|at| address(at, server.tls));
    let mut builder = SentinelClientBuilder::new(sentinels, service, SentinelServerType::Master)?
        .set_client_to_redis_db(i64::from(database))
        .set_client_to_redis_tcp_settings(tcp())
        .set_client_to_sentinel_tcp_settings(tcp());
    if let Some(user) = &server.user {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = &server.password {
        builder = builder.set_client_to_redis_password(password.expose());
    }
    if server.tls == ServerTls::Verify {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
        builder = builder.set_client_to_sentinel_tls_mode(TlsMode::Secure);
    }
    if let Some(certificates) = certificates {
        builder = builder.set_client_to_redis_certificates(certificates.clone());
        builder = builder.set_client_to_sentinel_certificates(certificates);
    }
    builder.build()
}

fn cluster(
    server: &servers::Redis,
    nodes: &[ServerAddress],
    certificates: Option<TlsCertificates>,
    settings: &config::Store,
) -> RedisResult<ClusterClient> {
    let nodes = nodes.iter().map(|at| address(at, server.tls));
    let mut builder = ClusterClient::builder(nodes)
        .tcp_settings(tcp())
        .connection_timeout(settings.connect_timeout)
        .retries(3)
        .min_retry_wait(10)
        .max_retry_wait(100);
    if let Some(user) = &server.user {
        builder = builder.username(user);
    }
    if let Some(password) = &server.password {
        builder = builder.password(password.expose());
    }
    if server.tls == ServerTls::Verify {
        builder = builder.tls(TlsMode::Secure);
    }
    if let Some(certificates) = certificates {
        builder = builder.certs(certificates);
    }
    builder.build()
}
