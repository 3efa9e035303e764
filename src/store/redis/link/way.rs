//! How a connection is made: to one server, to whichever the sentinels call master, or to a cluster; and what is then spoken over.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo, Pipeline,
    RedisConnectionInfo, RedisFuture, RedisResult, TlsCertificates, TlsMode, Value, cmd,
};
use tokio::sync::Mutex;

use super::Ask;
use crate::config;
use crate::config::servers::{self, RedisForm, SentinelLogin, ServerAddress, ServerTls};

/// A connection; a clone is the same one.
#[derive(Clone)]
pub(super) enum Line {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Line {
    pub(super) async fn ask<T: FromRedisValue>(&mut self, ask: Ask<'_>) -> RedisResult<T> {
        match ask {
            Ask::Command(command) => command.query_async(self).await,
            Ask::Script(script, _) => script.invoke_async(self).await,
        }
    }

    /// Asks the node that holds a slot.
    pub(super) async fn ask_node<T: FromRedisValue>(&mut self, slot: u16, command: &Cmd) -> RedisResult<T> {
        let Self::Cluster(line) = self else {
            return command.query_async(self).await;
        };
        let node = SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
        let answer = line
            .route_command(command.clone(), RoutingInfo::SingleNode(node))
            .await?;
        Ok(redis::from_redis_value(answer)?)
    }

    /// What nodes a cluster has, and which slots each.
    pub(super) async fn ask_for_slots(&mut self) -> RedisResult<Vec<Vec<Value>>> {
        cmd("CLUSTER").arg("SLOTS").query_async(self).await
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
pub(super) enum Way {
    Single(Box<Client>),
    Sentinel(Box<Mutex<SentinelClient>>),
    Cluster(Box<ClusterClient>),
}

impl Way {
    pub(super) fn to(server: &servers::Redis, settings: &config::Store) -> RedisResult<Self> {
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
                login,
            } => {
                let named = builder(server, sentinels, service, login)?;
                let client = sentinel(server, named, *database, certificates)?;
                Ok(Self::Sentinel(Box::new(Mutex::new(client))))
            }
            RedisForm::Cluster { nodes } => {
                let client = cluster(server, nodes, certificates, settings)?;
                Ok(Self::Cluster(Box::new(client)))
            }
        }
    }

    /// Connections that are made one after the other until there is one to use.
    pub(super) fn steps(&self) -> u32 {
        match self {
            Self::Single(_) => 1,
            Self::Sentinel(_) | Self::Cluster(_) => 4,
        }
    }

    pub(super) fn mends_itself(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    pub(super) async fn connect(&self, connect_limit: Duration, answer_limit: Duration) -> RedisResult<Line> {
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

/// Who the sentinels are, and who we are to them.
fn builder(
    server: &servers::Redis,
    sentinels: &[ServerAddress],
    service: &str,
    login: &SentinelLogin,
) -> RedisResult<SentinelClientBuilder> {
    let sentinels = sentinels.iter().map(|at| address(at, server.tls));
    let mut builder = SentinelClientBuilder::new(sentinels, service, SentinelServerType::Master)?;
    if let Some(user) = &login.user {
        builder = builder.set_client_to_sentinel_username(user);
    }
    if let Some(password) = &login.password {
        builder = builder.set_client_to_sentinel_password(password.expose());
    }
    Ok(builder)
}

fn sentinel(
    server: &servers::Redis,
    builder: SentinelClientBuilder,
    database: u32,
    certificates: Option<TlsCertificates>,
) -> RedisResult<SentinelClient> {
    let mut builder = builder
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
