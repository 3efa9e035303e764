//! Upstreams: servers that do the same job, and what is needed to speak to them.
//!
//! Everything here is made at load and shared by all workers; the connections are each worker's own, in `pool`. Servers over TLS are verified against the
//! system's roots, or against `ca_file` alone.

mod connection;
mod pool;

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderValue, Uri};
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::ProxyConfigError;
use crate::config;
use crate::wire::trust::Trust;
pub use connection::{Connection, SendError};
pub use pool::{Acquired, ConnectError, Pools};

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

impl Upstream {
    /// Makes an upstream ready: its certificates are read here.
    pub fn new(name: &str, settings: &config::Upstream) -> Result<Self, ProxyConfigError> {
        let https = settings
            .servers
            .iter()
            .any(|server| server.scheme_str() == Some("https"));
        let read = || Trust::read(settings.ca_file.as_deref(), "https upstreams");
        let trust = https.then(read).transpose();
        let trust = trust.map_err(|error| ProxyConfigError(error.to_string()))?;
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

/// A poisoned lock guards nothing that a panic could have left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
