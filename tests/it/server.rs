//! The listeners: slow clients are cut off, requests that could be read in two ways are refused, a stop waits for whom it may.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use http::Method;

use crate::world::upstream::Then;
use crate::world::{Upstream, Wire, World, certificate, until};

/// What a limit of half a second may take on a busy machine.
const SOON: Duration = Duration::from_secs(5);

fn hasty(upstream: &Upstream) -> World {
    World::with(upstream, |config| {
        for limit in ["handshake_timeout", "header_timeout", "body_timeout", "idle_timeout"] {
            config.set(&format!("server.limits.{limit}"), "500ms");
        }
    })
}

fn request(world: &World, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", world.authority())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_nothing_or_half_of_it_is_cut_off() {
    let upstream = Upstream::friendly();
    let world = hasty(&upstream);
    let hello = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03];

    world.silent().closed_within(SOON);
    let mut half_hello = world.silent();
    half_hello.send(&hello).expect("half a TLS hello");
    half_hello.closed_within(SOON);
    world.tcp().closed_within(SOON);
    world.tls().closed_within(SOON);
    for beginning in [
        "G",
        "GET /pub",
        "GET /public HTTP/1.1\r\nHost: loc",
        "GET /public HTTP/1.1\r\nHost: localhost\r\n",
    ] {
        let mut wire = world.tls();
        wire.send(beginning.as_bytes()).expect("half a request");
        wire.closed_within(SOON);
        let mut wire = world.tcp();
        wire.send(beginning.as_bytes()).expect("half a request");
        wire.closed_within(SOON);
    }
    let mut preface = Wire::connect_tls(
        world.https_port(),
        "localhost",
        certificate::trusting(world.dir()),
        &[b"h2"],
    );
    let preface = preface.as_mut().expect("a TLS connection");
    preface.send(b"PRI * HTTP/2.0\r\n").expect("half a preface");
    preface.closed_within(SOON);
    assert_eq!(upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_block_a_byte_at_a_time_is_cut_off() {
    let upstream = Upstream::friendly();
    let world = hasty(&upstream);
    let mut wire = world.tls();
    let began = Instant::now();
    let text = format!(
        "GET /public HTTP/1.1\r\nHost: localhost\r\nX-Long: {}",
        "x".repeat(1000)
    );
    let trickled = text.bytes().all(|byte| {
        std::thread::sleep(Duration::from_millis(20));
        began.elapsed() < SOON && wire.send(&[byte]).is_ok()
    });
    assert!(
        !trickled && began.elapsed() < SOON,
        "still open after {:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stalls_is_cut_off_and_does_not_pass_for_a_whole_one() {
    let upstream = Upstream::friendly();
    let world = hasty(&upstream);
    for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let mut wire = world.tls();
        let head = format!(
            "POST /public HTTP/1.1\r\nHost: {}\r\n{framing}\r\n\r\n5\r\nbegin\r\n",
            world.authority()
        );
        wire.send(head.as_bytes()).expect("half a request");
        wire.closed_within(SOON);
    }
    let mut wire = world.tls();
    let head = "Content-Type: application/json\r\nContent-Length: 100";
    let head = format!(
        "POST /auth/login HTTP/1.1\r\nHost: {}\r\n{head}\r\n\r\n{{\"email\":",
        world.authority()
    );
    wire.send(head.as_bytes()).expect("half a request");
    // Our own small bodies have ten seconds in all.
    wire.closed_within(3 * SOON);
    assert_eq!(upstream.count(), 0);
    world.client().get("/public").send().await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed_and_a_busy_one_kept() {
    let upstream = Upstream::friendly();
    let world = hasty(&upstream);
    let mut wire = world.tls();
    for _ in 0..8 {
        assert_eq!(wire.ask(&request(&world, "/public")).status, 200);
        std::thread::sleep(Duration::from_millis(100));
    }
    wire.closed_within(SOON);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_are_turned_away_and_the_others_served() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.set("server.limits.connections", 8);
    });
    let mut held: Vec<Wire> = (0..8).map(|_| world.tcp()).collect();
    until("the eight are let in", || {
        (world.metric("gateward_connections_open", &["listener=\"http\""]) == 8.0).then_some(())
    });
    // Either nothing is accepted for a while or it is closed at once; it never stands beside the eight.
    let mut surplus = world.tcp();
    let refused = surplus.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").is_err() || !answers_soon(&mut surplus);
    assert!(refused, "a ninth connection was served");
    assert!(
        held.iter_mut().map(Wire::is_open).filter(|open| *open).count() >= 7,
        "connections within the limit were closed"
    );
    drop(held);
    until("there is room again", || {
        let mut wire = world.tcp();
        wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
        wire.answer("GET").ok()
    });
}

