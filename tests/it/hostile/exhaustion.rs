//! Whatever costs the sender little must not cost the gateway, or anybody else behind it, much.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::json;

use super::canary;
use super::frames::{ACK, END_HEADERS, END_STREAM, Frames, HEADERS, PING, block, get};
use crate::world::{PASSWORD, Upstream, Wire, World, certificate};

/// What the gateway has in memory, in KiB.
#[track_caller]
pub fn resident(world: &World) -> u64 {
    memory(world, "VmRSS:")
}

/// The most it ever had, in KiB.
#[track_caller]
pub fn peak(world: &World) -> u64 {
    memory(world, "VmHWM:")
}

#[track_caller]
fn memory(world: &World, which: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", world.pid())).expect("the process lives");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(which))
        .expect("a size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Endpoints that read a body.
pub(super) const ASKED_IN_JSON: [&str; 10] = [
    "/auth/login",
    "/auth/register",
    "/auth/refresh",
    "/auth/password",
    "/auth/password/forgot",
    "/auth/password/reset",
    "/auth/confirm",
    "/auth/confirm/resend",
    "/auth/email",
    "/auth/logout",
];

/// Bodies that no endpoint of ours has asked for.
pub(super) fn no_questions() -> Vec<(&'static str, String)> {
    let deep = format!("{{\"email\":{}{}}}", "[".repeat(7000), "]".repeat(7000));
    let long = json!({"email": "ada@example.com", "password": "x".repeat(15_000)}).to_string();
    let huge = json!({"email": "ada@example.com", "password": "x".repeat(100_000)}).to_string();
    vec![
        ("nothing", String::new()),
        ("no JSON", "\u{0}".to_owned()),
        ("half of it", "{\"email\":".to_owned()),
        ("a list", "[]".to_owned()),
        ("null", "null".to_owned()),
        (
            "nulls",
            r#"{"email":null,"password":null,"current":null,"new":null,"refresh_token":null}"#.to_owned(),
        ),
        (
            "numbers",
            r#"{"email":1e999,"password":-0,"current":0,"new":0,"refresh_token":0}"#.to_owned(),
        ),
        (
            "doubled members",
            r#"{"email":"a@b.example","email":"c@d.example","password":"x","password":"y"}"#.to_owned(),
        ),
        (
            "a lone surrogate",
            r#"{"email":"\ud800","password":"\ud800"}"#.to_owned(),
        ),
        ("deep", deep),
        ("a long password", long),
        ("a huge password", huge),
        (
            "a byte order mark",
            format!("\u{feff}{}", json!({"email": "ada@example.com", "password": PASSWORD})),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_questions_are_refused_at_once_and_told_nothing() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let bodies = no_questions();
    for path in ASKED_IN_JSON {
        for (what, body) in &bodies {
            let call = world.client().post(path).header("content-type", "application/json");
            let answer = call.body(body.clone()).send().await;
            assert!(
                matches!(answer.status, 204 | 400 | 401 | 404 | 410 | 413 | 422),
                "{path}, {what}: {} {}",
                answer.status,
                answer.text()
            );
        }
        let call = world.client().post(path).header("content-type", "text/plain");
        let answer = call
            .body(json!({"email": "ada@example.com", "password": PASSWORD}).to_string())
            .send()
            .await;
        assert!(matches!(answer.status, 401 | 415), "{path}: {}", answer.status);
    }
    canary(&world);
}

/// Heads that are longer, or cut into more, than any has reason to be.
pub(super) fn endless(host: &str) -> Vec<(&'static str, String)> {
    vec![
        (
            "a thousand fields",
            format!("GET /public HTTP/1.1\r\nHost: {host}\r\n{}\r\n", "a:b\r\n".repeat(1000)),
        ),
        (
            "a long name",
            format!(
                "GET /public HTTP/1.1\r\nHost: {host}\r\n{}: b\r\n\r\n",
                "a".repeat(70_000)
            ),
        ),
        (
            "a long value",
            format!(
                "GET /public HTTP/1.1\r\nHost: {host}\r\na: {}\r\n\r\n",
                "b".repeat(70_000)
            ),
        ),
        (
            "a long path",
            format!("GET /public/{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "a".repeat(70_000)),
        ),
        (
            "a long query",
            format!("GET /public?{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "a".repeat(70_000)),
        ),
        (
            "a long method",
            format!("{} /public HTTP/1.1\r\nHost: {host}\r\n\r\n", "A".repeat(70_000)),
        ),
        (
            "a long host",
            format!("GET /public HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(20_000)),
        ),
        (
            "a path of slashes",
            format!("GET /{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "/".repeat(20_000)),
        ),
        (
            "a path of escapes",
            format!("GET /{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "%2525".repeat(5_000)),
        ),
        (
            "a path of segments",
            format!("GET /{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "a/".repeat(10_000)),
        ),
        (
            "cookies without end",
            format!(
                "GET /things HTTP/1.1\r\nHost: {host}\r\nCookie: {}\r\n\r\n",
                "a=b;".repeat(7_000)
            ),
        ),
        (
            "names in Connection without end",
            format!(
                "GET /things HTTP/1.1\r\nHost: {host}\r\nConnection: {}\r\n\r\n",
                "a,".repeat(14_000)
            ),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_beyond_every_measure_are_refused() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let host = world.authority();
    let before = resident(&world);
    for (what, head) in endless(&host) {
        for _ in 0..5 {
            let mut wire = world.tls();
            if wire.send(head.as_bytes()).is_ok() {
                let answer = wire.answer("GET").map(|answer| answer.status);
                assert!(
                    matches!(answer, Err(_) | Ok(400 | 401 | 414 | 431)),
                    "{what}: {answer:?}"
                );
            }
        }
        canary(&world);
    }
    assert!(super::arrived(&upstream).is_empty(), "{:?}", upstream.count());
    let grown = resident(&world).saturating_sub(before);
    assert!(grown < 10 * 1024, "{grown} KiB more than before");
}

/// Four hundred connections that were begun in one way or another and go on no further.
pub(super) fn idlers(world: &World) -> Vec<Wire> {
    let host = world.authority();
    let tls = certificate::trusting(world.dir());
    let mut held: Vec<Wire> = Vec::new();
    for number in 0..200 {
        held.push(world.silent());
        if number % 4 == 0 {
            let mut wire = world.silent();
            let _ = wire.send(&[0x16, 0x03, 0x01, 0x02]);
            held.push(wire);
            let mut wire = world.tls();
            let _ = wire.send(format!("GET /public HTTP/1.1\r\nHost: {host}\r\nX-Slow: ").as_bytes());
            held.push(wire);
            let mut wire = world.tls();
            let post = format!(
                "POST /auth/login HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
            );
            let _ = wire.send(post.as_bytes());
            held.push(wire);
            let mut wire = world.tls();
            let _ = wire.send(
                format!("POST /public HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n").as_bytes(),
            );
            held.push(wire);
            let mut wire =
                Wire::connect_tls(world.https_port(), "localhost", tls.clone(), &[b"h2"]).expect("a connection");
            let _ = wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
            held.push(wire);
        }
    }
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_who_say_nothing_or_half_of_it_hold_nobody_up() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let held = idlers(&world);
    canary(&world);
    let who = world.person("ada").await;
    who.get("/things").await.is(200);
    drop(held);
    canary(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_without_a_session_can_fill_the_log() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.set("log.level", "info");
    });
    // A server name that is an address (RFC 6066 §3), and the answer to a ping that was never sent: libraries warn of either.
    let peer = format!("127.0.0.1:{}", world.https_port());
    let mut hello = Command::new("openssl");
    hello.args(["s_client", "-connect", &peer, "-servername", "127.0.0.1"]);
    let shaken = hello.stdin(Stdio::null()).output().expect("openssl runs");
    assert!(String::from_utf8_lossy(&shaken.stdout).contains("TLSv1.3"));
    let mut frames = Frames::open(&world);
    frames.send(PING, ACK, 0, b"unasked!").expect("a frame");
    let host = format!("localhost:{}", world.https_port());
    let request = block(&get(&host, "/public/x"));
    frames
        .send(HEADERS, END_HEADERS | END_STREAM, 1, &request)
        .expect("a frame");
    assert_eq!(frames.status(1), Some(200));
    let written = world.output();
    let libraries = ["rustls", "h2::", "hyper"];
    let lines: Vec<&str> = written
        .lines()
        .filter(|line| libraries.iter().any(|name| line.contains(name)))
        .collect();
    assert!(lines.is_empty(), "{lines:#?}");
}
