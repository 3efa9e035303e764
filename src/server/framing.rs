//! Where each request begins and ends in the bytes of an HTTP/1 connection, judged apart from hyper.
//!
//! hyper takes `Content-Length` away when `Transfer-Encoding` stands beside it, joins equal doubles, and takes a bare LF for a line's end. All three are
//! how requests are smuggled past a proxy, and once hyper has parsed a head nothing shows that they were there. So the same bytes are read a second
//! time, strictly (RFC 9112 §2.2, §5.2, §6.3, §7.1): lines end in CRLF, one way to say a length. The reader follows bodies too, so heads are counted
//! where they truly stand and a body that looks like a head fools nobody. It scans always, not only when a coding is present: it must not lose its
//! place, and a head costs it two `memchr` a line. After the first fault it stays lost, and every later request on the connection is refused.

/// Why the bytes are not a well-formed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// hyper saw a request where this reader saw none.
    OutOfStep = 1,
    /// A line ends in LF alone, or holds a CR of its own.
    LineEnd = 2,
    /// A field line that begins with white space.
    Folded = 3,
    /// `Content-Length` beside `Transfer-Encoding`.
    TwoFramings = 4,
    /// `Content-Length` more than once, or not a plain number.
    Length = 5,
    /// A chunk that is not one.
    Chunk = 6,
    /// A line beyond every limit.
    TooLong = 7,
}

impl Fault {
    /// Words for the client.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::OutOfStep => "The request's framing is ambiguous.",
            Self::LineEnd => "Lines must end in CRLF.",
            Self::Folded => "Header lines must not be folded.",
            Self::TwoFramings => "Content-Length and Transfer-Encoding must not stand together.",
            Self::Length => "Content-Length must stand once and be a plain number.",
            Self::Chunk => "The body before this request is not framed as its head says.",
            Self::TooLong => "A line is too long.",
        }
    }

    /// The fault of a number, as `as u8` made it.
    pub const fn from_number(number: u8) -> Self {
        match number {
            2 => Self::LineEnd,
            3 => Self::Folded,
            4 => Self::TwoFramings,
            5 => Self::Length,
            6 => Self::Chunk,
            7 => Self::TooLong,
            _ => Self::OutOfStep,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    RequestLine,
    Fields,
    Counted(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    Lost(Fault),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    None,
    Chunked,
    Other,
}

#[derive(Clone, Copy, Debug, Default)]
struct Framed {
    length: Option<u64>,
    coding: Coding,
}

/// The reader of one connection's bytes.
#[derive(Debug)]
pub struct Framing {
    place: Place,
    framed: Framed,
    /// The beginning of a line whose end has not come yet; empty, and without memory, otherwise.
    carried: Vec<u8>,
    longest_line: usize,
    heads: u64,
}

impl Framing {
    /// At the start of a connection. `longest_line`: octets.
    pub fn new(longest_line: usize) -> Self {
        Self {
            place: Place::RequestLine,
            framed: Framed::default(),
            carried: Vec::new(),
            longest_line,
            heads: 0,
        }
    }

    /// Well-formed heads that have been read to their end.
    pub fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether a head has begun and not ended.
    pub fn is_inside_head(&self) -> bool {
        match self.place {
            Place::Fields => true,
            Place::RequestLine => !self.carried.is_empty(),
            _ => false,
        }
    }

    /// Whether the last request has ended and the next one not begun.
    pub fn is_between(&self) -> bool {
        self.place == Place::RequestLine && self.carried.is_empty()
    }

    /// Whether a body has begun and not ended.
    pub fn is_inside_body(&self) -> bool {
        !matches!(self.place, Place::RequestLine | Place::Fields | Place::Lost(_))
    }

    /// What is wrong, once something is.
    pub fn fault(&self) -> Option<Fault> {
        match self.place {
            Place::Lost(fault) => Some(fault),
            _ => None,
        }
    }

    /// Reads on.
    pub fn observe(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.place {
                Place::Lost(_) => return,
                Place::Counted(left) => self.skip(bytes, left, Place::RequestLine, Place::Counted),
                Place::ChunkData(left) => self.skip(bytes, left, Place::ChunkEnd, Place::ChunkData),
                _ => self.take_line(bytes),
            };
        }
    }

    fn skip<'a>(&mut self, bytes: &'a [u8], left: u64, then: Place, still: fn(u64) -> Place) -> &'a [u8] {
        let here = bytes.len() as u64;
        if here < left {
            self.place = still(left - here);
            return &[];
        }
        self.place = then;
        let taken = usize::try_from(left).unwrap_or(bytes.len());
        bytes.get(taken..).unwrap_or_default()
    }

    fn take_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some((line, rest)) = memchr::memchr(b'\n', bytes).and_then(|end| bytes.split_at_checked(end + 1)) else {
            self.carry(bytes);
            return &[];
        };
        if line.len() > self.longest_line {
            self.place = Place::Lost(Fault::TooLong);
        } else if self.carried.is_empty() {
            self.place = self.after_line(line);
        } else {
            self.carry(line);
            let whole = std::mem::take(&mut self.carried);
            if self.fault().is_none() {
                self.place = self.after_line(&whole);
            }
        }
        rest
    }

    fn carry(&mut self, bytes: &[u8]) {
        if self.carried.len() + bytes.len() > self.longest_line {
            self.carried = Vec::new();
            self.place = Place::Lost(Fault::TooLong);
        } else {
            self.carried.extend_from_slice(bytes);
        }
    }

    fn after_line(&mut self, line: &[u8]) -> Place {
        let Some(line) = without_end(line) else {
            return Place::Lost(Fault::LineEnd);
        };
        match self.place {
            // RFC 9112 §2.2: empty lines before a request line are passed over.
            Place::RequestLine if line.is_empty() => Place::RequestLine,
            Place::RequestLine => {
                self.framed = Framed::default();
                Place::Fields
            }
            Place::Fields if line.is_empty() => self.after_head(),
            Place::Fields => match self.framed.field(line) {
                Ok(()) => Place::Fields,
                Err(fault) => Place::Lost(fault),
            },
            Place::ChunkSize => match chunk_size(line) {
                Some(0) => Place::Trailers,
                Some(size) => Place::ChunkData(size),
                None => Place::Lost(Fault::Chunk),
            },
            Place::ChunkEnd if line.is_empty() => Place::ChunkSize,
            Place::ChunkEnd => Place::Lost(Fault::Chunk),
            Place::Trailers if line.is_empty() => Place::RequestLine,
            place => place,
        }
    }

    fn after_head(&mut self) -> Place {
        if self.framed.length.is_some() && self.framed.coding != Coding::None {
            return Place::Lost(Fault::TwoFramings);
        }
        self.heads += 1;
        match (self.framed.coding, self.framed.length) {
            (Coding::None, None | Some(0)) => Place::RequestLine,
            (Coding::None, Some(length)) => Place::Counted(length),
            (Coding::Chunked, _) => Place::ChunkSize,
            // Refused by its head (501); where its body ends is nobody's to guess.
            (Coding::Other, _) => Place::Lost(Fault::OutOfStep),
        }
    }
}

