//! HTTP/2: many streams at once. What they answer is sent together, and is whole; who takes nothing of it is cut off and holds little until then.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::canary;
use super::exhaustion::{peak, resident};
use super::frames::{
    DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame,
    get,
};
use crate::world::{PATIENCE, Upstream, World, until};

/// As many as the gateway lets a client have.
const STREAMS: u32 = 100;

/// A connection that may be sent anything, without ever being asked to go on.
fn wide_open(world: &World) -> Frames {
    let mut frames = Frames::open(world);
    let window = 0x7fff_ffff_u32.to_be_bytes();
    frames
        .send(SETTINGS, 0, 0, &[&[0, 4], window.as_slice()].concat())
        .expect("settings");
    frames
        .send(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes())
        .expect("a window");
    frames
}

fn ask_all(frames: &mut Frames, host: &str, path: impl Fn(u32) -> String) {
    let ask = |number| {
        let head = block(&get(host, &path(number)));
        frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &head)
    };
    let all: Vec<u8> = (0..STREAMS).flat_map(ask).collect();
    frames.raw(&all).expect("a hundred requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_streams_is_answered_whole_and_nothing_is_mixed_up() {
    // From less than a frame that h2 copies to several times what waits for a connection.
    for length in [10, 1_000, 20_000] {
        let upstream = Upstream::answering(move |request| {
            let body = format!("{} ", request.target()).repeat(length / 10);
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        });
        let world = World::start(&upstream);
        let host = world.authority();
        let mut frames = wide_open(&world);
        let path = |number| format!("/public/{number}");
        ask_all(&mut frames, &host, path);
        let mut bodies: BTreeMap<u32, String> = BTreeMap::new();
        let mut open = STREAMS;
        while open > 0 {
            let frame = frames.next().expect("a frame");
            assert!(![RST_STREAM, GOAWAY].contains(&frame.kind), "frame {}", frame.kind);
            if frame.kind == DATA {
                let body = bodies.entry(frame.stream).or_default();
                body.push_str(std::str::from_utf8(&frame.payload).expect("text"));
            }
            if matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0 {
                open -= 1;
            }
        }
        for number in 0..STREAMS {
            let whole = format!("{} ", path(number)).repeat(length / 10);
            assert!(
                bodies.get(&(2 * number + 1)) == Some(&whole),
                "stream {number} of {length}"
            );
        }
    }
}

/// Answers of a mebibyte each, behind a gateway that gives a client a second to take something of them.
fn large() -> (Upstream, World) {
    let body = "x".repeat(1024 * 1024);
    let upstream = Upstream::answering(move |request| {
        if request.target().ends_with("canary") {
            return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned();
        }
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    });
    let world = World::with(&upstream, |config| {
        for limit in ["body_timeout", "idle_timeout"] {
            config.set(&format!("server.limits.{limit}"), "1s");
        }
    });
    (upstream, world)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_nothing_of_many_answers_is_cut_off_and_holds_little_until_then() {
    let (upstream, world) = large();
    canary(&world);
    let before = resident(&world);
    let host = world.authority();
    let open = || world.metric("gateward_connections_open", &["listener=\"https\""]);
    let mut frames = wide_open(&world);
    ask_all(&mut frames, &host, |_| "/public/large".to_owned());
    until("all hundred are under way", || (upstream.count() > 100).then_some(()));
    assert!(open() >= 1.0);
    until("it is cut off", || (open() == 0.0).then_some(()));
    let grown = peak(&world).saturating_sub(before);
    assert!(grown < 64 * 1024, "100 MiB that nobody reads took {grown} KiB");
    canary(&world);
    drop(frames);
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_are_no_sign_that_a_client_takes_anything() {
    let (_upstream, world) = large();
    let mut frames = Frames::open(&world);
    frames.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).expect("no window");
    let head = block(&get(&world.authority(), "/public/large"));
    frames
        .send(HEADERS, END_HEADERS | END_STREAM, 1, &head)
        .expect("a request");
    assert_eq!(frames.status(1), Some(200));
    // So many at once that their answers are longer together than many an answer to a request.
    let pings = frame(PING, 0, 0, &[7; 8]).repeat(64);
    let began = Instant::now();
    while frames.raw(&pings).is_ok() && (0..64).all(|_| frames.next().is_ok_and(|frame| frame.kind != GOAWAY)) {
        assert!(began.elapsed() < PATIENCE, "it is never cut off");
        std::thread::sleep(Duration::from_millis(50));
    }
}
