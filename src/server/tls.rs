//! TLS: one configuration for all workers, so that a ticket given out by one is good at every other.
//!
//! Two TLS 1.3 tickets are sent (with none, some clients stall before their first request), sealed with a key that rustls turns over by itself. There is
//! no early data: it can be replayed (RFC 8446 §8). Certificates are looked up at each handshake in a table that is swapped whole.

pub mod certificates;
pub mod self_signed;

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ServerConfig, version};

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
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = ALPN.iter().map(|name| name.to_vec()).collect();
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.send_tls13_tickets = 2;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}