impl Framed {
    fn field(&mut self, line: &[u8]) -> Result<(), Fault> {
        match line.first() {
            Some(b' ' | b'\t') => return Err(Fault::Folded),
            Some(b'c' | b'C' | b't' | b'T') => {}
            _ => return Ok(()),
        }
        let Some((name, value)) = memchr::memchr(b':', line).and_then(|colon| line.split_at_checked(colon)) else {
            return Ok(());
        };
        let name = name.trim_ascii();
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = plain_number(value).ok_or(Fault::Length)?;
            if self.length.replace(length).is_some() {
                return Err(Fault::Length);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let only_chunked = self.coding == Coding::None && value.eq_ignore_ascii_case(b"chunked");
            self.coding = if only_chunked { Coding::Chunked } else { Coding::Other };
        }
        Ok(())
    }
}

/// The line before its CRLF, if it ends in one and holds no other CR.
fn without_end(line: &[u8]) -> Option<&[u8]> {
    let text = line.strip_suffix(b"\r\n")?;
    memchr::memchr(b'\r', text).is_none().then_some(text)
}

/// RFC 9110 §8.6: digits only; a zero before others is a second spelling of the same length.
fn plain_number(digits: &[u8]) -> Option<u64> {
    let canonical = digits == b"0" || digits.first().is_some_and(|first| (b'1'..=b'9').contains(first));
    let text = std::str::from_utf8(digits).ok()?;
    (canonical && digits.iter().all(u8::is_ascii_digit)).then(|| text.parse().ok())?
}

