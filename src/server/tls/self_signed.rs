//! The self-signed pair: made at first start, kept, and made anew before it ends or when it no longer names `public_url`'s host.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::TlsError;
use crate::config::Certificate;
use crate::model::clock::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// What browsers accept at most for a public certificate, and more than a year.
const LIFE: Duration = Duration::from_secs(397 * DAY.as_secs());
/// So long before its end a pair is made anew.
const RENEW_BEFORE: Duration = Duration::from_secs(30 * DAY.as_secs());

/// The pair in `dir`, made when it is missing, nears its end or lacks a name. `host`: of `public_url`.
///
/// # Errors
/// When the directory cannot be written.
pub fn ensure(dir: &Path, host: &str, now: Timestamp) -> Result<Certificate, TlsError> {
    let files = Certificate {
        cert_file: dir.join("self-signed.crt"),
        key_file: dir.join("self-signed.key"),
    };
    let names = names(host);
    if !(files.key_file.is_file() && is_good(&files.cert_file, &names, now)) {
        make(&files, dir, &names, now)?;
        tracing::info!(tls.file = %files.cert_file.display(), "self-signed certificate made");
    }
    Ok(files)
}

fn names(host: &str) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    if !host.is_empty() && !names.contains(&host) {
        names.push(host);
    }
    names
}

fn is_good(file: &Path, names: &[String], now: Timestamp) -> bool {
    let Ok(der) = CertificateDer::from_pem_file(file) else {
        return false;
    };
    let Ok((_, certificate)) = X509Certificate::from_der(&der) else {
        return false;
    };
    let renew_at = now.plus(RENEW_BEFORE).as_secs();
    let lasts = u64::try_from(certificate.validity().not_after.timestamp()).is_ok_and(|end| end > renew_at);
    lasts && names.iter().all(|name| covers(&certificate, name))
}

fn covers(certificate: &X509Certificate<'_>, wanted: &str) -> bool {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return false;
    };
    let address = wanted.parse::<IpAddr>().ok().map(octets);
    extension.value.general_names.iter().any(|name| match name {
        GeneralName::DNSName(name) => *name == wanted,
        GeneralName::IPAddress(bytes) => address.as_deref() == Some(bytes),
        _ => false,
    })
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn make(files: &Certificate, dir: &Path, names: &[String], now: Timestamp) -> Result<(), TlsError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(names)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "Gateward self-signed");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // A day back, for clients whose clock is behind.
    params.not_before = moment(now.minus(DAY));
    params.not_after = moment(now.plus(LIFE));
    let certificate = params.self_signed(&key)?;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| failed("cannot make", dir, source))?;
    // The key first: whoever finds a certificate finds its key.
    write(&files.key_file, key.serialize_pem().as_bytes(), 0o600)?;
    write(&files.cert_file, certificate.pem().as_bytes(), 0o644)
}

fn moment(at: Timestamp) -> OffsetDateTime {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Written beside and renamed, so that nobody ever reads half a file.
fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), TlsError> {
    let beside = path.with_extension("new");
    let _ = std::fs::remove_file(&beside);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)
        .and_then(|mut file: File| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|source| failed("cannot write", path, source))
}

fn failed(action: &'static str, path: &Path, source: std::io::Error) -> TlsError {
    TlsError::File {
        action,
        file: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn a_pair_is_kept_until_it_nears_its_end() {
        let dir = tempfile::tempdir().expect("a directory");
        let files = ensure(dir.path(), "localhost", NOW).expect("made");
        let read = || std::fs::read(&files.cert_file).expect("read");
        let first = read();
        ensure(dir.path(), "localhost", NOW.plus(300 * DAY)).expect("kept");
        assert_eq!(read(), first);
        ensure(dir.path(), "localhost", NOW.plus(370 * DAY)).expect("made anew");
        assert_ne!(read(), first);
    }

    #[test]
    fn another_public_host_gets_another_pair() {
        let dir = tempfile::tempdir().expect("a directory");
        let files = ensure(dir.path(), "localhost", NOW).expect("made");
        let first = std::fs::read(&files.cert_file).expect("read");
        ensure(dir.path(), "sso.example.com", NOW).expect("made anew");
        assert_ne!(std::fs::read(&files.cert_file).expect("read"), first);
    }

    #[test]
    fn only_the_owner_reads_the_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let files = ensure(&dir.path().join("deep/down"), "[::1]", NOW).expect("made");
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&files.key_file), 0o600);
        assert_eq!(mode(&dir.path().join("deep")), 0o700);
    }
}
