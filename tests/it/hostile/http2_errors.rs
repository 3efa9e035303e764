//! What RFC 9113 and RFC 7541 call an error is one: the stream is reset or the connection ends, and nothing of it is answered or goes on.
//!
//! The cases are those that the conformance suite h2spec thinks most of; the suite itself is run by hand (SECURITY.md).

use std::io::ErrorKind;

use super::frames::{
    self, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, block, frame, get,
};
use super::{arrived, canary};
use crate::world::{Upstream, World};

const PRIORITY: u8 = 2;
const PUSH_PROMISE: u8 = 5;
const PADDED: u8 = 8;
const PRIORITISED: u8 = 0x20;

/// Frames that are an error, whatever stands behind them.
fn errors(host: &str) -> Vec<(&'static str, Vec<u8>)> {
    let head = block(&get(host, "/public/x"));
    let whole = END_HEADERS | END_STREAM;
    let with = |more: &[u8]| [head.clone(), more.to_vec()].concat();
    let open = frame(
        HEADERS,
        END_HEADERS,
        1,
        &block(&[&get(host, "/public/x")[1..], &[(":method", "POST")]].concat()),
    );
    let then = |first: &[u8], second: Vec<u8>| [first.to_vec(), second].concat();
    vec![
        // §4.1, §4.2
        ("a frame longer than was allowed", frame(DATA, 0, 1, &[0; 16_385])),
        (
            "a header block longer than was allowed",
            frame(HEADERS, whole, 1, &[0; 16_385]),
        ),
        // §4.3, §6.10
        (
            "data amid a header block",
            then(&frame(HEADERS, 0, 1, &head), frame(DATA, 0, 1, b"")),
        ),
        (
            "another stream amid a header block",
            then(&frame(HEADERS, 0, 1, &head), frame(HEADERS, whole, 3, &head)),
        ),
        (
            "a ping amid a header block",
            then(&frame(HEADERS, 0, 1, &head), frame(PING, 0, 0, &[0; 8])),
        ),
        (
            "a block's rest of another stream",
            then(&frame(HEADERS, 0, 1, &head), frame(CONTINUATION, END_HEADERS, 3, b"")),
        ),
        (
            "a block's rest without a beginning",
            frame(CONTINUATION, END_HEADERS, 1, &head),
        ),
        (
            "a block's rest after its end",
            then(&open, frame(CONTINUATION, END_HEADERS, 1, &head)),
        ),
        // §5.1, §5.1.1
        ("data on an idle stream", frame(DATA, END_STREAM, 1, b"x")),
        ("a reset of an idle stream", frame(RST_STREAM, 0, 1, &[0; 4])),
        ("a window for an idle stream", frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])),
        ("a stream of an even number", frame(HEADERS, whole, 2, &head)),
        // §6.1 to §6.9
        ("data on no stream", frame(DATA, END_STREAM, 0, b"x")),
        ("a head on no stream", frame(HEADERS, whole, 0, &head)),
        (
            "padding longer than its frame",
            then(&open, frame(DATA, PADDED, 1, &[200, 0, 0])),
        ),
        (
            "a head of nothing but padding",
            frame(HEADERS, whole | PADDED, 1, &[255, 0]),
        ),
        (
            "a head that depends on itself",
            frame(
                HEADERS,
                whole | PRIORITISED,
                1,
                &[&[0, 0, 0, 1, 16], head.as_slice()].concat(),
            ),
        ),
        ("a priority on no stream", frame(PRIORITY, 0, 0, &[0, 0, 0, 3, 16])),
        ("a reset on no stream", frame(RST_STREAM, 0, 0, &[0; 4])),
        ("a reset of three octets", then(&open, frame(RST_STREAM, 0, 1, &[0; 3]))),
        ("settings on a stream", frame(SETTINGS, 0, 1, &[0, 3, 0, 0, 0, 100])),
        ("settings of five octets", frame(SETTINGS, 0, 0, &[0; 5])),
        ("an acknowledgement that says something", frame(SETTINGS, 1, 0, &[0; 6])),
        (
            "pushes neither allowed nor not",
            frame(SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 2]),
        ),
        ("a window beyond numbers", frame(SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0])),
        (
            "frames shorter than all may be",
            frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1]),
        ),
        (
            "a promise of a client's",
            frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]),
        ),
        ("a ping on a stream", frame(PING, 0, 1, &[0; 8])),
        ("a ping of seven octets", frame(PING, 0, 0, &[0; 7])),
        ("a farewell on a stream", frame(GOAWAY, 0, 1, &[0; 8])),
        ("a window of three octets", frame(WINDOW_UPDATE, 0, 0, &[0; 3])),
        ("a window that does not grow", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        // RFC 7541 §2.3.3, §5.2, §6.3
        ("an index of nothing", frame(HEADERS, whole, 1, &with(&[0x80]))),
        (
            "an index beyond the tables",
            frame(HEADERS, whole, 1, &with(&[0xff, 0x80, 0x01])),
        ),
        (
            "a table larger than was allowed",
            frame(
                HEADERS,
                whole,
                1,
                &[&[0x3f, 0xe1, 0xff, 0x7f], head.as_slice()].concat(),
            ),
        ),
        (
            "a table's size behind a field",
            frame(HEADERS, whole, 1, &with(&[0x20])),
        ),
        (
            "a string longer than its block",
            frame(HEADERS, whole, 1, &with(&[0, 0x7f, 0xff, 0x01])),
        ),
        (
            "Huffman padding of a whole octet",
            frame(HEADERS, whole, 1, &with(&[0, 1, b'x', 0x82, 0x1f, 0xff])),
        ),
        (
            "Huffman padding of zeros",
            frame(HEADERS, whole, 1, &with(&[0, 1, b'x', 0x81, 0x18])),
        ),
        ("an integer without end", frame(HEADERS, whole, 1, &with(&[0xff; 40]))),
    ]
}

/// Whether the gateway calls it an error: the stream is reset, the connection says good-bye with a reason, or it is closed.
fn is_refused(frames: &mut Frames) -> bool {
    loop {
        let frame = match frames.next() {
            Ok(frame) => frame,
            // To say nothing is not to refuse.
            Err(e) => return !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        };
        match frame.kind {
            RST_STREAM => return true,
            GOAWAY => return frame.payload.get(4..8) != Some(&[0; 4]),
            HEADERS => return frames::status(&frame.payload).is_some_and(|status| status == 400),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_protocol_calls_an_error_is_never_answered() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    for (what, bytes) in errors(&world.authority()) {
        let mut frames = Frames::open(&world);
        // It may be gone before all was said.
        let _ = frames.raw(&bytes);
        assert!(is_refused(&mut frames), "{what}");
    }
    assert!(arrived(&upstream).is_empty(), "{:?}", arrived(&upstream));
    canary(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_knows_yet_is_passed_over() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let mut frames = Frames::open(&world);
    for unknown in [
        frame(0x16, 0xff, 0, b"whatever"),
        frame(SETTINGS, 0, 0, &[0xff, 0xff, 0, 0, 0, 1]),
        frame(PING, 0xf0, 0, b"flagged!"),
        frame(PRIORITY, 0, 7, &[0, 0, 0, 3, 16]),
    ] {
        frames.raw(&unknown).expect("a frame");
    }
    let head = block(&get(&world.authority(), "/public/x"));
    frames
        .send(HEADERS, END_HEADERS | END_STREAM, 1, &head)
        .expect("a request");
    assert_eq!(frames.status(1), Some(200));
}