/// RFC 9112 §7.1: hexadecimal digits, then nothing or an extension.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let size = line.split(|byte| matches!(byte, b';' | b' ' | b'\t')).next()?;
    let text = std::str::from_utf8(size).ok()?;
    let hex = !size.is_empty() && size.iter().all(u8::is_ascii_hexdigit);
    hex.then(|| u64::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Framing {
        let mut framing = Framing::new(1024);
        framing.observe(bytes);
        framing
    }

    #[track_caller]
    fn assert_fault(bytes: &[u8], fault: Fault) {
        let framing = read(bytes);
        assert_eq!((framing.heads(), framing.fault()), (0, Some(fault)));
    }

    #[test]
    fn a_length_beside_a_coding_is_a_fault_in_any_spelling_and_order() {
        for (length, coding) in [
            ("Content-Length: 5", "Transfer-Encoding: chunked"),
            ("content-LENGTH:5", "TRANSFER-encoding:\tchunked "),
            ("Content-Length : 5", "Transfer-Encoding: chunked"),
            ("Content-Length: 0", "Transfer-Encoding: identity"),
        ] {
            for (first, second) in [(length, coding), (coding, length)] {
                let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{first}\r\n{second}\r\n\r\n0\r\n\r\n");
                assert_fault(head.as_bytes(), Fault::TwoFramings);
            }
        }
    }

    #[test]
    fn lines_that_do_not_end_in_crlf_are_a_fault() {
        assert_fault(b"GET / HTTP/1.1\nHost: a\r\n\r\n", Fault::LineEnd);
        assert_fault(b"GET / HTTP/1.1\r\nHost: a\n\r\n", Fault::LineEnd);
        assert_fault(b"GET / HTTP/1.1\r\nHost: a\r\n\n", Fault::LineEnd);
        assert_fault(b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", Fault::LineEnd);
        assert_fault(b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Fault::LineEnd);
    }

    #[test]
    fn a_folded_field_is_a_fault() {
        assert_fault(b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", Fault::Folded);
    }

    #[test]
    fn a_doubled_or_odd_length_is_a_fault() {
        for lines in [
            "Content-Length: 5\r\nContent-Length: 5",
            "Content-Length: +5",
            "Content-Length: 05",
            "Content-Length: 5, 5",
            "Content-Length: ",
            "Content-Length: 99999999999999999999999",
        ] {
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n");
            assert_fault(head.as_bytes(), Fault::Length);
        }
    }

    #[test]
    fn a_body_that_looks_like_a_head_is_not_counted_as_one() {
        let decoy = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
        let bytes = format!(
            "POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{decoy}GET /y HTTP/1.1\r\nHost: a\r\n\r\n",
            decoy.len()
        );
        assert_eq!(read(bytes.as_bytes()).heads(), 2);
    }

    #[test]
    fn after_a_broken_chunk_no_request_counts() {
        let framing = read(
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhellooo\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        );
        assert_eq!((framing.heads(), framing.fault()), (1, Some(Fault::Chunk)));
    }

    #[test]
    fn a_line_without_end_holds_no_more_than_its_limit() {
        let framing = read(&[b'a'; 2000]);
        assert_eq!((framing.carried.capacity(), framing.fault()), (0, Some(Fault::TooLong)));
    }

    #[test]
    fn a_line_that_is_too_long_is_a_fault_in_one_piece_as_in_many() {
        let bytes = [b"GET /".as_slice(), &[b'a'; 2000], b" HTTP/1.1\r\nHost: a\n\r\n"].concat();
        let mut pieces = Framing::new(1024);
        bytes.chunks(7).for_each(|piece| pieces.observe(piece));
        assert_eq!(pieces.fault(), Some(Fault::TooLong));
        assert_eq!(read(&bytes).fault(), Some(Fault::TooLong));
    }

    proptest! {
        #[test]
        fn the_verdict_does_not_depend_on_how_the_bytes_arrive(cuts in proptest::collection::vec(1_usize..40, 1..60)) {
            let bytes: &[u8] = b"\r\nPOST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nA;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\n\
                POST /b HTTP/1.1\r\nContent-Length: 12\r\n\r\nGET / HTTP/1GET /c HTTP/1.1\r\nHost: a\r\n\r\nGET /d HTTP/1.1\nHost: b\r\n\r\n";
            let mut framing = Framing::new(1024);
            let mut rest = bytes;
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                framing.observe(now);
                rest = later;
            }
            prop_assert_eq!((framing.heads(), framing.fault()), (3, Some(Fault::LineEnd)));
        }
    }
}
