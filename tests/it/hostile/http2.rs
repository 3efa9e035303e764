//! HTTP/2: what its framing lets one say that HTTP/1.1 cannot, and floods of what costs the sender nothing.

use super::exhaustion::resident;
use super::frames::{
    self, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    block, get, text,
};
use super::{arrived, canary};
use crate::world::upstream::Recorded;
use crate::world::{Upstream, World};

/// A request's fields, pseudo-header fields among them.
type Fields<'a> = Vec<(&'a str, &'a str)>;

/// Heads that HTTP/2 can carry and HTTP/1.1 could not, or that say two things.
pub(super) fn malformed(host: &str) -> Vec<(&'static str, Fields<'_>)> {
    let usual = || get(host, "/public/x");
    let with = |field: (&'static str, &'static str)| {
        let mut fields = usual();
        fields.push(field);
        fields
    };
    let changed = |name: &str, value: &'static str| {
        let mut fields = usual();
        fields
            .iter_mut()
            .filter(|(known, _)| *known == name)
            .for_each(|field| field.1 = value);
        fields
    };
    let without = |name: &str| {
        usual()
            .into_iter()
            .filter(|(known, _)| *known != name)
            .collect::<Vec<_>>()
    };
    let twice = |name: &str| {
        let mut fields = usual();
        fields.extend(usual().into_iter().filter(|(known, _)| *known == name));
        fields
    };
    let late = || {
        let mut fields = vec![("x-first", "1")];
        fields.extend(usual());
        fields
    };
    vec![
        ("no method", without(":method")),
        ("no path", without(":path")),
        ("no scheme", without(":scheme")),
        ("no authority", without(":authority")),
        ("two methods", twice(":method")),
        ("two paths", twice(":path")),
        ("two authorities", twice(":authority")),
        ("pseudo-header fields behind others", late()),
        ("an unknown pseudo-header field", with((":forwarded-user", "root"))),
        ("an answer's pseudo-header field", with((":status", "200"))),
        ("a protocol without CONNECT", with((":protocol", "websocket"))),
        ("an empty path", changed(":path", "")),
        ("an empty authority", changed(":authority", "")),
        ("an asterisk", changed(":path", "*")),
        ("a path without a slash", changed(":path", "public")),
        (
            "a path that is a whole target",
            changed(":path", "https://evil.example/public"),
        ),
        ("a path with a space", changed(":path", "/public HTTP/1.1")),
        (
            "a path with a line end",
            changed(":path", "/public HTTP/1.1\r\nX-Forwarded-User: root\r\n"),
        ),
        ("a path with a NUL", changed(":path", "/public\0")),
        ("a path with two slashes", changed(":path", "//public")),
        ("a path with dots", changed(":path", "/public/../things")),
        (
            "a method with a line end",
            changed(":method", "GET /x HTTP/1.1\r\nX: y\r\n\r\nGET"),
        ),
        ("a method with a space", changed(":method", "GET /x")),
        ("CONNECT", changed(":method", "CONNECT")),
        ("TRACE", changed(":method", "TRACE")),
        ("an authority with a user", changed(":authority", "evil@localhost")),
        ("an authority with a path", changed(":authority", "localhost/x")),
        (
            "an authority with a line end",
            changed(":authority", "localhost\r\nX: y"),
        ),
        (
            "an authority that is a list",
            changed(":authority", "localhost,evil.example"),
        ),
        (
            "another authority than the handshake's",
            changed(":authority", "evil.example"),
        ),
        ("another scheme", changed(":scheme", "ftp")),
        ("a scheme that is more", changed(":scheme", "https://evil.example/?")),
        ("another host", with(("host", "evil.example"))),
        ("connection", with(("connection", "x-forwarded-user"))),
        ("keep-alive", with(("keep-alive", "timeout=5"))),
        ("proxy-connection", with(("proxy-connection", "keep-alive"))),
        ("transfer-encoding", with(("transfer-encoding", "chunked"))),
        ("an alias of transfer-encoding", with(("transfer_encoding", "chunked"))),
        ("an alias of content-length", with(("content_length", "5"))),
        ("upgrade", with(("upgrade", "websocket"))),
        ("te", with(("te", "gzip"))),
        ("http2-settings", with(("http2-settings", "AAAA"))),
        ("a name in capitals", with(("X-Forwarded-User", "root"))),
        ("a name with a space", with(("x y", "z"))),
        ("a name with a colon", with(("x:y", "z"))),
        ("a name with a line end", with(("x\r\nx-forwarded-user", "root"))),
        ("an empty name", with(("", "root"))),
        ("a value with a line end", with(("x", "y\r\nx-forwarded-user: root"))),
        ("a value with LF", with(("x", "y\nx-forwarded-user: root"))),
        ("a value with a NUL", with(("x", "y\0"))),
        ("a length without a body", with(("content-length", "5"))),
        ("a length in words", with(("content-length", "five"))),
        ("a signed length", with(("content-length", "+0"))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_refused_and_never_forwarded() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let host = world.authority();
    for (what, fields) in malformed(&host) {
        let answer = frames::ask(&world, &fields, b"");
        assert!(
            matches!(answer, None | Some(400 | 404 | 405 | 421 | 501)),
            "{what}: {answer:?}"
        );
    }
    assert!(arrived(&upstream).is_empty(), "{:?}", arrived(&upstream));
    canary(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_that_the_data_belie_never_passes_for_a_whole_body() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let host = world.authority();
    for (length, body) in [
        ("3", "hello"),
        ("10", "hello"),
        ("0", "hello"),
        ("5, 5", "hello"),
        ("05", "hello"),
    ] {
        let mut fields = get(&host, "/public/x");
        fields[0].1 = "POST";
        fields.push(("content-length", length));
        let answer = frames::ask(&world, &fields, body.as_bytes());
        assert!(matches!(answer, None | Some(400 | 502)), "{length}: {answer:?}");
    }
    let mut fields = get(&host, "/public/x");
    fields[0].1 = "POST";
    fields.extend([("content-length", "5"), ("content-length", "5")]);
    let answer = frames::ask(&world, &fields, b"hello");
    assert!(matches!(answer, None | Some(400)), "{answer:?}");
    // What says that it has no body may be on its way before the data come that belie it; it never has one.
    let as_announced = |request: &Recorded| request.body.is_empty() && request.values("content-length") == ["0"];
    let came = upstream.requests();
    assert!(came.iter().all(as_announced), "{came:?}");
    canary(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_and_crumbs_of_cookies_bring_nothing_past_the_boundary() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let ada = world.person("ada").await;
    let host = world.authority();
    let mut frames = Frames::open(&world);
    let mut fields = get(&host, "/public/x");
    fields[0].1 = "POST";
    frames.send(HEADERS, END_HEADERS, 1, &block(&fields)).expect("a head");
    frames.send(DATA, 0, 1, b"hello").expect("a body");
    let trailers = [
        ("x-forwarded-user", "root"),
        ("content-length", "7"),
        ("authorization", "Bearer x"),
    ];
    frames
        .send(HEADERS, END_HEADERS | END_STREAM, 1, &block(&trailers))
        .expect("trailers");
    assert_eq!(frames.status(1), Some(200));
    let request = upstream.last();
    assert_eq!(request.body, b"hello");
    assert!(request.values("x-forwarded-user").is_empty(), "{}", request.head);

    let browser = ada.in_browser(&world).await;
    let access = browser.cookie("__Host-gateward").expect("a cookie");
    let ours = format!("__Host-gateward={access}");
    let mut fields = get(&host, "/things");
    fields.extend([("cookie", "a=1"), ("cookie", ours.as_str()), ("cookie", "b=2")]);
    assert_eq!(frames::ask(&world, &fields, b""), Some(200));
    assert_eq!(upstream.last().value("cookie"), "a=1; b=2");
    fields.push(("cookie", "__Host-gateward=other"));
    assert_eq!(frames::ask(&world, &fields, b""), Some(400), "a doubled crumb");
}

/// Sends until it has sent all or the gateway has had enough.
fn flood(frames: &mut Frames, times: usize, bytes: &[u8]) {
    for _ in 0..times {
        if frames.raw(bytes).is_err() {
            return;
        }
    }
}

/// Every frame that costs its sender nothing, in thousands; nobody else notices.
#[track_caller]
pub(super) fn floods(world: &World) {
    let host = world.authority();
    // CVE-2023-44487.
    let mut reset = Frames::open(world);
    let head = block(&get(&host, "/public/x"));
    for stream in (1..6000).step_by(2) {
        let both = [
            frames::frame(HEADERS, END_HEADERS | END_STREAM, stream, &head),
            frames::frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()),
        ];
        if reset.raw(&both.concat()).is_err() {
            break;
        }
    }
    canary(world);
    // CVE-2025-8671: resets that the gateway is made to send.
    let mut made = Frames::open(world);
    for stream in (1..6000).step_by(2) {
        let both = [
            frames::frame(HEADERS, END_HEADERS | END_STREAM, stream, &head),
            frames::frame(WINDOW_UPDATE, 0, stream, &0_u32.to_be_bytes()),
        ];
        if made.raw(&both.concat()).is_err() {
            break;
        }
    }
    canary(world);
    // VU#421644.
    let mut endless = Frames::open(world);
    let _ = endless.send(HEADERS, END_STREAM, 1, &head);
    let more = frames::frame(CONTINUATION, 0, 1, &block(&[("x-more", &"x".repeat(4000))]));
    flood(&mut endless, 3000, &more);
    canary(world);
    let mut empty = Frames::open(world);
    let _ = empty.send(HEADERS, END_STREAM, 1, &head);
    flood(&mut empty, 50_000, &frames::frame(CONTINUATION, 0, 1, b""));
    canary(world);
    flood(
        &mut Frames::open(world),
        20_000,
        &frames::frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]),
    );
    canary(world);
    flood(&mut Frames::open(world), 20_000, &frames::frame(PING, 0, 0, &[0; 8]));
    canary(world);
    let mut data = Frames::open(world);
    let mut post = get(&host, "/public/x");
    post[0].1 = "POST";
    let _ = data.send(HEADERS, END_HEADERS, 1, &block(&post));
    flood(&mut data, 20_000, &frames::frame(DATA, 0, 1, b""));
    canary(world);
    flood(
        &mut Frames::open(world),
        20_000,
        &frames::frame(2, 0, 1, &[0, 0, 0, 3, 16]),
    );
    canary(world);
    flood(&mut Frames::open(world), 20_000, &frames::frame(0xee, 0, 0, &[0; 64]));
    canary(world);
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_frames_cost_nobody_else_anything() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    canary(&world);
    let before = resident(&world);
    floods(&world);
    let grown = resident(&world).saturating_sub(before);
    assert!(grown < 10 * 1024, "{grown} KiB more than before");
}

