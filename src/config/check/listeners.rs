//! `[server]`: who listens where, and how much is borne.

use std::net::SocketAddr;
use std::thread::available_parallelism;

use http::Uri;
use http::uri::Scheme;

use crate::config::address::{Address, Origin};
use crate::config::place::Place;
use crate::config::read::{Reader, Written};
use crate::config::{Limits, Server, file};

const HTTPS: SocketAddr = local(8443);
const HTTP: SocketAddr = local(8080);

const fn local(port: u16) -> SocketAddr {
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port))
}

pub(super) fn server(reader: &mut Reader, file: &file::Server) -> Server {
    let (https, http) = listeners(file);
    if https.is_none() && http.is_none() {
        reader.mistake(
            &file.at,
            "nothing listens; write `https`, or `http` behind another TLS terminator",
        );
    }
    admin_is_private(reader, file);
    somebody_speaks_for_clients(reader, file);
    no_address_twice(reader, file, https, http);
    Server {
        https,
        http,
        admin: file.admin.value.0,
        admin_public: file.admin_public.value,
        public_url: public_url(reader, file.public_url.as_ref(), https, http),
        trusted_proxies: file.trusted_proxies.value.iter().map(|net| net.value).collect(),
        proxy_protocol: file.proxy_protocol.value,
        workers: workers(file.workers.value.0),
        shutdown_delay: file.shutdown_delay.value.0,
        shutdown_grace: file.shutdown_grace.value.0,
        limits: limits(reader, &file.limits),
    }
}

/// With neither key both listeners have their defaults; with one of them written, it listens alone.
fn listeners(file: &file::Server) -> (Option<SocketAddr>, Option<SocketAddr>) {
    let written = |key: &Option<Written<Address>>| key.as_ref().and_then(|key| key.value.0);
    if file.https.is_none() && file.http.is_none() {
        return (Some(HTTPS), Some(HTTP));
    }
    (written(&file.https), written(&file.http))
}

fn admin_is_private(reader: &mut Reader, file: &file::Server) {
    let public = file.admin.value.0.filter(|address| !address.ip().is_loopback());
    if public.is_some() && !file.admin_public.value && !file.admin_public.broken {
        reader.mistake(
            &file.admin.place,
            "others can reach this address; use a loopback address like \"127.0.0.1:9901\", or write `admin_public = true` if that is meant",
        );
    }
}

fn somebody_speaks_for_clients(reader: &mut Reader, file: &file::Server) {
    let nobody = file.trusted_proxies.value.is_empty() && !file.trusted_proxies.broken;
    if file.proxy_protocol.value && nobody {
        reader.mistake(
            &file.proxy_protocol.place,
            "is believed of nobody; write the balancer's address into `trusted_proxies`",
        );
    }
}

fn no_address_twice(reader: &mut Reader, file: &file::Server, https: Option<SocketAddr>, http: Option<SocketAddr>) {
    let place = |key: &Option<Written<Address>>| key.as_ref().map_or_else(|| file.at.clone(), |key| key.place.clone());
    let listeners: [(&str, Option<SocketAddr>, Place); 3] = [
        ("https", https, place(&file.https)),
        ("http", http, place(&file.http)),
        ("admin", file.admin.value.0, file.admin.place.clone()),
    ];
    for (n, (_, address, place)) in listeners.iter().enumerate() {
        let taken = |other: &SocketAddr| Some(*other) == *address && other.port() != 0;
        let first = listeners
            .iter()
            .take(n)
            .find(|(_, other, _)| other.as_ref().is_some_and(taken));
        if let Some((first, ..)) = first {
            reader.mistake(
                place,
                format!("is the same address as `{first}`; each listener needs its own"),
            );
        }
    }
}

fn public_url(
    reader: &mut Reader,
    written: Option<&Written<Origin>>,
    https: Option<SocketAddr>,
    http: Option<SocketAddr>,
) -> Uri {
    let Some(written) = written else {
        return default_url(https, http);
    };
    let url = &written.value.0;
    if https.is_some() && url.scheme() != Some(&Scheme::HTTPS) {
        reader.mistake(&written.place, "must begin with https://, since `https` is served");
    }
    url.clone()
}

fn default_url(https: Option<SocketAddr>, http: Option<SocketAddr>) -> Uri {
    let (scheme, address, usual) = match (https, http) {
        (Some(address), _) => ("https", address, 443),
        (None, Some(address)) => ("http", address, 80),
        (None, None) => ("https", HTTPS, 443),
    };
    let port = address.port();
    let authority = if port == usual || port == 0 {
        "localhost".to_owned()
    } else {
        format!("localhost:{port}")
    };
    let url = Uri::builder().scheme(scheme).authority(authority).path_and_query("/");
    url.build().unwrap_or_default()
}

fn workers(written: u32) -> usize {
    let cores = || available_parallelism().map_or(1, usize::from);
    usize::try_from(written)
        .ok()
        .filter(|workers| *workers > 0)
        .unwrap_or_else(cores)
}

fn limits(reader: &mut Reader, file: &file::ServerLimits) -> Limits {
    let header_size = file.header_size.value.0;
    if !(8 << 10..=1 << 20).contains(&header_size) {
        reader.mistake(&file.header_size.place, "must be from \"8KiB\" to \"1MiB\"");
    }
    Limits {
        handshake_timeout: file.handshake_timeout.value.0,
        header_timeout: file.header_timeout.value.0,
        body_timeout: file.body_timeout.value.0,
        idle_timeout: file.idle_timeout.value.0,
        header_size: usize::try_from(header_size).unwrap_or(1 << 20),
        body_size: file.body_size.value.0,
        connections: usize::try_from(file.connections.value.0).unwrap_or(usize::MAX),
        streams: file.streams.value.0,
    }
}
