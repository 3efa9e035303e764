//! Leaving HTTP: nothing goes through unjudged before an upstream has agreed to another protocol, and only where a route allows it.

use super::{arrived, canary, sites};
use crate::world::upstream::Then;
use crate::world::{Upstream, Wire, World};

/// A handshake as browsers make it.
pub(super) const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

fn world(upstream: &Upstream) -> World {
    World::with(upstream, |config| {
        config.route("socket", "path = \"/socket\"\nauth = \"public\"\nwebsocket = true");
    })
}

fn head(world: &World, line: &str, lines: &str) -> String {
    format!("{line}\r\nHost: {}\r\n{lines}\r\n\r\n", world.authority())
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_behind_an_upgrade_that_was_not_granted_are_judged_as_requests() {
    // Pingora CVE-2026-2833, Envoy CVE-2024-23326.
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    ] {
        let upstream = Upstream::answering(move |_| answer.to_owned());
        let world = world(&upstream);
        let mut wire = world.tls();
        let hidden = head(&world, "GET /things HTTP/1.1", "X-Forwarded-User: root");
        let both = format!("{}{hidden}", head(&world, "GET /socket HTTP/1.1", UPGRADE));
        wire.send(both.as_bytes()).expect("two requests");
        let first = wire.answer("GET").expect("an answer");
        assert_ne!(first.status, 101, "{answer}");
        assert_eq!(wire.answer("GET").expect("an answer").status, 401, "{answer}");
        assert_eq!(arrived(&upstream), ["/socket"], "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_was_not_asked_for_or_not_allowed_is_none() {
    let upstream = Upstream::scripted(|_, wire: &mut Wire| {
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nsecret")?;
        Ok(Then::Close)
    });
    let world = world(&upstream);
    for (what, line, lines) in [
        ("not asked for", "GET /socket HTTP/1.1", "X-Plain: 1"),
        ("not named in Connection", "GET /socket HTTP/1.1", "Upgrade: websocket"),
        ("named only", "GET /socket HTTP/1.1", "Connection: upgrade"),
        ("on another route", "GET /public HTTP/1.1", UPGRADE),
        ("in HTTP/1.0", "GET /socket HTTP/1.0", UPGRADE),
        ("twice", "GET /socket HTTP/1.1", &format!("{UPGRADE}\r\nUpgrade: other")),
    ] {
        let answer = world.tls().ask(&head(&world, line, lines));
        assert_eq!(answer.status, 502, "{what}: {answer:?}");
        assert!(!answer.text().contains("secret"));
        assert!(
            upstream.last().values("upgrade").is_empty(),
            "{what}: {}",
            upstream.last().head
        );
    }
}

/// Ways to ask for HTTP/2 in cleartext.
pub(super) const TO_H2C: &[&str] = &[
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
    "Connection: Upgrade\r\nUpgrade: h2c",
    "Connection: Upgrade\r\nUpgrade: H2C",
    "Connection: Upgrade\r\nUpgrade: websocket, h2c",
    "Connection: Upgrade\r\nUpgrade: h2c,websocket",
    "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c",
    "Upgrade: h2c",
    "HTTP2-Settings: AAMAAABk",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_way_to_http_2_in_the_clear_is_never_opened() {
    let upstream = Upstream::friendly();
    let world = world(&upstream);
    for lines in TO_H2C {
        for path in ["/socket", "/public"] {
            let answer = world.tls().ask(&head(&world, &format!("GET {path} HTTP/1.1"), lines));
            assert_eq!(answer.status, 400, "{path} {lines}");
        }
    }
    assert!(arrived(&upstream).is_empty());
    canary(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_with_a_body_stays_an_ordinary_request() {
    let upstream = Upstream::friendly();
    let world = world(&upstream);
    for (framing, body) in [
        ("Content-Length: 5", "hello"),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
    ] {
        let lines = format!("{UPGRADE}\r\n{framing}");
        let bytes = format!("{}{body}", head(&world, "GET /socket HTTP/1.1", &lines));
        assert_eq!(world.tls().ask(&bytes).status, 200, "{framing}");
        let request = upstream.last();
        assert_eq!(request.body, b"hello");
        assert!(request.values("upgrade").is_empty(), "{}", request.head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_stranger_opens_a_web_socket_by_cookie() {
    let upstream = Upstream::scripted(|_, wire: &mut Wire| {
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nsecret")?;
        Ok(Then::Close)
    });
    let world = World::with(&upstream, |config| {
        config.route("chat", "path = \"/chat\"\nwebsocket = true");
        config.route("open", "path = \"/open\"\nwebsocket = true\nauth = \"optional\"");
    });
    let browser = world.person("ada").await.in_browser(&world).await;
    let cookie = format!(
        "Cookie: __Host-gateward={}",
        browser.cookie("__Host-gateward").expect("a cookie")
    );
    for path in ["/chat", "/open"] {
        let line = format!("GET {path} HTTP/1.1");
        for says in sites::strangers(&world) {
            let says: Vec<String> = says.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            let lines = format!("{UPGRADE}\r\n{cookie}\r\n{}", says.join("\r\n"));
            let answer = world.tls().ask(&head(&world, &line, &lines));
            assert_eq!(answer.status, 403, "{path} {says:?}: {answer:?}");
        }
        assert_eq!(upstream.count(), 0);
    }
    let ours = format!("{UPGRADE}\r\n{cookie}\r\nOrigin: {}", world.origin());
    assert_eq!(world.tls().ask(&head(&world, "GET /chat HTTP/1.1", &ours)).status, 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_is_none_is_a_failure_of_the_upstream() {
    let upstream = Upstream::friendly();
    let world = world(&upstream);
    for (what, answer) in [
        (
            "no Upgrade",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n",
        ),
        (
            "no head's end",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n",
        ),
        (
            "two lengths",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        ),
        (
            "a NUL",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: web\0socket\r\n\r\n",
        ),
    ] {
        upstream.now(move |_, wire: &mut Wire| {
            wire.send(answer.as_bytes())?;
            Ok(Then::Close)
        });
        let answer = world.tls().ask(&head(&world, "GET /socket HTTP/1.1", UPGRADE));
        assert_eq!(answer.status, 502, "{what}: {answer:?}");
    }
    upstream.now_answering(|_| "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned());
    canary(&world);
}
