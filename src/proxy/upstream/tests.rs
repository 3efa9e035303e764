//! Which server is asked, and whether it is who it should be.

use std::path::Path;

use rcgen::{CertificateParams, CertifiedKey, Issuer, KeyPair, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::pool::FIRST_PENALTY;
use super::*;
use crate::telemetry::Metrics;

fn upstream(servers: &[&str], ca_file: Option<&Path>) -> Result<Upstream, ProxyConfigError> {
    let settings = config::Upstream {
        servers: servers.iter().map(|server| server.parse().unwrap()).collect(),
        connect_timeout: Duration::from_secs(5),
        response_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(5),
        ca_file: ca_file.map(Path::to_owned),
    };
    Upstream::new("app", &settings)
}

/// The authority of the server that a fresh connection leads to.
async fn reached(pools: &Pools, upstream: &Upstream) -> Result<String, ConnectError> {
    let acquired = pools.acquire(upstream, true, &Metrics::new()).await?;
    Ok(acquired.server.key.authority.clone())
}

/// A server that takes connections and says nothing.
async fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// An address where nobody listens.
async fn nobody() -> String {
    silent().await.1
}

#[tokio::test]
async fn servers_are_taken_in_turn() {
    let (one, two) = (silent().await, silent().await);
    let upstream = upstream(&[&one.1, &two.1], None).unwrap();
    let pools = Pools::default();
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(format!("http://{}", reached(&pools, &upstream).await.unwrap()));
    }
    assert_eq!(seen, [&*one.1, &two.1, &one.1, &two.1]);
}

#[tokio::test]
async fn a_server_that_failed_is_passed_over_for_a_while() {
    let (dead, alive) = (nobody().await, silent().await);
    let upstream = upstream(&[&dead, &alive.1], None).unwrap();
    let pools = Pools::default();
    for _ in 0..4 {
        assert_eq!(format!("http://{}", reached(&pools, &upstream).await.unwrap()), alive.1);
    }
    let pool = pools.pool(&upstream.servers[0]);
    assert_eq!(
        lock(&pool.state).penalty.unwrap().length,
        FIRST_PENALTY,
        "asked again too soon"
    );
}

#[tokio::test]
async fn never_all_are_passed_over() {
    let dead = nobody().await;
    let upstream = upstream(&[&dead], None).unwrap();
    let pools = Pools::default();
    assert!(reached(&pools, &upstream).await.is_err());
    let _late = TcpListener::bind(dead.strip_prefix("http://").unwrap()).await.unwrap();
    assert!(reached(&pools, &upstream).await.is_ok());
    assert!(lock(&pools.pool(&upstream.servers[0]).state).penalty.is_none());
}

#[tokio::test]
async fn a_pool_outlives_a_reload_that_leaves_its_server_alone() {
    let (_listener, url) = silent().await;
    let pools = Pools::default();
    let before = pools.pool(&upstream(&[&url], None).unwrap().servers[0]);
    let after = pools.pool(&upstream(&[&url], None).unwrap().servers[0]);
    assert!(Arc::ptr_eq(&before, &after));
    let other = url.replace("127.0.0.1", "localhost");
    let other = pools.pool(&upstream(&[&other], None).unwrap().servers[0]);
    assert!(!Arc::ptr_eq(&before, &other));
}

/// An authority of one's own and a server for `localhost` that it vouches for.
struct Vouched {
    dir: TempDir,
    url: String,
}

impl Vouched {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["authority".to_owned()]).unwrap();
        std::fs::write(dir.path().join("ca.pem"), cert.pem()).unwrap();
        let authority = Issuer::new(CertificateParams::new(["authority".to_owned()]).unwrap(), signing_key);
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &authority).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(serve(listener, leaf.der().clone(), key));
        Self {
            dir,
            url: format!("https://localhost:{port}"),
        }
    }
}

async fn serve(listener: TcpListener, leaf: CertificateDer<'static>, key: KeyPair) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let mut held = Vec::new();
    while let Ok((stream, _)) = listener.accept().await {
        held.push(acceptor.accept(stream).await);
    }
}

#[tokio::test]
async fn an_https_server_is_believed_when_the_right_authority_vouches_for_its_name() {
    let (ours, theirs) = (Vouched::new().await, Vouched::new().await);
    let ca = ours.dir.path().join("ca.pem");
    let pools = Pools::default();
    let good = upstream(&[&ours.url], Some(&ca)).unwrap();
    assert!(reached(&pools, &good).await.is_ok());
    let unvouched = upstream(&[&theirs.url], Some(&ca)).unwrap();
    assert!(matches!(
        reached(&pools, &unvouched).await,
        Err(ConnectError::Refused(_))
    ));
    let by_address = ours.url.replace("localhost", "127.0.0.1");
    let misnamed = upstream(&[&by_address], Some(&ca)).unwrap();
    assert!(matches!(
        reached(&pools, &misnamed).await,
        Err(ConnectError::Refused(_))
    ));
}

#[test]
fn a_ca_file_that_cannot_be_read_or_is_empty_is_a_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    assert!(upstream(&["https://localhost"], Some(&file)).is_err());
    std::fs::write(&file, "nothing").unwrap();
    assert!(upstream(&["https://localhost"], Some(&file)).is_err());
    assert!(
        upstream(&["http://localhost"], Some(&file)).is_ok(),
        "not needed for http"
    );
}
