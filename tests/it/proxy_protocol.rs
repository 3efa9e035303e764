//! The PROXY protocol: a TCP balancer says who the client is, and nobody else can.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;

use crate::world::certificate::trusting;
use crate::world::wire::RawAnswer;
use crate::world::{Upstream, Wire, World, until};

/// Addresses of a header that come from this client.
fn from_client(client: [u8; 4]) -> Vec<u8> {
    [client.as_slice(), &[10, 0, 0, 1], &[0x12, 0x34], &[1, 187]].concat()
}

/// A header of version 2 as HAProxy writes it.
fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[command, family], &length, rest].concat()
}

fn says(client: [u8; 4]) -> Vec<u8> {
    header(0x21, 0x11, &from_client(client))
}

const CLIENT: [u8; 4] = [203, 0, 113, 9];

/// A gateway that serves in the clear and takes headers from `trusted`.
fn behind(upstream: &Upstream, trusted: &str) -> World {
    World::with(upstream, |config| {
        config.remove("server.https").remove("tls.self_signed");
        let port = config.to_string();
        let port = port.lines().find_map(|line| line.strip_prefix("http = \"127.0.0.1:"));
        let url = format!("http://localhost:{}", port.unwrap().trim_end_matches('"'));
        config.set("server.public_url", url);
        config.set("server.trusted_proxies", vec![trusted]);
        config.set("server.proxy_protocol", true);
        config.set("server.limits.handshake_timeout", "700ms");
    })
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// Whom the gateway takes for the client of a connection that begins like this.
#[track_caller]
fn client_seen(world: &World, upstream: &Upstream, beginning: &[u8]) -> String {
    let before = upstream.requests().len();
    let mut wire = world.tcp();
    wire.send(beginning).unwrap();
    assert_eq!(wire.ask(&request("/public")).status, 200);
    let requests = upstream.requests();
    assert_eq!(requests.len(), before + 1);
    requests[before].value("x-forwarded-for")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_is_who_the_header_of_a_trusted_balancer_names() {
    let upstream = Upstream::friendly();
    let world = behind(&upstream, "127.0.0.1/32");
    assert_eq!(client_seen(&world, &upstream, &says(CLIENT)), "203.0.113.9");
    let with_more = [from_client(CLIENT), vec![0x04, 0, 200], vec![7; 200]].concat();
    assert_eq!(
        client_seen(&world, &upstream, &header(0x21, 0x11, &with_more)),
        "203.0.113.9"
    );
    let mut over_6 = vec![0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    over_6.extend([0; 20]);
    assert_eq!(
        client_seen(&world, &upstream, &header(0x21, 0x21, &over_6)),
        "2001:db8::9"
    );

    until("the log names the client", || {
        let log = world.access_log();
        log.iter()
            .any(|line| line.to_string().contains("203.0.113.9"))
            .then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_that_speaks_for_itself_is_the_peer() {
    let upstream = Upstream::friendly();
    let world = behind(&upstream, "127.0.0.1/32");
    for itself in [header(0x20, 0x00, &[]), header(0x20, 0x11, &from_client(CLIENT))] {
        assert_eq!(client_seen(&world, &upstream, &itself), "127.0.0.1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_the_balancer_cannot_name_is_not_believed_for_coming_through_it() {
    let upstream = Upstream::friendly();
    let world = behind(&upstream, "127.0.0.1/32");
    let says = format!(
        "GET /public HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {}\r\nX-Forwarded-Proto: https\r\nX-Request-Id: mine\r\n\r\n",
        "198.51.100.7"
    );
    let sent_on = |beginning: &[u8]| {
        let mut wire = world.tcp();
        wire.send(beginning).unwrap();
        assert_eq!(wire.ask(&says).status, 200);
        let seen = upstream.last();
        ["x-forwarded-for", "x-forwarded-proto", "x-request-id"].map(|name| seen.value(name))
    };
    // Unspecified, and a UNIX socket: somebody else than the balancer writes these requests.
    for unknown in [header(0x21, 0x00, &[]), header(0x21, 0x31, &[0; 216])] {
        let [from, scheme, id] = sent_on(&unknown);
        assert_eq!((from.as_str(), scheme.as_str()), ("127.0.0.1", "http"));
        assert_ne!(id, "mine");
    }
    // The balancer's own word counts.
    let itself = sent_on(&header(0x20, 0x00, &[]));
    assert_eq!(itself, ["198.51.100.7, 127.0.0.1", "https", "mine"].map(str::to_owned));
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_begins_behind_the_header() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.set("server.trusted_proxies", vec!["127.0.0.1/32"]);
        config.set("server.proxy_protocol", true);
    });
    let mut stream = TcpStream::connect(("127.0.0.1", world.https_port())).unwrap();
    // In two pieces, and the TLS hello right behind the second.
    let header = says(CLIENT);
    stream.write_all(&header[..20]).unwrap();
    stream.write_all(&header[20..]).unwrap();
    let mut wire = Wire::tls_over(stream, "localhost", trusting(world.dir()), &[b"http/1.1"]).unwrap();
    let head = format!("GET /public HTTP/1.1\r\nHost: {}\r\n\r\n", world.authority());
    assert_eq!(wire.ask(&head).status, 200);
    assert_eq!(upstream.requests()[0].value("x-forwarded-for"), "203.0.113.9");
    // The listener that sends on to https takes it as well.
    let mut wire = world.tcp();
    wire.send(&says(CLIENT)).unwrap();
    assert_eq!(wire.ask(&request("/")).status, 308);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_of_a_stranger_is_never_believed() {
    let upstream = Upstream::friendly();
    let world = behind(&upstream, "127.0.0.2/32");
    assert_eq!(client_seen(&world, &upstream, b""), "127.0.0.1");
    for spoofed in [says(CLIENT), b"PROXY TCP4 203.0.113.9 10.0.0.1 4660 80\r\n".to_vec()] {
        let mut wire = world.tcp();
        wire.send(&spoofed).unwrap();
        wire.send(request("/public").as_bytes()).unwrap();
        let answer = wire.answer("GET");
        assert!(
            !answer.is_ok_and(|answer| answer.status < 400),
            "a spoofed header was taken"
        );
        wire.closed_within(Duration::from_secs(5));
    }
    assert_eq!(upstream.requests().len(), 1);
    let log = world.access_log();
    assert!(
        !log.iter().any(|line| line.to_string().contains("203.0.113.9")),
        "{log:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_no_header_is_believed_of_anybody() {
    let upstream = Upstream::friendly();
    let mut world = behind(&upstream, "127.0.0.1/32");
    world.kill();
    world.reconfigure(|config| {
        config.remove("server.proxy_protocol");
    });
    world.up();
    let mut wire = world.tcp();
    wire.send(&says(CLIENT)).unwrap();
    wire.send(request("/public").as_bytes()).unwrap();
    assert!(!wire.answer("GET").is_ok_and(|answer| answer.status < 400));
    assert!(upstream.requests().is_empty());
    assert_eq!(client_seen(&world, &upstream, b""), "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_balancer_without_a_good_header_is_not_served() {
    let upstream = Upstream::friendly();
    let world = behind(&upstream, "127.0.0.1/32");
    let beginnings = [
        request("/public").into_bytes(),
        b"PROXY TCP4 203.0.113.9 10.0.0.1 4660 80\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        header(0x31, 0x11, &from_client(CLIENT)),
        header(0x21, 0x12, &from_client(CLIENT)),
        header(0x21, 0x11, &from_client(CLIENT)[..11]),
        header(0x21, 0x11, &[7; 5000]),
        b"\x16\x03\x01\x02\x00".to_vec(),
    ];
    for beginning in beginnings {
        let mut wire = world.tcp();
        // The connection may be closed before the whole of it is sent.
        let _ = wire.send(&beginning);
        let _ = wire.send(request("/public").as_bytes());
        assert!(wire.answer("GET").is_err(), "{:?}", String::from_utf8_lossy(&beginning));
    }
    assert!(upstream.requests().is_empty());
    let complaints = until("it is complained", || {
        let complaints = world.output().matches("a trusted proxy's connection is closed").count();
        (complaints > 0).then_some(complaints)
    });
    // One for each worker at most, not one for each connection.
    assert!((1..=2).contains(&complaints), "{complaints}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_header_is_cut_off_in_time() {
    let upstream = Upstream::friendly();
    let world = behind(&upstream, "127.0.0.1/32");
    for come in [0, 5, 16, 20] {
        let mut wire = world.tcp();
        wire.send(&says(CLIENT)[..come]).unwrap();
        wire.closed_within(Duration::from_secs(5));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_by_source_count_the_clients_behind_a_balancer() {
    let upstream = Upstream::friendly();
    let mut world = behind(&upstream, "127.0.0.1/32");
    world.kill();
    world.reconfigure(|config| {
        config.set("auth.limits.per_ip", "3/5m");
    });
    world.up();
    let knock = |client: [u8; 4]| -> RawAnswer {
        let body = json!({"email": "nobody@example.com", "password": "not the right one"}).to_string();
        let mut wire = world.tcp();
        wire.send(&says(client)).unwrap();
        wire.ask(&format!(
            "POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    };
    for _ in 0..3 {
        assert_eq!(knock(CLIENT).status, 401);
    }
    assert_eq!(knock(CLIENT).status, 429);
    assert_eq!(knock([203, 0, 113, 10]).status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_balancer_is_served_beside_it() {
    let upstream = Upstream::friendly();
    let world = behind(&upstream, "127.0.0.1/32");
    let stream = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    stream.bind(&SocketAddr::from(([127, 0, 0, 3], 0)).into()).unwrap();
    stream
        .connect(&SocketAddr::from(([127, 0, 0, 1], world.http_port())).into())
        .unwrap();
    let mut wire = Wire::over(stream.into()).unwrap();
    assert_eq!(wire.ask(&request("/public")).status, 200);
    assert_eq!(upstream.requests()[0].value("x-forwarded-for"), "127.0.0.3");
}
