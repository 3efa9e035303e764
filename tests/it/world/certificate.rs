//! Trust in a world's own certificate, and in nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// A TLS client that believes the certificates found in a world's `data` folder.
pub fn trusting(dir: &Path) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for file in certificates(&dir.join("data")) {
        for certificate in CertificateDer::pem_file_iter(&file).expect("a certificate file can be read") {
            roots
                .add(certificate.expect("a certificate"))
                .expect("a certificate can be trusted");
        }
    }
    assert!(!roots.is_empty(), "no certificate under {}", dir.display());
    trust(roots)
}

/// A TLS client that believes one certificate.
pub fn trusting_only(certificate: &CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a certificate can be trusted");
    trust(roots)
}

/// A TLS server with a certificate of its own for a name, and that certificate in PEM.
pub fn serving(name: &str) -> (Arc<ServerConfig>, String) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .expect("a key that fits its certificate");
    (Arc::new(config), made.cert.pem())
}

fn trust(roots: RootCertStore) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

fn certificates(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let holds_one =
        |path: &PathBuf| std::fs::read_to_string(path).is_ok_and(|text| text.contains("-----BEGIN CERTIFICATE-----"));
    entries.map(|entry| entry.path()).filter(holds_one).collect()
}
