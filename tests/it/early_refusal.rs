//! Refusals that go out before their request has ended: a client that writes all it has before it reads still gets them, and one that never stops is left.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::world::upstream::Then;
use crate::world::{PATIENCE, Upstream, Wire, World, until};

/// More than any route takes by default.
const LONG: usize = 20 * 1024 * 1024;

/// A request that is refused by its head, or after the first 16 MiB where it does not say how long it is.
fn refused(world: &World, path: &str, chunked: bool) -> (String, Vec<u8>) {
    let framing = if chunked {
        "Transfer-Encoding: chunked".to_owned()
    } else {
        format!("Content-Length: {LONG}")
    };
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n{framing}\r\n\r\n",
        world.authority()
    );
    let body = if chunked {
        let chunk = [b"100000\r\n".as_slice(), &vec![b'x'; 1024 * 1024], b"\r\n"].concat();
        [chunk.repeat(LONG / (1024 * 1024)), b"0\r\n\r\n".to_vec()].concat()
    } else {
        vec![b'x'; LONG]
    };
    (head, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_a_whole_body_before_it_reads_still_gets_its_refusal() {
    let upstream = Upstream::friendly();
    let over_tls = World::start(&upstream);
    let bare = World::with(&upstream, |config| {
        config.remove("server.https");
    });
    for (world, connect) in [(&over_tls, World::tls as fn(&World) -> Wire), (&bare, World::tcp)] {
        for (path, chunked, status, code) in [
            ("/public", false, 413, "payload_too_large"),
            ("/public", true, 413, "payload_too_large"),
            ("/things", false, 401, "no_token"),
            ("/auth/login", false, 413, "payload_too_large"),
        ] {
            let mut wire = connect(world);
            let (head, body) = refused(world, path, chunked);
            wire.send(head.as_bytes()).expect("the head");
            wire.send(&body).unwrap_or_else(|e| panic!("{path}: {e}"));
            let answer = wire.answer("POST").unwrap_or_else(|e| panic!("{path}: {e}"));
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}");
            assert_eq!(wire.rest().expect("closed in order"), b"", "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_goes_on_after_a_refusal_is_left_in_the_end_and_its_seat_is_free() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let mut wire = world.tls();
    let (head, _) = refused(&world, "/things", false);
    wire.send(head.as_bytes()).expect("the head");
    assert_eq!(wire.answer("POST").expect("an answer").status, 401);
    let began = Instant::now();
    while wire.send(b"x").is_ok() {
        assert!(began.elapsed() < PATIENCE, "never left");
        std::thread::sleep(Duration::from_millis(50));
    }
    until("the seat is free", || {
        (world.metric("gateward_connections_open", &["listener=\"https\""]) < 1.0).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_client_that_stays_silent_keeps_its_connection_no_longer_than_others() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.set("server.limits.connections", 1);
    });
    let mut wire = world.tls();
    let (head, _) = refused(&world, "/things", false);
    wire.send(head.as_bytes()).expect("the head");
    assert_eq!(wire.answer("POST").expect("an answer").status, 401);
    // It holds the only seat, and says nothing more.
    let request = format!("GET /public HTTP/1.1\r\nHost: {}\r\n\r\n", world.authority());
    assert_eq!(world.tls().ask(&request).status, 200);
    drop(wire);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_that_breaks_off_is_not_closed_as_if_it_were_whole() {
    let (go_on, goes_on) = channel();
    let goes_on = Mutex::new(goes_on);
    let upstream = Upstream::scripted(move |request, wire| {
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nonly a part\r\n")?;
        let _ = goes_on.lock().unwrap().recv_timeout(PATIENCE);
        if request.target().ends_with("whole") {
            wire.send(b"0\r\n\r\n")?;
        }
        Ok(Then::Close)
    });
    let world = World::start(&upstream);
    for (path, in_order) in [("/public/whole", true), ("/public/part", false)] {
        // In HTTP/1.0 an answer without a length ends with the connection, and with nothing else that could be missed.
        let head = format!(
            "POST {path} HTTP/1.0\r\nHost: {}\r\nX-Read-Body: no\r\nContent-Length: 1000000\r\n\r\nx",
            world.authority()
        );
        let mut wire = world.tls();
        wire.send(head.as_bytes()).expect("the beginning of a request");
        assert!(wire.head().expect("an answer").is_some());
        go_on.send(()).expect("the upstream waits");
        assert_eq!(wire.closed_in_order(), in_order, "{path}");
    }
}
