//! What hyper lets through and a proxy must not.
//!
//! Only what a parsed request still shows is judged here. Two things it does not: hyper drops `Content-Length` when there is a `Transfer-Encoding`, and
//! reads a bare LF as a line's end; the listener looks for both in the bytes as they arrive. Header values cannot hold controls (`HeaderValue`'s own
//! promise). Everything is refused, nothing repaired: two readers of a repaired request can disagree, and that is how requests are smuggled.

use std::net::Ipv6Addr;

use http::header::{CONTENT_LENGTH, HOST, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::Authority;
use http::{HeaderMap, Method, Request, StatusCode, Version};

use super::origin::Peer;
use super::reply::{Code, Problem};

/// A request that is refused before anybody looks at what it wants; the connection closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclean {
    /// 400, 421 or 501.
    pub status: StatusCode,
    /// What is wrong, for the client and the log.
    pub detail: &'static str,
}

impl Unclean {
    /// What the client is told.
    pub fn problem(self) -> Problem {
        let code = match self.status {
            StatusCode::MISDIRECTED_REQUEST => Code::MisdirectedRequest,
            StatusCode::NOT_IMPLEMENTED => Code::NotImplemented,
            _ => Code::BadRequest,
        };
        Problem::new(code, self.detail)
    }

    const fn bad(detail: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            detail,
        }
    }
}

/// Checks framing, method, target and authority; returns the one authority that the request is for, lower case.
pub fn check<B>(peer: &Peer, head: &Request<B>) -> Result<Authority, Unclean> {
    check_target(head)?;
    check_fields(head)?;
    let authority = authority(peer, head)?;
    check_server_name(peer, &authority)?;
    Ok(authority)
}

/// Checks the path's spelling. A route may let `;` and `%2F` through.
pub fn check_path(path: &str, allow_semicolon: bool, allow_encoded_slash: bool) -> Result<(), Unclean> {
    let mut bytes = path.bytes();
    if bytes.next() != Some(b'/') {
        return Err(Unclean::bad("the path must begin with a slash"));
    }
    let mut segment = Segment::default();
    while let Some(byte) = bytes.next() {
        match byte {
            b'/' => segment.end(true)?,
            b'%' => match escaped(&mut bytes)? {
                b'/' if allow_encoded_slash => segment.end(false)?,
                b'/' => return Err(Unclean::bad("an encoded slash in the path")),
                b'\\' => return Err(Unclean::bad("an encoded backslash in the path")),
                0..0x20 | 0x7f => return Err(Unclean::bad("an encoded control character in the path")),
                lead @ (0xc0 | 0xc1 | 0xe0 | 0xf0) => check_shortest(lead, &bytes).map(|()| segment.push(lead))?,
                plain => segment.push(plain),
            },
            b';' if allow_semicolon => segment.parameter()?,
            b';' => return Err(Unclean::bad("a semicolon in the path")),
            b'\\' => return Err(Unclean::bad("a backslash in the path")),
            0..=0x20 | 0x7f.. => return Err(Unclean::bad("a character in the path that must be encoded")),
            plain => segment.push(plain),
        }
    }
    segment.check_dots()
}

/// What is known of the segment being read.
#[derive(Default)]
struct Segment {
    length: usize,
    dots: usize,
    parameters: bool,
}

impl Segment {
    fn push(&mut self, byte: u8) {
        if !self.parameters {
            self.length += 1;
            self.dots += usize::from(byte == b'.');
        }
    }

    /// Servers that know path parameters drop them first and read the rest after (`..;x` is `..` to them).
    fn parameter(&mut self) -> Result<(), Unclean> {
        self.parameters = true;
        self.check_dots()
    }

    fn end(&mut self, by_slash: bool) -> Result<(), Unclean> {
        if by_slash && self.length == 0 {
            return Err(Unclean::bad("an empty segment in the path"));
        }
        self.check_dots()?;
        *self = Self::default();
        Ok(())
    }

    fn check_dots(&self) -> Result<(), Unclean> {
        if self.dots == self.length && (1..=2).contains(&self.length) {
            return Err(Unclean::bad("a dot segment in the path"));
        }
        Ok(())
    }
}

/// The octet that a percent sign stands for (RFC 3986 §2.1).
fn escaped(bytes: &mut std::str::Bytes<'_>) -> Result<u8, Unclean> {
    let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
    match (digit(), digit()) {
        (Some(high), Some(low)) => Ok(u8::try_from(high * 16 + low).unwrap_or_default()),
        _ => Err(Unclean::bad("a percent sign in the path that encodes nothing")),
    }
}

