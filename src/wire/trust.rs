//! Who vouches for the servers that we speak to: the system's authorities, or those of one file alone.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

/// There is nobody to vouch for a server; in words for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TrustError(String);

/// Who vouches for servers, ready to speak HTTP/1.1 over TLS to them.
#[derive(Clone)]
pub struct Trust {
    /// Makes connections whose other end has proved its name.
    pub connector: TlsConnector,
    /// The file that was read, if there is one.
    pub ca: Option<Arc<[u8]>>,
}

impl Trust {
    /// Reads the authorities; `whom` names in the plural whom they vouch for.
    ///
    /// # Errors
    /// The file cannot be read, or there is no authority at all.
    pub fn read(ca_file: Option<&Path>, whom: &str) -> Result<Self, TrustError> {
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
            return Err(TrustError(format!(
                "{whose} has no certificates to verify {whom} with; set ca_file"
            )));
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TrustError(error.to_string()))?;
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            ca,
        })
    }
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<Arc<[u8]>, TrustError> {
    let wrong = |why: String| TrustError(format!("ca_file {}: {why}", path.display()));
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(pem.into())
}