fn answers_soon(wire: &mut Wire) -> bool {
    !wire.is_open() && wire.unread().starts_with(b"HTTP/1.1")
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_requests_in_flight_finish() {
    let (arrived, arrival) = channel();
    let (release, released) = channel::<()>();
    let (arrived, released) = (std::sync::Mutex::new(arrived), std::sync::Mutex::new(released));
    let upstream = Upstream::scripted(move |_, wire| {
        arrived.lock().expect("a channel").send(()).expect("the test waits");
        released.lock().expect("a channel").recv().expect("the test releases");
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
            .map(|()| Then::Keep)
    });
    let mut world = World::start(&upstream);
    let mut idle = world.tls();
    let mut wire = world.tls();
    wire.send(request(&world, "/public").as_bytes()).expect("a request");
    arrival.recv_timeout(SOON).expect("it arrives");

    world.signal("TERM");
    idle.closed_within(SOON);
    until("nobody new is let in", || {
        let trust = certificate::trusting(world.dir());
        Wire::connect_tls(world.https_port(), "localhost", trust, &[b"http/1.1"])
            .is_err()
            .then_some(())
    });
    release.send(()).expect("the upstream waits");
    let answer = wire.answer("GET").expect("the answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, "done"));
    wire.closed_within(SOON);
    assert!(world.wait_for_end(), "a drained gateway ends well");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_waits_no_longer_than_the_grace() {
    let upstream = Upstream::scripted(|_, wire| wire.rest().map(|_| Then::Close));
    let mut world = World::with(&upstream, |config| {
        config.set("server.shutdown_grace", "300ms");
    });
    let mut wire = world.tls();
    wire.send(request(&world, "/public").as_bytes()).expect("a request");
    until("it arrives", || (upstream.count() == 1).then_some(()));
    let began = Instant::now();
    world.signal("TERM");
    world.wait_for_end();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn both_protocols_and_both_tls_versions_are_spoken() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let trust = certificate::trusting(world.dir());
    let protocol = |alpn: &[&[u8]]| {
        let wire = Wire::connect_tls(world.https_port(), "localhost", Arc::clone(&trust), alpn);
        wire.expect("a TLS connection").protocol()
    };
    assert_eq!(protocol(&[b"h2", b"http/1.1"]).as_deref(), Some("h2"));
    assert_eq!(protocol(&[b"http/1.1"]).as_deref(), Some("http/1.1"));
    assert_eq!(protocol(&[]), None);
    world.client().h2().get("/public").send().await.is(200);
    // Our order of suites, not the client's: its own begins with the costlier hash.
    let cipher = |more: &[&str]| {
        let mut hello = std::process::Command::new("openssl");
        hello
            .args(["s_client", "-connect", &format!("127.0.0.1:{}", world.https_port())])
            .args(more);
        let told = hello
            .stdin(std::process::Stdio::null())
            .output()
            .expect("openssl runs")
            .stdout;
        let told = String::from_utf8_lossy(&told).into_owned();
        let line = told
            .lines()
            .find_map(|line| line.split_once("Cipher is "))
            .expect("a handshake");
        line.1.to_owned()
    };
    assert_eq!(cipher(&[]), "TLS_AES_128_GCM_SHA256");
    assert_eq!(
        cipher(&["-ciphersuites", "TLS_AES_256_GCM_SHA384"]),
        "TLS_AES_256_GCM_SHA384"
    );
    assert_eq!(cipher(&["-tls1_2"]), "ECDHE-ECDSA-AES128-GCM-SHA256");
    for version in ["--tlsv1.2 --tls-max 1.2", "--tlsv1.3"] {
        let mut curl = std::process::Command::new("curl");
        curl.args(["-sk", "-o", "/dev/null", "-w", "%{http_code}"])
            .args(version.split(' '));
        let output = curl
            .arg(format!("{}/public", world.origin()))
            .output()
            .expect("curl runs");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "200", "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plain_listener_redirects_and_serves_nothing() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let answer = world.tcp().ask(&format!(
        "GET /a/b?c=d HTTP/1.1\r\nHost: localhost:{}\r\n\r\n",
        world.http_port()
    ));
    assert!(matches!(answer.status, 301 | 308), "{answer:?}");
    assert_eq!(answer.value("location"), format!("{}/a/b?c=d", world.origin()));
    let evil = world
        .tcp()
        .ask("GET //evil.example/%0d%0aSet-Cookie:a HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(
        evil.status == 400 || evil.value("location").starts_with(&world.origin()),
        "{evil:?}"
    );
    assert_eq!(upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_https_the_plain_listener_serves() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.remove("server.https");
    });
    let answer = world.tcp().ask(&format!(
        "GET /public HTTP/1.1\r\nHost: localhost:{}\r\n\r\n",
        world.http_port()
    ));
    assert_eq!(answer.status, 200);
    assert_eq!(upstream.last().value("x-forwarded-proto"), "http");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_over_tls_ask_for_tls_for_ever() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    for path in ["/public", "/things", "/auth/me"] {
        let answer = world.client().get(path).send().await;
        assert!(
            answer
                .header("strict-transport-security")
                .starts_with("max-age=31536000"),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_chosen_by_name_and_replaced_without_a_restart() {
    let upstream = Upstream::friendly();
    let mut world = World::stopped(&upstream, |config| {
        let pair = |name: &str| format!("{{ cert_file = \"{name}.crt\", key_file = \"{name}.key\" }}");
        let pairs: toml::Table = format!("a = [{}, {}]", pair("localhost"), pair("other"))
            .parse()
            .expect("certificates");
        config
            .set("tls.self_signed", false)
            .set("tls.certificates", pairs["a"].clone());
        config.route(
            "other",
            "host = \"other.example\"\npath = \"/public\"\nauth = \"public\"",
        );
    });
    let first = write_pair(&world, "localhost", "localhost");
    let second = write_pair(&world, "other", "other.example");
    world.up();
    let shown = |name: &str, certificate: &rcgen::Certificate| {
        let trust = certificate::trusting_only(certificate.der());
        Wire::connect_tls(world.https_port(), name, trust, &[b"http/1.1"])
    };
    let mut wire = shown("localhost", &first).expect("the certificate of localhost");
    shown("other.example", &second).expect("the certificate of other.example");
    assert!(shown("other.example", &first).is_err());

    // RFC 9110 §7.4: a connection made for one name is not used for another certificate's.
    let misdirected = wire.ask("GET /public HTTP/1.1\r\nHost: other.example\r\n\r\n");
    assert_eq!(
        (misdirected.status, misdirected.code().as_str()),
        (421, "misdirected_request")
    );

    let renewed = write_pair(&world, "localhost", "localhost");
    world.signal("HUP");
    until("the new certificate is shown", || shown("localhost", &renewed).ok());
}

fn write_pair(world: &World, file: &str, name: &str) -> rcgen::Certificate {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    std::fs::write(world.dir().join(format!("{file}.crt")), certificate.pem()).expect("a certificate file");
    std::fs::write(world.dir().join(format!("{file}.key")), key.serialize_pem()).expect("a key file");
    certificate
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_pass_where_a_route_says_so() {
    let upstream = Upstream::scripted(|_, wire| {
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")?;
        while let Ok(bytes) = wire.exactly(4) {
            wire.send(&bytes)?;
        }
        Ok(Then::Close)
    });
    let world = World::with(&upstream, |config| {
        config.route("chat", "path = \"/chat\"\nwebsocket = true");
    });
    let ada = world.person("ada").await;
    let head = |path: &str, credential: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{credential}\r\n\r\n",
            world.authority()
        )
    };
    let bearer = format!("Authorization: Bearer {}", ada.access);
    let mut wire = world.tls();
    assert_eq!(wire.ask(&head("/chat", &bearer)).status, 101);
    assert_eq!(upstream.last().value("x-forwarded-user"), ada.id);
    for word in [b"ping", b"pong"] {
        wire.send(word).expect("a frame");
        assert_eq!(wire.exactly(4).expect("its echo"), word);
    }

    assert_eq!(world.tls().ask(&head("/chat", "X-No: credential")).status, 401);
    let browser = ada.in_browser(&world).await;
    let cookie = format!(
        "Cookie: __Host-gateward={}",
        browser.cookie("__Host-gateward").expect("a cookie")
    );
    assert_eq!(
        world.tls().ask(&head("/chat", &cookie)).status,
        403,
        "by cookie, without an origin"
    );
    let evil = format!("{cookie}\r\nOrigin: https://evil.example");
    assert_eq!(
        world.tls().ask(&head("/chat", &evil)).status,
        403,
        "by cookie, from a foreign origin"
    );
    let ours = format!("{cookie}\r\nOrigin: {}", world.origin());
    assert_eq!(world.tls().ask(&head("/chat", &ours)).status, 101);

    let before = upstream.count();
    let elsewhere = world.tls().ask(&head("/things", &bearer));
    assert_ne!(elsewhere.status, 101);
    if upstream.count() > before {
        assert!(upstream.last().values("upgrade").is_empty(), "{}", upstream.last().head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_could_be_read_in_two_ways_are_refused_and_the_connection_closed() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let host = format!("Host: {}", world.authority());
    let refused = [
        (
            "length and coding",
            "POST /public HTTP/1.1",
            "HOST\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
            "0\r\n\r\nGET /x HTTP/1.1",
        ),
        (
            "coding and length",
            "POST /public HTTP/1.1",
            "HOST\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
            "0\r\n\r\n",
        ),
        (
            "two lengths",
            "POST /public HTTP/1.1",
            "HOST\r\nContent-Length: 5\r\nContent-Length: 6",
            "hello!",
        ),
        (
            "one length twice",
            "POST /public HTTP/1.1",
            "HOST\r\nContent-Length: 5\r\nContent-Length: 5",
            "hello",
        ),
        (
            "a list of lengths",
            "POST /public HTTP/1.1",
            "HOST\r\nContent-Length: 5, 5",
            "hello",
        ),
        (
            "a signed length",
            "POST /public HTTP/1.1",
            "HOST\r\nContent-Length: +5",
            "hello",
        ),
        (
            "a length with zeros",
            "POST /public HTTP/1.1",
            "HOST\r\nContent-Length: 005",
            "hello",
        ),
        (
            "a hexadecimal length",
            "POST /public HTTP/1.1",
            "HOST\r\nContent-Length: 0x5",
            "hello",
        ),
        (
            "an alias of the length",
            "POST /public HTTP/1.1",
            "HOST\r\nContent_Length: 5",
            "",
        ),
        (
            "an alias of the coding",
            "POST /public HTTP/1.1",
            "HOST\r\nTransfer_Encoding: chunked",
            "",
        ),
        (
            "two codings",
            "POST /public HTTP/1.1",
            "HOST\r\nTransfer-Encoding: gzip, chunked",
            "0\r\n\r\n",
        ),
        (
            "chunked twice",
            "POST /public HTTP/1.1",
            "HOST\r\nTransfer-Encoding: chunked, chunked",
            "0\r\n\r\n",
        ),
        (
            "two coding lines",
            "POST /public HTTP/1.1",
            "HOST\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "0\r\n\r\n",
        ),
        (
            "an unknown coding",
            "POST /public HTTP/1.1",
            "HOST\r\nTransfer-Encoding: xchunked",
            "0\r\n\r\n",
        ),
        (
            "identity",
            "POST /public HTTP/1.1",
            "HOST\r\nTransfer-Encoding: identity",
            "",
        ),
        (
            "a coding in HTTP/1.0",
            "POST /public HTTP/1.0",
            "HOST\r\nTransfer-Encoding: chunked",
            "0\r\n\r\n",
        ),
        (
            "a space before the colon",
            "POST /public HTTP/1.1",
            "HOST\r\nTransfer-Encoding : chunked",
            "0\r\n\r\n",
        ),
        ("a folded line", "GET /public HTTP/1.1", "HOST\r\nX-A: b\r\n c", ""),
        ("no host", "GET /public HTTP/1.1", "X-A: b", ""),
        ("an empty host", "GET /public HTTP/1.1", "Host:", ""),
        ("two hosts", "GET /public HTTP/1.1", "HOST\r\nHost: evil.example", ""),
        ("the same host twice", "GET /public HTTP/1.1", "HOST\r\nHOST", ""),
        (
            "a list of hosts",
            "GET /public HTTP/1.1",
            "Host: localhost, evil.example",
            "",
        ),
        ("a user in the host", "GET /public HTTP/1.1", "Host: evil@localhost", ""),
        ("a path in the host", "GET /public HTTP/1.1", "Host: localhost/x", ""),
        ("a host with a space", "GET /public HTTP/1.1", "Host: local host", ""),
        (
            "a target against its host",
            "GET https://evil.example/public HTTP/1.1",
            "HOST",
            "",
        ),
        ("connect", "CONNECT localhost:443 HTTP/1.1", "HOST", ""),
        ("trace", "TRACE /public HTTP/1.1", "HOST", ""),
        ("authority form", "GET localhost:443 HTTP/1.1", "HOST", ""),
        ("an unknown version", "GET /public HTTP/3.7", "HOST", ""),
        ("two spaces", "GET  /public HTTP/1.1", "HOST", ""),
        ("a NUL in a value", "GET /public HTTP/1.1", "HOST\r\nX-A: a\0b", ""),
        ("a bare CR in a value", "GET /public HTTP/1.1", "HOST\r\nX-A: a\rb", ""),
        ("a space in a name", "GET /public HTTP/1.1", "HOST\r\nX A: b", ""),
        (
            "an h2c upgrade",
            "GET /public HTTP/1.1",
            "HOST\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
            "",
        ),
        (
            "a malformed chunk",
            "POST /public HTTP/1.1",
            "HOST\r\nTransfer-Encoding: chunked",
            "5\rhello\r\n0\r\n\r\n",
        ),
        (
            "a chunk of minus one",
            "POST /public HTTP/1.1",
            "HOST\r\nTransfer-Encoding: chunked",
            "-1\r\n\r\n",
        ),
        (
            "a huge chunk",
            "POST /public HTTP/1.1",
            "HOST\r\nTransfer-Encoding: chunked",
            "ffffffffffffffffff\r\n\r\n",
        ),
    ];
    for (what, line, headers, body) in refused {
        let mut wire = world.tls();
        let text = format!("{line}\r\n{}\r\n\r\n{body}", headers.replace("HOST", &host));
        wire.send(text.as_bytes()).expect("a request");
        let answer = wire.answer("POST").unwrap_or_else(|e| panic!("{what}: no answer: {e}"));
        assert!(matches!(answer.status, 400 | 405 | 501 | 505), "{what}: {answer:?}");
        wire.closed_within(SOON);
    }
    assert!(
        upstream.requests().iter().all(|request| request.body.is_empty()),
        "a body was passed on"
    );
    let seen: Vec<String> = upstream.requests().iter().map(|request| request.head.clone()).collect();
    assert!(
        seen.iter().all(|head| head.contains("chunked")),
        "reached the upstream: {seen:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bare_line_feeds_never_hide_a_second_request() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let host = world.authority();
    for text in [
        format!("GET /public HTTP/1.1\nHost: {host}\n\n"),
        format!("GET /public HTTP/1.1\r\nHost: {host}\r\nX-A: b\nX-Forwarded-User: root\r\n\r\n"),
        format!("POST /public HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n"),
        format!("POST /public HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n2;a\nb\r\nok\r\n0\r\n\r\n"),
    ] {
        let mut wire = world.tls();
        wire.send(text.as_bytes()).expect("a request");
        wire.finish().expect("and nothing more");
        let _ = wire.rest();
    }
    for request in upstream.requests() {
        assert!(
            request.values("x-forwarded-user").is_empty() && !request.head.contains("root"),
            "{}",
            request.head
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_could_be_read_in_two_ways_are_refused_rather_than_repaired() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    for path in [
        "/public/../things",
        "/public/%2e%2e/things",
        "/public/.%2E/things",
        "/public/./x",
        "/public/%2f../x",
        "/public%2fx",
        "/public//x",
        "//public",
        "/public/a\\b",
        "/public/%5c..",
        "/public/x;y",
        "/public/%00",
        "/public/%0a",
        "/public/%zz",
        "/public/%",
        "/public/%2",
        "/public/%252e%252e/things",
        "/public/é",
    ] {
        let answer = world.tls().ask(&request(&world, path));
        let double = path.contains("%25");
        assert!(
            answer.status == 400 || double && answer.status == 200,
            "{path}: {answer:?}"
        );
    }
    assert!(
        upstream
            .requests()
            .iter()
            .all(|request| request.target().contains("%25"))
    );
    let query = "/public?next=/../x//y;z%2f%5c";
    assert_eq!(world.tls().ask(&request(&world, query)).status, 200);
    assert_eq!(upstream.last().target(), query, "the query is not ours to judge");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_block_over_the_limit_is_431() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let large = "x".repeat(33 * 1024);
    let head = format!(
        "GET /public HTTP/1.1\r\nHost: {}\r\nX-Large: {large}\r\n\r\n",
        world.authority()
    );
    let answer = world.tls().ask(&head);
    assert_eq!(answer.status, 431, "{answer:?}");
    let refused = world
        .client()
        .h2()
        .get("/public")
        .header("x-large", &large)
        .try_send()
        .await;
    assert!(
        refused.as_ref().is_err() || refused.as_ref().is_ok_and(|answer| answer.status == 431),
        "{refused:?}"
    );
    assert_eq!(upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::answering(|request| {
        let body = request.target().to_owned();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    });
    let world = World::start(&upstream);
    let mut wire = world.tls();
    let all: String = (0..10)
        .map(|number| request(&world, &format!("/public/{number}")))
        .collect();
    wire.send(all.as_bytes()).expect("ten requests");
    for number in 0..10 {
        assert_eq!(
            wire.answer("GET").expect("an answer").text(),
            format!("/public/{number}")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_metrics_are_nowhere_but_on_the_admin_listener() {
    let upstream = Upstream::answering(|_| "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned());
    let world = World::start(&upstream);
    assert_eq!(world.admin("/livez").status, 200);
    assert_eq!(world.admin("/readyz").status, 200);
    assert!(
        world.admin("/readyz?verbose").text().contains("accounts"),
        "{}",
        world.admin("/readyz?verbose").text()
    );
    assert_eq!(world.admin("/auth/login").status, 404);
    world.client().get("/public").send().await.is(404);
    for path in ["/livez", "/readyz", "/metrics"] {
        world.client().get(path).send().await.problem(401, "no_token");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_holds_the_admin_listener_open_shuts_a_probe_out() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let mut held = Vec::new();
    for number in 0..200 {
        let mut wire = Wire::connect(world.admin_port()).expect("a connection");
        // Some say nothing, some ask and ask and read nothing.
        if number % 2 == 0 {
            let asked = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(40);
            let _ = wire.send(asked.as_bytes());
        }
        held.push(wire);
    }
    let began = Instant::now();
    assert_eq!(world.admin("/readyz").text(), "ready\n");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    drop(held);
}

/// RFC 9110 §9.3.2: whoever asks by HEAD is told how long the content would be, and a client of HTTP/2 that gets any resets the stream.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_to_head_has_no_content_and_says_its_length() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    for client in [world.client(), world.client().h2()] {
        for (path, status) in [
            ("/auth/login", 200),
            ("/things", 401),
            ("/public", 200),
            ("/%2e%2e/x", 400),
            ("/whoami", 401),
        ] {
            let asked = client.get(path).send().await;
            let answer = client.call(Method::HEAD, path).send().await.is(status);
            assert!(answer.text().is_empty(), "{path}");
            assert_eq!(
                answer.header("content-length").is_empty(),
                asked.header("content-length").is_empty(),
                "{path}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_promised_metric_is_there_and_none_names_a_person() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let ada = world.person("ada").await;
    ada.get("/things").await.is(200);
    ada.refresh(&ada.refresh).await.is(200);
    ada.client.post("/auth/logout").bearer(&ada.access).send().await.is(204);
    let metrics = world.metrics();
    for name in [
        "http_requests_total",
        "http_request_duration_seconds",
        "auth_decisions_total",
        "login_total",
        "refresh_total",
        "revocations_total",
        "hash_queue_depth",
        "hash_wait_seconds",
        "store_up",
        "config_last_reload_success",
        "cert_not_after_seconds",
        "keys",
        "build_info",
        "upstream_",
    ] {
        let name = format!("gateward_{name}");
        let sampled = metrics
            .lines()
            .any(|line| !line.starts_with('#') && line.starts_with(&name));
        assert!(sampled, "no {name} in\n{metrics}");
    }
    for private in [ada.id.as_str(), ada.email.as_str(), "/things", "127.0.0.1"] {
        assert!(!metrics.contains(private), "{private} in\n{metrics}");
    }
    assert_eq!(
        world.metric("gateward_http_requests_total", &["route=\"app\"", "code=\"200\""]),
        1.0
    );
}
