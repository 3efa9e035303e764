//! `[upstreams.*]`: servers that do the same job, over the same scheme.

use std::collections::BTreeMap;
use std::path::Path;

use http::uri::Scheme;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::Folder;
use super::tokens::twice;
use crate::config::address::Origin;
use crate::config::read::{Reader, Written};
use crate::config::section::Named;
use crate::config::values::name;
use crate::config::{Upstream, file};

pub(super) fn upstreams(
    reader: &mut Reader,
    file: &Named<file::Upstream>,
    folder: &Folder<'_>,
) -> BTreeMap<String, Upstream> {
    let mut upstreams = BTreeMap::new();
    for (label, upstream) in &file.0 {
        if let Err(message) = name(label) {
            reader.mistake(&upstream.at, message);
        }
        upstreams.insert(label.clone(), one(reader, upstream, folder));
    }
    upstreams
}

fn one(reader: &mut Reader, file: &file::Upstream, folder: &Folder<'_>) -> Upstream {
    let servers = file.servers.as_ref();
    if let Some(servers) = servers {
        judge(reader, servers);
    }
    let servers = servers.map(|servers| servers.value.as_slice()).unwrap_or_default();
    let ca_file = file.ca_file.as_ref().map(|written| {
        let path = folder.file(&written.value);
        if let Err(message) = authorities(&path) {
            reader.mistake(&written.place, message);
        }
        if !servers.is_empty() && servers.iter().all(|server| !is_https(server)) {
            reader.mistake(&written.place, "is of no use: none of the servers is https");
        }
        path
    });
    Upstream {
        servers: servers.iter().map(|server| server.value.0.clone()).collect(),
        connect_timeout: file.timeouts.connect.value.0,
        response_timeout: file.timeouts.response.value.0,
        idle_timeout: file.timeouts.idle.value.0,
        ca_file,
    }
}

fn judge(reader: &mut Reader, servers: &Written<Vec<Written<Origin>>>) {
    twice(reader, &servers.value, |server| {
        server.0.to_string().trim_end_matches('/').to_owned()
    });
    let secure = servers.value.iter().filter(|server| is_https(server)).count();
    if servers.value.is_empty() {
        reader.mistake(
            &servers.place,
            "must name at least one server, like [\"http://127.0.0.1:3000\"]",
        );
    } else if secure > 0 && secure < servers.value.len() {
        reader.mistake(
            &servers.place,
            "mixes http and https: every other request would go in the clear; use one of them",
        );
    }
}

fn is_https(server: &Written<Origin>) -> bool {
    server.value.0.scheme() == Some(&Scheme::HTTPS)
}

/// Whether a file holds certificates.
pub(super) fn authorities(path: &Path) -> Result<(), String> {
    let pem = std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(found) if !found.is_empty() => Ok(()),
        _ => Err(format!("{} holds no certificate in PEM", path.display())),
    }
}