/// Header blocks that grow a thousandfold when they are read.
#[track_caller]
pub(super) fn bombs(world: &World) {
    let host = world.authority();
    for _ in 0..20 {
        let mut bomb = Frames::open(world);
        let mut bytes = block(&get(&host, "/public/x"));
        // Into the dynamic table once, and out of it a thousand times (index 62).
        bytes.push(0x40);
        text(&mut bytes, "x-bomb");
        text(&mut bytes, &"x".repeat(3500));
        bytes.extend([0xbe; 4000]);
        bomb.send(HEADERS, END_HEADERS | END_STREAM, 1, &bytes).expect("a bomb");
        let answer = bomb.status(1);
        assert!(matches!(answer, None | Some(431)), "{answer:?}");
        canary(world);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_block_that_unfolds_into_a_large_one_is_refused() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let before = resident(&world);
    bombs(&world);
    assert!(arrived(&upstream).is_empty());
    let grown = resident(&world).saturating_sub(before);
    assert!(grown < 10 * 1024, "{grown} KiB more than before");
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_never_open_or_overflow_hold_nobody_up() {
    let body = "x".repeat(1024 * 1024);
    let upstream = Upstream::answering(move |request| {
        if request.target().ends_with("canary") {
            return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned();
        }
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    });
    let world = World::start(&upstream);
    let host = world.authority();
    let before = resident(&world);
    let mut held = Vec::new();
    for _ in 0..5 {
        let mut shut = Frames::open(&world);
        shut.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).expect("no window");
        for stream in (1..40).step_by(2) {
            let _ = shut.send(
                HEADERS,
                END_HEADERS | END_STREAM,
                stream,
                &block(&get(&host, "/public/large")),
            );
        }
        held.push(shut);
    }
    canary(&world);
    let grown = resident(&world).saturating_sub(before);
    assert!(
        grown < 64 * 1024,
        "a hundred answers of 1 MiB that nobody reads took {grown} KiB"
    );
    for increment in [0_u32, 0x7fff_ffff] {
        let mut wide = Frames::open(&world);
        let _ = wide.send(WINDOW_UPDATE, 0, 0, &increment.to_be_bytes());
        let _ = wide.send(WINDOW_UPDATE, 0, 0, &increment.to_be_bytes());
        let _ = wide.send(HEADERS, END_HEADERS | END_STREAM, 1, &block(&get(&host, "/public/x")));
        assert_eq!(wide.status(1), None, "{increment:#x}");
        canary(&world);
    }
}
