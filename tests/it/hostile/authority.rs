//! Whose request is it? One authority, and nobody may name another in a second place.

use super::{arrived, canary, status};
use crate::world::{Upstream, World};

/// Request lines and fields that name no authority, more than one, or one that is none.
pub(super) fn unclear(host: &str) -> Vec<(String, String)> {
    let cases = [
        ("GET /public", "X: no host".to_owned()),
        ("GET /public", "Host:".to_owned()),
        ("GET /public", format!("Host: {host}\r\nHost: {host}")),
        ("GET /public", format!("Host: {host}\r\nHost: evil.example")),
        ("GET /public", format!("Host: {host}, evil.example")),
        ("GET /public", format!("Host: evil@{host}")),
        ("GET /public", format!("Host: {host}/x")),
        ("GET /public", format!("Host: {host}?x")),
        ("GET /public", format!("Host: {host}#x")),
        ("GET /public", format!("Host: {host} evil.example")),
        ("GET /public", "Host: localhost:".to_owned()),
        ("GET /public", "Host: localhost:99999".to_owned()),
        ("GET /public", "Host: localhost:80:80".to_owned()),
        ("GET /public", "Host: local%68ost".to_owned()),
        ("GET /public", "Host: localhost..".to_owned()),
        ("GET /public", "Host: .localhost".to_owned()),
        ("GET /public", "Host: [::1".to_owned()),
        ("GET /public", "Host: [::1%25lo]".to_owned()),
        ("GET /public", "Host: l\u{f6}calhost".to_owned()),
        (
            "GET /public",
            format!("Ho.st: evil.example\r\nHost: {host}\r\nHost : {host}"),
        ),
        ("GET https://evil.example/public", format!("Host: {host}")),
        ("GET /public", "Host: evil.example".to_owned()),
        ("GET https://evil.example/public", "Host: evil.example".to_owned()),
        ("GET https://u:p@{host}/public", format!("Host: {host}")),
        ("GET ftp://{host}/public", format!("Host: {host}")),
        ("GET //{host}/public", format!("Host: {host}")),
        ("GET public", format!("Host: {host}")),
        ("GET {host}", format!("Host: {host}")),
        ("OPTIONS *", format!("Host: {host}")),
        ("CONNECT {host}", format!("Host: {host}")),
        ("TRACE /public", format!("Host: {host}")),
    ];
    cases
        .map(|(line, fields)| (line.replace("{host}", host), fields))
        .into()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_none_or_more_than_one_is_refused() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let host = world.authority();
    for (line, fields) in unclear(&host) {
        let seen = status(&world, &format!("{line} HTTP/1.1\r\n{fields}\r\n\r\n"));
        assert!(matches!(seen, 400 | 421), "{line} | {fields}: {seen:?}");
    }
    assert!(arrived(&upstream).is_empty(), "{:?}", arrived(&upstream));
    canary(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_spelling_of_a_host_finds_the_routes_of_that_host() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.route("guarded", "host = \"localhost\"\npath = \"/public/guarded\"");
        config.route("below", "host = \"*.example.com\"\npath = \"/public/guarded\"");
    });
    for host in [
        "localhost",
        "LOCALHOST",
        "LocalHost:1",
        "localhost.",
        "localhost.:443",
        &world.authority(),
    ] {
        let head = format!("GET /public/guarded HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(status(&world, &head), 401, "{host}");
        let head = format!("GET https://{host}/public/guarded HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(status(&world, &head), 401, "{host}");
        let head = format!("GET http://{host}/public/guarded HTTP/1.1\r\n\r\n");
        assert_ne!(status(&world, &head), 200, "{host}");
    }
    assert_eq!(upstream.count(), 0);
}

/// What a stranger says of host, path, method and themselves where it must not count.
pub(super) const HEARSAY: &[&str] = &[
    "X-Forwarded-Host: open.example",
    "X-Host: open.example",
    "X-Original-Host: open.example",
    "Forwarded: host=open.example",
    "X-HTTP-Host-Override: open.example",
    "X-Original-URL: /auth/login",
    "X-Rewrite-URL: /auth/login",
    "X-Envoy-Original-Path: /auth/login",
    "X-Forwarded-Prefix: /auth",
    "X-Forwarded-Uri: /auth/login",
    "X-Forwarded-Method: OPTIONS",
    "X-HTTP-Method-Override: OPTIONS",
    "X-Forwarded-Proto: http",
    "User-Agent: ELB-HealthChecker/2.0",
    "User-Agent: GoogleHC/1.0",
    "X-Forwarded-For: 127.0.0.1",
    "X-Real-IP: 127.0.0.1",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stranger_says_of_the_host_elsewhere_decides_nothing() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.route("guarded", "host = \"localhost\"\npath = \"/public\"");
        config.route("open", "host = \"open.example\"\npath = \"/public\"\nauth = \"public\"");
    });
    for line in HEARSAY {
        let head = format!("GET /public HTTP/1.1\r\nHost: {}\r\n{line}\r\n\r\n", world.authority());
        assert_eq!(status(&world, &head), 401, "{line}");
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_octets_hide_a_client_behind_its_own_proxy() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.set("server.trusted_proxies", vec!["127.0.0.1/32"]);
    });
    for left in [b"6.6.6.6".as_slice(), b"\xff", b"\xc3\xa9", b"\xe2\x80\xae6.6.6.6"] {
        let head = format!(
            "GET /public HTTP/1.1\r\nHost: {}\r\nX-Forwarded-For: ",
            world.authority()
        );
        let request = [head.as_bytes(), left, b", 203.0.113.9\r\n\r\n"].concat();
        let mut wire = world.tls();
        wire.send(&request).expect("bytes can be sent");
        assert_eq!(wire.answer("GET").expect("an answer").status, 200, "{left:?}");
        let told = upstream.last().value("x-forwarded-for");
        assert!(told.ends_with(", 203.0.113.9, 127.0.0.1"), "{left:?}: {told}");
    }
}
