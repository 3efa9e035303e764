//! Every spelling that must be refused, and the ordinary ones that must not.

use http::{HeaderValue, StatusCode, Version};
use proptest::prelude::*;

use super::*;

fn peer(server_name: Option<&str>) -> Peer {
    Peer {
        tls: server_name.is_some(),
        server_name: server_name.map(Into::into),
        ..Peer::new([192, 0, 2, 1].into())
    }
}

fn head(method: &str, target: &str, version: Version, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri(target).version(version);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

#[track_caller]
fn refused(status: u16, method: &str, target: &str, version: Version, headers: &[(&str, &str)]) {
    let found = check(&peer(None), &head(method, target, version, headers));
    assert_eq!(
        found.map_err(|unclean| unclean.status),
        Err(StatusCode::from_u16(status).unwrap()),
        "{method} {target} {headers:?}"
    );
}

#[track_caller]
fn accepted(method: &str, target: &str, version: Version, headers: &[(&str, &str)]) -> String {
    check(&peer(None), &head(method, target, version, headers))
        .unwrap()
        .to_string()
}

const H1: Version = Version::HTTP_11;
const H2: Version = Version::HTTP_2;

#[test]
fn a_request_has_exactly_one_well_formed_host() {
    refused(400, "GET", "/", H1, &[]);
    refused(400, "GET", "/", Version::HTTP_10, &[]);
    refused(400, "GET", "/", H1, &[("host", "a.test"), ("host", "a.test")]);
    for host in [
        "",
        "a.test,b.test",
        "a.test, b.test",
        "user@a.test",
        "a.test/path",
        "a.test?x",
        "a.test#x",
        "a..test",
        ".a.test",
        "a.test:",
        "a.test:x",
        "a.test:65536",
        "a.test:80:80",
        "[::1",
        "::1",
        "[::1%25eth0]",
        "a%2etest",
        "a test",
        "a\\b",
        "ä.test",
        "*",
        "a.test:-1",
        "a.test:+80",
    ] {
        refused(400, "GET", "/", H1, &[("host", host)]);
    }
    assert_eq!(
        accepted("GET", "/", H1, &[("host", "App.Example:8443")]),
        "app.example:8443"
    );
    assert_eq!(accepted("GET", "/", H1, &[("host", "[::1]:80")]), "[::1]:80");
    assert_eq!(accepted("GET", "/", H1, &[("host", "a_b.test.")]), "a_b.test.");
}

#[test]
fn the_target_must_agree_with_host() {
    refused(400, "GET", "http://b.test/", H1, &[("host", "a.test")]);
    refused(400, "GET", "https://user@a.test/", H1, &[("host", "a.test")]);
    refused(400, "GET", "https://user@a.test/", H2, &[]);
    refused(400, "GET", "https://b.test/", H2, &[("host", "a.test")]);
    refused(400, "GET", "ftp://a.test/", H1, &[("host", "a.test")]);
    assert_eq!(accepted("GET", "http://A.test/x", H1, &[("host", "a.test")]), "a.test");
    assert_eq!(accepted("GET", "https://a.test/x", H2, &[]), "a.test");
}

#[test]
fn the_connection_must_have_been_made_for_the_host() {
    let request = head("GET", "/", H1, &[("host", "b.test:8443")]);
    let misdirected = check(&peer(Some("a.test")), &request).unwrap_err();
    assert_eq!(misdirected.status, StatusCode::MISDIRECTED_REQUEST);
    assert!(check(&peer(Some("b.test")), &request).is_ok());
    assert!(check(&peer(None), &request).is_ok());
}

#[test]
fn proxies_for_others_and_echoes_are_not_served() {
    refused(400, "CONNECT", "a.test:443", H1, &[("host", "a.test:443")]);
    refused(400, "GET", "a.test", H1, &[("host", "a.test")]);
    refused(400, "TRACE", "/", H1, &[("host", "a.test")]);
    refused(400, "GET", "*", H1, &[("host", "a.test")]);
    refused(400, "OPTIONS", "*", H1, &[("host", "a.test")]);
}

#[test]
fn no_transfer_coding_but_one_chunked() {
    let host = ("host", "a.test");
    refused(501, "POST", "/", H1, &[host, ("transfer-encoding", "gzip, chunked")]);
    refused(
        501,
        "POST",
        "/",
        H1,
        &[host, ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
    );
    refused(501, "POST", "/", H1, &[host, ("transfer-encoding", "identity")]);
    refused(501, "POST", "/", H1, &[host, ("transfer-encoding", "chunked, chunked")]);
    refused(
        400,
        "POST",
        "/",
        Version::HTTP_10,
        &[host, ("transfer-encoding", "chunked")],
    );
    refused(400, "POST", "/", H2, &[host, ("transfer-encoding", "chunked")]);
    accepted("POST", "/", H1, &[host, ("transfer-encoding", "Chunked")]);
}

#[test]
fn content_length_is_one_plain_number() {
    let host = ("host", "a.test");
    for length in ["", "+5", "-5", "05", "5, 5", "0x5", "5 ", "99999999999999999999"] {
        refused(400, "POST", "/", H1, &[host, ("content-length", length)]);
    }
    refused(
        400,
        "POST",
        "/",
        H1,
        &[host, ("content-length", "5"), ("content-length", "5")],
    );
    refused(
        400,
        "POST",
        "/",
        H1,
        &[host, ("content-length", "5"), ("transfer-encoding", "chunked")],
    );
    accepted("POST", "/", H1, &[host, ("content-length", "0")]);
    accepted("POST", "/", H1, &[host, ("content-length", "1073741824")]);
}

#[test]
fn names_that_others_fold_to_framing_fields_are_refused() {
    let host = ("host", "a.test");
    for name in [
        "content_length",
        "content.length",
        "Content_Length",
        "transfer_encoding",
        "transfer.encoding",
        "Transfer~Encoding",
    ] {
        refused(400, "POST", "/", H1, &[host, (name, "1")]);
    }
    accepted("POST", "/", H1, &[host, ("content-lengths", "1")]);
}

#[test]
fn no_way_to_http2_in_cleartext() {
    let host = ("host", "a.test");
    refused(400, "GET", "/", H1, &[host, ("upgrade", "h2c")]);
    refused(400, "GET", "/", H1, &[host, ("upgrade", "websocket, H2C")]);
    refused(400, "GET", "/", H1, &[host, ("http2-settings", "AAMAAABk")]);
    accepted("GET", "/", H1, &[host, ("upgrade", "websocket")]);
}

#[test]
fn connection_specific_fields_do_not_exist_in_http2() {
    for field in [
        ("connection", "close"),
        ("keep-alive", "1"),
        ("proxy-connection", "close"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
    ] {
        refused(400, "GET", "https://a.test/", H2, &[field]);
    }
    accepted("GET", "https://a.test/", H2, &[("te", "trailers")]);
    accepted(
        "GET",
        "/",
        H1,
        &[("host", "a.test"), ("connection", "close"), ("te", "gzip")],
    );
}

#[test]
fn path_spellings_that_servers_read_differently_are_refused() {
    for path in [
        "",
        "a",
        "//",
        "/a//b",
        "/a/../b",
        "/a/./b",
        "/..",
        "/a/.",
        "/%2e%2e/b",
        "/.%2E/b",
        "/a/%2e",
        "/a%2fb",
        "/a%2Fb",
        "/a\\b",
        "/a%5cb",
        "/a%00b",
        "/a%0ab",
        "/a%7fb",
        "/a;b",
        "/a;/b",
        "/a b",
        "/ä",
        "/%",
        "/%2",
        "/%zz",
        "/%u002e",
        "/%c0%ae%c0%ae/",
        "/%e0%80%af",
        "/%f0%80%80%af",
    ] {
        assert!(check_path(path, false, false).is_err(), "{path}");
    }
    for path in [
        "/",
        "/a",
        "/a/",
        "/a/b.c",
        "/.well-known/x",
        "/...",
        "/a..b",
        "/%20",
        "/%C3%A4",
        "/%252e",
        "/a~!$&'()*+,=:@-_",
        "/%E9",
        "/%e0%a4%a8",
    ] {
        assert_eq!(check_path(path, false, false), Ok(()), "{path}");
    }
}

#[test]
fn what_a_route_lets_through_still_hides_no_dot_segment() {
    assert_eq!(check_path("/a;v=1/b", true, false), Ok(()));
    assert_eq!(check_path("/a%2Fb", false, true), Ok(()));
    assert!(check_path("/a/..;x/b", true, false).is_err());
    assert!(check_path("/a/.;/b", true, false).is_err());
    assert!(check_path("/a/..%2fb", false, true).is_err());
    assert!(check_path("/a%2f..", false, true).is_err());
}

#[test]
fn a_connection_that_asks_for_another_host_is_judged_anew() {
    let peer = peer(None);
    let asks = |host: &str| {
        let request = head("GET", "/", Version::HTTP_11, &[("host", host)]);
        check(&peer, &request).map(|authority| authority.to_string())
    };
    for host in ["app.test", "app.test", "admin.test", "app.test:81", "app.test"] {
        assert_eq!(asks(host).as_deref(), Ok(host));
    }
    assert!(asks("app.test, admin.test").is_err());
    assert_eq!(asks("APP.test").as_deref(), Ok("app.test"));
}

proptest! {
    #[test]
    fn no_accepted_path_decodes_to_another_structure(path in "/([a-z./%25;]|%2[eEfF5]|%5[cC]){0,24}") {
        if check_path(&path, false, false).is_ok() {
            let decoded = percent_encoding::percent_decode_str(&path).decode_utf8_lossy();
            prop_assert_eq!(decoded.matches('/').count(), path.matches('/').count());
            prop_assert!(decoded.split('/').all(|segment| segment != "." && segment != ".."));
            prop_assert!(!decoded.contains('\\'));
        }
    }

    #[test]
    fn an_authority_that_is_let_through_is_printed_as_it_is_read(host in "([a-zA-Z0-9._:@,/%\\[\\] -]|localhost|\\[::1\\]|:80){0,12}") {
        let Ok(value) = host.parse::<HeaderValue>() else { return Ok(()) };
        let request = Request::builder().uri("/").header(HOST, value).body(()).unwrap();
        if let Ok(authority) = check(&peer(None), &request) {
            prop_assert_eq!(authority.as_str(), host.to_ascii_lowercase());
            prop_assert_eq!(&authority.as_str().parse::<Authority>().unwrap(), &authority);
            prop_assert!(is_authority(authority.as_str()) && !host.contains(['@', ',', '/', ' ', '%']));
        }
    }
}
