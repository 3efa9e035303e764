//! The certificates in use: which one serves a name, and the watch over their files.
//!
//! Exact names go before wildcards; whoever names no known host gets the first pair of the configuration. A pair whose files have changed is read anew
//! without a restart; when the new one is of no use, that is logged once and the old one goes on serving.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::TlsError;
use crate::config::Certificate;
use crate::server::stamp::Stamp;
use crate::telemetry::Metrics;

/// The table of certificates, shared by all listeners.
#[derive(Debug)]
pub struct Certificates {
    table: ArcSwap<Table>,
    watched: Mutex<Vec<Watched>>,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Watched {
    files: Certificate,
    stamp: (Stamp, Stamp),
    pair: Arc<Pair>,
}

#[derive(Debug)]
struct Pair {
    key: Arc<CertifiedKey>,
    names: Vec<String>,
    /// Seconds since the epoch.
    not_after: i64,
}

#[derive(Debug, Default)]
struct Table {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// `*.example.com` under `example.com`.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
    default: Option<Arc<CertifiedKey>>,
}

impl Certificates {
    /// Reads every pair.
    ///
    /// # Errors
    /// When there is none, or one of them is of no use.
    pub fn load(files: &[Certificate], metrics: Arc<Metrics>) -> Result<Arc<Self>, TlsError> {
        let certificates = Self {
            table: ArcSwap::default(),
            watched: Mutex::default(),
            metrics,
        };
        certificates.replace(files)?;
        Ok(Arc::new(certificates))
    }

    /// Puts other pairs in place of all; for a reload. Nothing changes when one of them is of no use.
    ///
    /// # Errors
    /// As `load`.
    pub fn replace(&self, files: &[Certificate]) -> Result<(), TlsError> {
        let watched = files.iter().map(Watched::read).collect::<Result<Vec<_>, _>>()?;
        if watched.is_empty() {
            return Err(TlsError::None);
        }
        let mut current = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        *current = watched;
        self.publish(&current);
        Ok(())
    }

    /// Looks whether files have changed and reads those anew. Touches the disk.
    pub fn refresh(&self) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = watched.iter_mut().filter_map(Watched::refresh).count();
        if changed > 0 {
            self.publish(&watched);
        }
    }

    fn publish(&self, watched: &[Watched]) {
        self.table.store(Arc::new(Table::of(watched)));
        self.metrics.certs_cleared();
        for watched in watched {
            let fallback = watched.files.cert_file.display().to_string();
            let name = watched.pair.names.first().unwrap_or(&fallback);
            self.metrics.cert_not_after(name, watched.pair.not_after);
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.table.load().find(hello.server_name())
    }
}

impl Table {
    fn of(watched: &[Watched]) -> Self {
        let mut table = Self::default();
        for pair in watched.iter().map(|watched| &watched.pair) {
            table.default.get_or_insert_with(|| Arc::clone(&pair.key));
            for name in &pair.names {
                let (names, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut table.wildcard, parent),
                    None => (&mut table.exact, name.as_str()),
                };
                names.entry(name.to_owned()).or_insert_with(|| Arc::clone(&pair.key));
            }
        }
        table
    }

    fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let name = name.map(str::to_ascii_lowercase).unwrap_or_default();
        // RFC 9525 §6.3: a wildcard stands for exactly the left-most label.
        let parent = name.split_once('.').map_or("", |(_, parent)| parent);
        self.exact
            .get(&name)
            .or_else(|| self.wildcard.get(parent))
            .or(self.default.as_ref())
            .cloned()
    }
}

impl Watched {
    fn read(files: &Certificate) -> Result<Self, TlsError> {
        // Stamped before it is read: a change in between is seen at the next look.
        let stamp = stamps(files);
        Ok(Self {
            files: files.clone(),
            stamp,
            pair: Arc::new(Pair::read(files)?),
        })
    }

    fn refresh(&mut self) -> Option<()> {
        let stamp = stamps(&self.files);
        if stamp == self.stamp {
            return None;
        }
        self.stamp = stamp;
        let file = self.files.cert_file.display();
        match Pair::read(&self.files) {
            Ok(pair) => {
                tracing::info!(tls.file = %file, tls.not_after = pair.not_after, "certificate replaced");
                self.pair = Arc::new(pair);
                Some(())
            }
            Err(error) => {
                tracing::error!(tls.file = %file, error = %error, "the changed certificate is of no use; the old one stays");
                None
            }
        }
    }
}

