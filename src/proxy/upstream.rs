//! Upstreams: servers that do the same job, and what is needed to speak to them.
//!
//! Everything here is made at load and shared by all workers; the connections are each worker's own, in `pool`. Servers over TLS are verified against the
//! system's roots, or against `ca_file` alone.

mod connection;
mod pool;

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderValue, Uri};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::ProxyConfigError;
use crate::config;
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

/// A poisoned lock guards nothing that a panic could have left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
