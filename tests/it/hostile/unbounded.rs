//! Upstreams without measure: what one never stops saying costs its own request, and nobody else's time or memory.

use std::io;

use super::canary;
use super::exhaustion::resident;
use crate::world::upstream::{Recorded, Then};
use crate::world::{Upstream, Wire, World};

/// A beginning, and what is said again and again behind it.
const ENDLESS: &[(&str, &str, &str)] = &[
    ("a status line", "HTTP/1.1 200 ", "O"),
    ("a field's name", "HTTP/1.1 200 OK\r\n", "x"),
    ("a field's value", "HTTP/1.1 200 OK\r\nX: ", "y"),
    ("fields", "HTTP/1.1 200 OK\r\n", "X: y\r\n"),
    ("cookies", "HTTP/1.1 200 OK\r\n", "Set-Cookie: __Host-gateward=x\r\n"),
    ("interim answers", "", "HTTP/1.1 100 Continue\r\n\r\n"),
    ("early hints", "", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
    ("empty lines", "", "\r\n"),
    (
        "a chunk's size",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "0",
    ),
    (
        "a chunk's extension",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;",
        "x",
    ),
    (
        "trailers",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        "X: y\r\n",
    ),
    (
        "bytes behind an answer",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "x",
    ),
    (
        "another protocol",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\0\0\0\u{4}\0\0\0\0\0",
    ),
];

/// So much is said at most, a piece at a time, unless the gateway has had enough before.
const MOST: usize = 8 * 1024 * 1024;

fn endlessly(request: &Recorded, wire: &mut Wire) -> io::Result<Then> {
    let Some((_, number)) = request.target().split_once("endless/") else {
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        return Ok(Then::Keep);
    };
    let (_, begin, more) = ENDLESS[number.parse::<usize>().unwrap_or_default()];
    wire.send(begin.as_bytes())?;
    let piece = more.repeat(16 * 1024 / more.len());
    for _ in 0..MOST / piece.len() {
        wire.send(piece.as_bytes())?;
    }
    Ok(Then::Close)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_never_stops_costs_its_own_request_only() {
    let upstream = Upstream::scripted(endlessly);
    let world = World::with(&upstream, |config| {
        config
            .set("upstreams.app.timeouts.response", "2s")
            .set("upstreams.app.timeouts.idle", "2s");
    });
    canary(&world);
    let before = resident(&world);
    for (number, (what, _, _)) in ENDLESS.iter().enumerate() {
        let head = format!(
            "GET /public/endless/{number} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            world.authority()
        );
        let mut wire = world.tls();
        wire.send(head.as_bytes()).expect("a request");
        let answer = wire.answer("GET").map(|answer| answer.status);
        // A head that was whole has been passed on, and what followed breaks the answer off; anything else is the upstream's failure.
        assert!(matches!(answer, Err(_) | Ok(200 | 502 | 504)), "{what}: {answer:?}");
        canary(&world);
    }
    let grown = resident(&world).saturating_sub(before);
    assert!(grown < 10 * 1024, "{grown} KiB more than before");
    assert!(!world.output().contains("panicked"), "{}", world.output());
}