impl Pair {
    fn read(files: &Certificate) -> Result<Self, TlsError> {
        let refuse = |path: &Path, reason: String| TlsError::Pair {
            file: path.display().to_string(),
            reason,
        };
        let chain = CertificateDer::pem_slice_iter(&contents(&files.cert_file)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| refuse(&files.cert_file, format!("not PEM certificates: {error}")))?;
        let key = PrivateKeyDer::from_pem_slice(&contents(&files.key_file)?)
            .map_err(|error| refuse(&files.key_file, format!("not a PEM private key: {error}")))?;
        let Some(leaf) = chain.first().cloned() else {
            return Err(refuse(&files.cert_file, "holds no certificate".to_owned()));
        };
        let (_, parsed) = X509Certificate::from_der(&leaf)
            .map_err(|error| refuse(&files.cert_file, format!("cannot be parsed: {error}")))?;
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| {
            refuse(
                &files.cert_file,
                format!("does not go with {}: {error}", files.key_file.display()),
            )
        })?;
        Ok(Self {
            key: Arc::new(key),
            names: names(&parsed),
            not_after: parsed.validity().not_after.timestamp(),
        })
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(dns).collect()
}

fn contents(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::File {
        action: "cannot read",
        file: path.display().to_string(),
        source,
    })
}

fn stamps(files: &Certificate) -> (Stamp, Stamp) {
    (Stamp::of(&files.cert_file), Stamp::of(&files.key_file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(dir: &Path, file: &str, names: &[&str]) -> Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let files = Certificate {
            cert_file: dir.join(format!("{file}.crt")),
            key_file: dir.join(format!("{file}.key")),
        };
        std::fs::write(&files.cert_file, made.cert.pem()).expect("written");
        std::fs::write(&files.key_file, made.signing_key.serialize_pem()).expect("written");
        files
    }

    fn served(certificates: &Certificates, name: &str) -> Vec<u8> {
        let key = certificates.table.load().find(Some(name)).expect("a certificate");
        key.end_entity_cert().expect("a leaf").to_vec()
    }

    fn leaf(files: &Certificate) -> Vec<u8> {
        CertificateDer::from_pem_file(&files.cert_file).expect("PEM").to_vec()
    }

    #[test]
    fn an_exact_name_goes_before_a_wildcard_and_the_first_pair_serves_everybody_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = pair(dir.path(), "first", &["default.test"]);
        let wild = pair(dir.path(), "wild", &["*.example.com"]);
        let exact = pair(dir.path(), "exact", &["app.example.com"]);
        let all = [first.clone(), wild.clone(), exact.clone()];
        let certificates = Certificates::load(&all, Arc::new(Metrics::new())).expect("loaded");
        assert_eq!(served(&certificates, "APP.example.com"), leaf(&exact));
        assert_eq!(served(&certificates, "other.example.com"), leaf(&wild));
        assert_eq!(served(&certificates, "a.b.example.com"), leaf(&first));
        assert_eq!(served(&certificates, "example.com"), leaf(&first));
    }

    #[test]
    fn a_changed_pair_is_served_and_a_broken_one_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let files = pair(dir.path(), "a", &["a.test"]);
        let certificates = Certificates::load(std::slice::from_ref(&files), Arc::new(Metrics::new())).expect("loaded");
        let old = served(&certificates, "a.test");
        pair(dir.path(), "a", &["a.test", "b.test"]);
        certificates.refresh();
        let new = served(&certificates, "a.test");
        assert_ne!(old, new);
        std::fs::write(&files.cert_file, "broken").expect("written");
        certificates.refresh();
        assert_eq!(served(&certificates, "a.test"), new);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let a = pair(dir.path(), "a", &["a.test"]);
        let b = pair(dir.path(), "b", &["b.test"]);
        let mixed = Certificate {
            cert_file: a.cert_file,
            key_file: b.key_file,
        };
        assert!(Certificates::load(&[mixed], Arc::new(Metrics::new())).is_err());
    }
}
