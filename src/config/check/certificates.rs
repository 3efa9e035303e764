//! `[tls]`: certificates that can be read, fit their keys, and do not contend for a name.

use std::collections::BTreeMap;
use std::path::Path;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Folder;
use crate::config::place::Place;
use crate::config::read::Reader;
use crate::config::{Certificate, Server, Store, Tls, file};

pub(super) fn tls(reader: &mut Reader, file: &file::Tls, server: &Server, store: &Store, folder: &Folder<'_>) -> Tls {
    let written = file.self_signed.as_ref();
    let self_signed = written.map_or(file.certificates.is_empty(), |written| written.value);
    if server.https.is_some() && !self_signed && file.certificates.is_empty() {
        reader.mistake(
            &file.at,
            "`https` needs a certificate; write `self_signed = true`, or `certificates = [{ cert_file = \"…\", key_file = \"…\" }]`",
        );
    }
    if let Some(written) = written.filter(|written| written.value && !file.certificates.is_empty()) {
        reader.mistake(&written.place, "stands beside `certificates`; keep one of the two");
    }
    let beside = store.secret_file.parent().unwrap_or_else(|| Path::new(""));
    Tls {
        self_signed,
        self_signed_dir: beside.to_owned(),
        certificates: certificates(reader, &file.certificates, folder),
        hsts: file.hsts.value.0,
    }
}

fn certificates(reader: &mut Reader, files: &[file::Certificate], folder: &Folder<'_>) -> Vec<Certificate> {
    let mut taken = BTreeMap::new();
    let mut certificates = Vec::new();
    for file in files {
        let (Some(cert), Some(key)) = (&file.cert_file, &file.key_file) else {
            continue;
        };
        let (cert_file, key_file) = (folder.file(&cert.value), folder.file(&key.value));
        match (chain(&cert_file), private_key(&key_file)) {
            (Ok(chain), Ok(private)) => pair(reader, &cert.place, &key.place, chain, private, &mut taken),
            (chain, private) => {
                chain
                    .err()
                    .into_iter()
                    .for_each(|wrong| reader.mistake(&cert.place, wrong));
                private
                    .err()
                    .into_iter()
                    .for_each(|wrong| reader.mistake(&key.place, wrong));
            }
        }
        certificates.push(Certificate { cert_file, key_file });
    }
    certificates
}

type Chain = Vec<CertificateDer<'static>>;

fn pair(
    reader: &mut Reader,
    cert: &Place,
    key: &Place,
    chain: Chain,
    private: PrivateKeyDer<'static>,
    taken: &mut BTreeMap<String, Option<usize>>,
) {
    match chain
        .first()
        .ok_or_else(|| "holds no certificate".to_owned())
        .and_then(names)
    {
        Ok(names) => {
            for name in names {
                if let Some(line) = taken.insert(name.clone(), cert.line) {
                    let first = line.map_or_else(String::new, |line| format!(" on line {line}"));
                    reader.mistake(
                        cert,
                        format!("is for `{name}`, and so is the certificate{first}; a name has one"),
                    );
                }
            }
        }
        Err(wrong) => reader.mistake(cert, wrong),
    }
    match any_supported_type(&private) {
        Ok(signer) => {
            let mismatch = CertifiedKey::new(chain, signer).keys_match();
            if mismatch == Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) {
                reader.mistake(key, "is not the key of the certificate beside it");
            }
        }
        Err(_) => reader.mistake(
            key,
            "holds a key of a kind that is not supported; use RSA, P-256, P-384 or Ed25519",
        ),
    }
}

fn chain(path: &Path) -> Result<Chain, String> {
    let certificates: Result<Chain, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    match certificates {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(format!("{} holds no certificate in PEM", path.display())),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let key = PrivateKeyDer::from_pem_slice(&read(path)?);
    key.map_err(|_| format!("{} holds no private key in PEM", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

/// The hosts a certificate is for: its subjectAltName (RFC 9525 §6.3 does not look at the subject).
fn names(certificate: &CertificateDer<'_>) -> Result<Vec<String>, String> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| "is not an X.509 certificate".to_owned())?;
    let alternatives = parsed.subject_alternative_name().ok().flatten();
    let alternatives = alternatives
        .map(|extension| extension.value.general_names.as_slice())
        .unwrap_or_default();
    let mut names: Vec<String> = alternatives
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(host) => Some(host.to_ascii_lowercase()),
            GeneralName::IPAddress(octets) => Some(format!("IP {octets:?}")),
            _ => None,
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Err("names no host (it has no subjectAltName), so no client would accept it".to_owned());
    }
    Ok(names)
}
