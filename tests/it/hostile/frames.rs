//! HTTP/2 by hand: frames as they are written, header blocks without compression, so that what no library would send can be sent.

use std::io;

use crate::world::{Wire, World, certificate};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const ACK: u8 = 1;

/// A connection after its preface.
pub struct Frames(Wire);

/// A frame that came.
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frames {
    /// Connects and says the preface. The peer is asked for header blocks without a dynamic table, so that each can be read by itself.
    #[track_caller]
    pub fn open(world: &World) -> Self {
        let tls = certificate::trusting(world.dir());
        let mut wire = Wire::connect_tls(world.https_port(), "localhost", tls, &[b"h2"]).expect("a TLS connection");
        wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("the preface");
        let mut frames = Self(wire);
        frames.send(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]).expect("the settings");
        frames
    }

    /// Sends a frame.
    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.0.send(&frame(kind, flags, stream, payload))
    }

    /// Sends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.send(bytes)
    }

    /// The next frame; settings and pings are answered on the way.
    pub fn next(&mut self) -> io::Result<Frame> {
        let head = self.0.exactly(9)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = self.0.exactly(length)?;
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        let frame = Frame {
            kind: head[3],
            flags: head[4],
            stream,
            payload,
        };
        if matches!(frame.kind, SETTINGS | PING) && frame.flags & ACK == 0 {
            let echo = if frame.kind == PING {
                frame.payload.clone()
            } else {
                Vec::new()
            };
            // The other end may be gone by now.
            let _ = self.send(frame.kind, ACK, 0, &echo);
        }
        Ok(frame)
    }

    /// The status of a stream's answer; `None`: the stream was reset, or the connection ended.
    pub fn status(&mut self, stream: u32) -> Option<u16> {
        loop {
            let frame = self.next().ok()?;
            match frame.kind {
                HEADERS if frame.stream == stream => return status(&frame.payload),
                RST_STREAM if frame.stream == stream => return None,
                GOAWAY if frame.payload.get(4..8) != Some(&[0; 4]) => return None,
                _ => {}
            }
        }
    }
}

/// One request on a connection of its own.
#[track_caller]
pub fn ask(world: &World, fields: &[(&str, &str)], body: &[u8]) -> Option<u16> {
    let mut frames = Frames::open(world);
    let end = if body.is_empty() { END_STREAM } else { 0 };
    frames.send(HEADERS, END_HEADERS | end, 1, &block(fields)).ok()?;
    if !body.is_empty() {
        frames.send(DATA, END_STREAM, 1, body).ok()?;
    }
    frames.status(1)
}

/// The usual pseudo-header fields of a GET.
pub fn get<'a>(authority: &'a str, path: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", authority),
        (":path", path),
    ]
}

/// A frame's bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header block of literals without indexing (RFC 7541 §6.2.2).
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        text(&mut bytes, name);
        text(&mut bytes, value);
    }
    bytes
}

/// A string without Huffman coding (RFC 7541 §5.2).
pub fn text(bytes: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    if length < 127 {
        bytes.push(u8::try_from(length).expect("a short string"));
    } else {
        bytes.push(127);
        length -= 127;
        while length >= 128 {
            bytes.push(u8::try_from(length % 128).expect("seven bits") | 128);
            length /= 128;
        }
        bytes.push(u8::try_from(length).expect("seven bits"));
    }
    bytes.extend(text.as_bytes());
}

/// `:status`, which stands first.
pub fn status(block: &[u8]) -> Option<u16> {
    let mut block = block;
    // Changes of the table's size.
    while let Some((first, rest)) = block.split_first()
        && first & 0xe0 == 0x20
    {
        block = rest;
    }
    let (first, rest) = block.split_first()?;
    match first {
        0x88 => Some(200),
        0x89 => Some(204),
        0x8a => Some(206),
        0x8b => Some(304),
        0x8c => Some(400),
        0x8d => Some(404),
        0x8e => Some(500),
        0x08 | 0x18 | 0x48 => digits(rest),
        other => panic!("not a status: {other:#x}"),
    }
}

fn digits(text: &[u8]) -> Option<u16> {
    let (length, bytes) = text.split_first()?;
    let bytes = bytes.get(..usize::from(length & 0x7f))?;
    if length & 0x80 == 0 {
        return std::str::from_utf8(bytes).ok()?.parse().ok();
    }
    // RFC 7541, appendix B: 0 to 2 have five bits, 3 to 9 six.
    let bits: Vec<u16> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| u16::from(byte >> at & 1)))
        .collect();
    let (mut at, mut number) = (0, 0);
    for _ in 0..3 {
        let take = |count: usize| bits[at..at + count].iter().fold(0, |sum, bit| sum * 2 + bit);
        let (digit, used) = match take(5) {
            short @ 0..=2 => (short, 5),
            _ => (take(6) - 0b01_1001 + 3, 6),
        };
        number = number * 10 + digit;
        at += used;
    }
    Some(number)
}