/// Refuses the overlong forms of UTF-8 (RFC 3629 §3), in which a slash or a dot could hide from everybody but a careless decoder.
fn check_shortest(lead: u8, rest: &std::str::Bytes<'_>) -> Result<(), Unclean> {
    let mut rest = rest.clone();
    let next = match rest.next() {
        Some(b'%') => escaped(&mut rest)?,
        _ => return Ok(()),
    };
    let overlong = match lead {
        0xe0 => (0x80..0xa0).contains(&next),
        0xf0 => (0x80..0x90).contains(&next),
        _ => (0x80..0xc0).contains(&next),
    };
    if overlong {
        return Err(Unclean::bad("an overlong encoding in the path"));
    }
    Ok(())
}

/// Methods and request targets (RFC 9112 §3.2): origin-form, and absolute-form whose authority agrees with `Host`; a proxy for others we are not.
fn check_target<B>(head: &Request<B>) -> Result<(), Unclean> {
    if head.method() == Method::CONNECT || head.method() == Method::TRACE {
        return Err(Unclean::bad("this method is not served here"));
    }
    let uri = head.uri();
    if !uri.path().starts_with('/') {
        return Err(Unclean::bad("the request target must be a path"));
    }
    match uri.scheme_str() {
        None if uri.authority().is_some() => Err(Unclean::bad("the request target must be a path")),
        None | Some("http" | "https") => Ok(()),
        Some(_) => Err(Unclean::bad("the request target's scheme is not served here")),
    }
}

/// One look at every name; what is looked for is told by length and first letter, so ordinary fields cost a comparison of two numbers.
fn check_fields<B>(head: &Request<B>) -> Result<(), Unclean> {
    for name in head.headers().keys() {
        let text = name.as_str().as_bytes();
        match (text.len(), text.first()) {
            (14, Some(b'c')) => check_framing_field(name, &CONTENT_LENGTH, || content_length(head.headers()))?,
            (17, Some(b't')) => check_framing_field(name, &TRANSFER_ENCODING, || transfer_encoding(head))?,
            (4, Some(b'h')) => check_framing_field(name, &HOST, || Ok(()))?,
            (7, Some(b'u')) if *name == UPGRADE => upgrade(head)?,
            (14, Some(b'h')) if name.as_str() == "http2-settings" => {
                return Err(Unclean::bad("an upgrade to HTTP/2 in cleartext is not served here"));
            }
            (2 | 10 | 16, Some(b't' | b'c' | b'k' | b'p')) if head.version() == Version::HTTP_2 => {
                connection_field(head, name)?
            }
            _ => {}
        }
    }
    Ok(())
}

/// A framing field is judged; a field that only folds to its name is refused, since many servers fold (`Content_Length`; RFC 3875 §4.1.18).
fn check_framing_field(
    name: &HeaderName,
    genuine: &HeaderName,
    judge: impl FnOnce() -> Result<(), Unclean>,
) -> Result<(), Unclean> {
    if name == genuine {
        return judge();
    }
    let folded = |b: u8| if b.is_ascii_alphanumeric() { b } else { b'-' };
    let alias = name.as_str().bytes().map(folded).eq(genuine.as_str().bytes());
    if alias {
        return Err(Unclean::bad(
            "a header that other servers read as Content-Length, Transfer-Encoding or Host",
        ));
    }
    Ok(())
}

/// Exactly one, digits without leading zeros, alone (RFC 9112 §6.3).
fn content_length(headers: &HeaderMap) -> Result<(), Unclean> {
    let mut lines = headers.get_all(CONTENT_LENGTH).iter();
    let canonical = lines.next().is_some_and(|line| match line.as_bytes() {
        b"0" => true,
        [b'1'..=b'9', rest @ ..] => rest.len() < 19 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    });
    if !canonical || lines.next().is_some() {
        return Err(Unclean::bad("Content-Length must be one plain number"));
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err(Unclean::bad("Content-Length and Transfer-Encoding together"));
    }
    Ok(())
}

