//! TLS: one configuration for all workers, so that a ticket given out by one is good at every other.
//!
//! Two TLS 1.3 tickets are sent (with none, some clients stall before their first request), sealed with a key that rustls turns over by itself. There is
//! no early data: it can be replayed (RFC 8446 §8). Certificates are looked up at each handshake in a table that is swapped whole.

pub mod certificates;
pub mod self_signed;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite};
use rustls::{ServerConfig, SupportedCipherSuite, version};

use certificates::Certificates;

/// ALPN names in the order we like them (RFC 7301; RFC 9113 §3.2).
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{action} {file}: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// Which file.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A pair is of no use.
    #[error("{file}: {reason}")]
    Pair {
        /// The certificate's file.
        file: String,
        /// Why, and what to do.
        reason: String,
    },
    /// Neither a certificate nor `self_signed`.
    #[error("no certificate: set tls.certificates, or tls.self_signed = true")]
    None,
    /// The library refused.
    #[error(transparent)]
    Library(#[from] rustls::Error),
    /// A self-signed certificate could not be made.
    #[error("cannot make a self-signed certificate: {0}")]
    Making(#[from] rcgen::Error),
}

/// The listener's configuration over a table of certificates.
///
/// # Errors
/// When the cryptographic library refuses.
pub fn listener(certificates: Arc<Certificates>) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = CryptoProvider {
        cipher_suites: suites(),
        ..aws_lc_rs::default_provider()
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.ignore_client_order = true;
    config.alpn_protocols = ALPN.iter().map(|name| name.to_vec()).collect();
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.send_tls13_tickets = 2;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// All cipher suites of the library, in the order in which we like them. OpenSSL's clients ask for AES-256 with SHA-384 first, and the hash is 40 % of the
/// instructions of a TLS 1.3 handshake (callgrind): most processors have instructions for SHA-256 and none for SHA-384. AES-128 is as safe here (RFC 9325 §4.2).
fn suites() -> Vec<SupportedCipherSuite> {
    vec![
        cipher_suite::TLS13_AES_128_GCM_SHA256,
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_suite_of_the_library_is_left_out() {
        let all = |suites: &[SupportedCipherSuite]| -> BTreeSet<u16> {
            suites.iter().map(|suite| suite.suite().into()).collect()
        };
        assert_eq!(all(&suites()), all(&aws_lc_rs::default_provider().cipher_suites));
    }
}