/// Exactly one `chunked`, in HTTP/1.1 only (RFC 9112 §6.1).
fn transfer_encoding<B>(head: &Request<B>) -> Result<(), Unclean> {
    if head.version() != Version::HTTP_11 {
        return Err(Unclean::bad("Transfer-Encoding belongs to HTTP/1.1 alone"));
    }
    let mut lines = head.headers().get_all(TRANSFER_ENCODING).iter();
    let chunked = lines
        .next()
        .is_some_and(|line| line.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !chunked || lines.next().is_some() {
        return Err(Unclean {
            status: StatusCode::NOT_IMPLEMENTED,
            detail: "no transfer coding but chunked is served here",
        });
    }
    Ok(())
}

/// `h2c` is refused wherever it stands in the list (RFC 9113 §3.1 withdrew it): behind an upgrade that only the upstream sees, anything could pass.
fn upgrade<B>(head: &Request<B>) -> Result<(), Unclean> {
    if head.version() == Version::HTTP_2 {
        return Err(Unclean::bad("a connection-specific field in HTTP/2"));
    }
    let lines = head.headers().get_all(UPGRADE).iter();
    let mut protocols = lines.flat_map(|line| line.as_bytes().split(|&b| b == b','));
    if protocols.any(|protocol| protocol.trim_ascii().eq_ignore_ascii_case(b"h2c")) {
        return Err(Unclean::bad("an upgrade to HTTP/2 in cleartext is not served here"));
    }
    Ok(())
}

/// RFC 9113 §8.2.2: no connection-specific fields, and `TE` says `trailers` at most.
fn connection_field<B>(head: &Request<B>, name: &HeaderName) -> Result<(), Unclean> {
    let refused = match name.as_str() {
        "connection" | "keep-alive" | "proxy-connection" => true,
        "te" => !head.headers().get_all(TE).iter().all(|line| line == "trailers"),
        _ => false,
    };
    if refused {
        return Err(Unclean::bad("a connection-specific field in HTTP/2"));
    }
    Ok(())
}

/// The one authority: `Host`, or the target's own, which must not differ (RFC 9112 §3.2.2, RFC 9113 §8.3.1).
fn authority<B>(peer: &Peer, head: &Request<B>) -> Result<Authority, Unclean> {
    let mut lines = head.headers().get_all(HOST).iter();
    let host = lines.next();
    if lines.next().is_some() {
        return Err(Unclean::bad("more than one Host"));
    }
    let target = head.uri().authority();
    match (host, target) {
        (Some(host), Some(target)) if !host.as_bytes().eq_ignore_ascii_case(target.as_str().as_bytes()) => {
            Err(Unclean::bad("Host and the request target name different authorities"))
        }
        (_, Some(target)) if is_plain(target.as_str()) => Ok(target.clone()),
        (_, Some(target)) => parse(target.as_str().as_bytes()),
        (Some(host), None) => match peer.known_host.recall(host) {
            Some(authority) => Ok(authority),
            None => parse(host.as_bytes()).inspect(|authority| peer.known_host.keep(host, authority)),
        },
        (None, None) => Err(Unclean::bad("Host is missing")),
    }
}

/// Whether an authority is well-formed and lower case already.
fn is_plain(text: &str) -> bool {
    is_authority(text) && !text.bytes().any(|b| b.is_ascii_uppercase())
}

fn parse(text: &[u8]) -> Result<Authority, Unclean> {
    const MALFORMED: Unclean = Unclean::bad("Host must be a host name or an address, with a port at most");
    let text = std::str::from_utf8(text).map_err(|_| MALFORMED)?;
    if !is_authority(text) {
        return Err(MALFORMED);
    }
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return Authority::try_from(text.to_ascii_lowercase()).map_err(|_| MALFORMED);
    }
    Authority::try_from(text).map_err(|_| MALFORMED)
}

/// A host and a port at most: no user, no path, no list, no empty label, nothing encoded. Stricter than RFC 3986 §3.2 where that allows what no host has.
pub fn is_authority(text: &str) -> bool {
    let (host, port) = split_port(text);
    let port_fits = port.is_none_or(|port| {
        (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
    });
    if let Some(rest) = host.strip_prefix('[') {
        return port_fits && rest.strip_suffix(']').is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok());
    }
    port_fits && is_host_name(host.strip_suffix('.').unwrap_or(host))
}

fn is_host_name(host: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    host.len() <= 253
        && host
            .split('.')
            .all(|label| !label.is_empty() && label.len() <= 63 && label.bytes().all(letter))
}

/// The host of a validated authority, without its port; brackets stay. `Authority::host` looks for a user and more that cannot be there.
pub fn host(authority: &Authority) -> &str {
    split_port(authority.as_str()).0
}

/// Host and port of an authority; brackets stay with the host. Looked for from the end, since that is where a port is, and hosts are long.
fn split_port(text: &str) -> (&str, Option<&str>) {
    let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (rest, port) = text.split_at(text.len() - digits);
    match rest.strip_suffix(':') {
        Some(host) => (host, Some(port)),
        None => (text, None),
    }
}

/// The TLS hello decided which certificate was shown; a request for another host came over the wrong connection (RFC 9110 §15.5.20).
fn check_server_name(peer: &Peer, authority: &Authority) -> Result<(), Unclean> {
    let Some(name) = &peer.server_name else { return Ok(()) };
    let (host, _) = split_port(authority.as_str());
    if host.trim_end_matches('.') == name.trim_end_matches('.') {
        return Ok(());
    }
    Err(Unclean {
        status: StatusCode::MISDIRECTED_REQUEST,
        detail: "the connection was made for another host",
    })
}

#[cfg(test)]
mod tests;
