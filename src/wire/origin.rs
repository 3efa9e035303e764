//! Where a request comes from: the connection, and what trusted proxies add to it.
//!
//! Only a peer in `trusted_proxies` can say anything about anybody else, and of what it says the right-most word counts: everything to the left of it
//! came from further away. `Forwarded` (RFC 7239) is not read: two headers that say the same can disagree, and every proxy in use sends the older ones.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::{self, AsHeaderName};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;

use crate::model::caller::Caller;
use crate::model::presence::Presence;

/// The other end of a connection.
#[derive(Debug)]
pub struct Peer {
    /// Its address, mapped IPv4 unmapped.
    pub ip: IpAddr,
    /// Whether the connection is ours over TLS.
    pub tls: bool,
    /// The host that the TLS hello named (SNI), lower case.
    pub server_name: Option<Arc<str>>,
    /// The address as headers spell it; made once for all its requests.
    pub text: HeaderValue,
    /// The host that it asked for last.
    pub known_host: KnownHost,
    /// Whether somebody else writes the requests, of whom the address only says through whom they come.
    pub is_unknown: bool,
}

impl Peer {
    /// Somebody at `ip`, in the clear.
    pub fn new(ip: IpAddr) -> Self {
        let ip = ip.to_canonical();
        Self {
            ip,
            tls: false,
            server_name: None,
            text: HeaderValue::try_from(ip.to_string()).unwrap_or(HeaderValue::from_static("unknown")),
            known_host: KnownHost::default(),
            is_unknown: false,
        }
    }

    /// Somebody whose address the balancer at `ip` could not tell. Its own address is all there is to go by, and nothing that is said of others is
    /// believed: the balancer does not say it.
    pub fn unknown_behind(ip: IpAddr) -> Self {
        Self {
            is_unknown: true,
            ..Self::new(ip)
        }
    }
}

/// The `Host` that a connection sent last and what was made of it: most ask for one all their life, and the same octets need not be judged twice.
#[derive(Debug, Default)]
pub struct KnownHost(RefCell<Option<(Box<[u8]>, Authority)>>);

impl KnownHost {
    /// The authority of exactly these octets, if they came last.
    pub fn recall(&self, host: &HeaderValue) -> Option<Authority> {
        let known = self.0.borrow();
        let (text, authority) = known.as_ref()?;
        (**text == *host.as_bytes()).then(|| authority.clone())
    }

    /// Keeps a `Host` that was found well-formed; a copy, so that it does not hold what was read with it in memory.
    pub fn keep(&self, host: &HeaderValue, authority: &Authority) {
        *self.0.borrow_mut() = Some((host.as_bytes().into(), authority.clone()));
    }
}

/// Where one request comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The client and the request's id.
    pub caller: Caller,
    /// The peer itself.
    pub peer: IpAddr,
    /// Its address as headers spell it.
    pub peer_text: HeaderValue,
    /// Whether the peer is a trusted proxy.
    pub trusted: bool,
    /// Whether the client's own connection was over TLS: to us, or, says a trusted proxy, to it.
    pub https: bool,
    /// The one validated authority, lower case: for routing, forwarding and links.
    pub authority: Authority,
}

impl Origin {
    /// The same, of a client that is watched.
    #[must_use]
    pub fn seen_by(&self, presence: Presence) -> Self {
        let caller = Caller {
            presence,
            ..self.caller.clone()
        };
        Self { caller, ..self.clone() }
    }
}

/// How many characters of `User-Agent` are kept.
const USER_AGENT_CHARS: usize = 256;

/// Reads a request's origin. `request_id` is a fresh one; a trusted proxy's own is taken instead when it is 1 to 128 visible ASCII characters.
pub fn read(
    peer: &Peer,
    authority: Authority,
    headers: &HeaderMap,
    trusted_proxies: &[IpNet],
    request_id: Arc<str>,
) -> Origin {
    let trusted = !peer.is_unknown && is_trusted(peer.ip, trusted_proxies);
    let (ip, https, request_id) = if trusted {
        (
            client_behind(peer.ip, headers, trusted_proxies),
            forwarded_https(headers).unwrap_or(peer.tls),
            forwarded_id(headers).unwrap_or(request_id),
        )
    } else {
        (peer.ip.to_canonical(), peer.tls, request_id)
    };
    Origin {
        caller: Caller {
            ip,
            user_agent: user_agent(headers),
            device: None,
            request_id,
            presence: Presence::default(),
        },
        peer: peer.ip,
        peer_text: peer.text.clone(),
        trusted,
        https,
        authority,
    }
}

/// A header's value if it is there exactly once, as text.
pub(super) fn only(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?.to_str().ok()?;
    lines.next().is_none().then(|| line.trim())
}

/// Whether a peer may speak for others.
pub fn is_trusted(ip: IpAddr, trusted_proxies: &[IpNet]) -> bool {
    if trusted_proxies.is_empty() {
        return false;
    }
    let ip = ip.to_canonical();
    trusted_proxies.iter().any(|net| net.contains(&ip))
}

/// The right-most hop that is not a trusted proxy. Where a hop cannot be read, the last one that could be is as far as anybody can see.
fn client_behind(peer: IpAddr, headers: &HeaderMap, trusted_proxies: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    for line in headers.get_all("x-forwarded-for").iter().rev() {
        // Octets, not text: what a client writes to the left must not make a proxy's own word unreadable.
        for hop in line.as_bytes().rsplit(|&b| b == b',') {
            let hop = std::str::from_utf8(hop.trim_ascii()).ok();
            let Some(ip) = hop.and_then(address) else {
                return client;
            };
            client = ip;
            if !is_trusted(ip, trusted_proxies) {
                return client;
            }
        }
    }
    client
}

/// An address as proxies write it: bare, in brackets, with a port or without.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let ip = bare.unwrap_or(text).parse::<IpAddr>().ok();
    let ip = ip.or_else(|| text.parse::<SocketAddr>().ok().map(|with_port| with_port.ip()));
    ip.map(|ip| ip.to_canonical())
}

fn forwarded_https(headers: &HeaderMap) -> Option<bool> {
    let last = headers.get_all("x-forwarded-proto").iter().next_back()?;
    match last.as_bytes().rsplit(|&b| b == b',').next()?.trim_ascii() {
        proto if proto.eq_ignore_ascii_case(b"https") => Some(true),
        proto if proto.eq_ignore_ascii_case(b"http") => Some(false),
        _ => None,
    }
}

fn forwarded_id(headers: &HeaderMap) -> Option<Arc<str>> {
    let id = only(headers, "x-request-id")?;
    let fits = (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| Arc::from(id))
}

fn user_agent(headers: &HeaderMap) -> Arc<str> {
    let line = headers
        .get(header::USER_AGENT)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    match std::str::from_utf8(line) {
        Ok(text) if line.len() <= USER_AGENT_CHARS && text.bytes().all(|b| matches!(b, b' '..=b'~')) => Arc::from(text),
        _ => String::from_utf8_lossy(line)
            .chars()
            .filter(|c| !c.is_control())
            .take(USER_AGENT_CHARS)
            .collect::<String>()
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(ip: &str) -> Peer {
        Peer {
            tls: true,
            ..Peer::new(ip.parse().unwrap())
        }
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn read_from(ip: &str, lines: &[(&'static str, &str)]) -> Origin {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let authority = Authority::from_static("app.example.com");
        read(&peer(ip), authority, &headers(lines), &trusted, "fresh".into())
    }

    #[track_caller]
    fn client(ip: &str, lines: &[(&'static str, &str)], is: &str) {
        assert_eq!(
            read_from(ip, lines).caller.ip,
            is.parse::<IpAddr>().unwrap(),
            "{lines:?}"
        );
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_says() {
        let origin = read_from(
            "192.0.2.9",
            &[
                ("x-forwarded-for", "203.0.113.1"),
                ("x-forwarded-proto", "http"),
                ("x-request-id", "mine"),
            ],
        );
        assert_eq!(origin.caller.ip, "192.0.2.9".parse::<IpAddr>().unwrap());
        assert!(origin.https && !origin.trusted);
        assert_eq!(&*origin.caller.request_id, "fresh");
    }

    #[test]
    fn behind_a_trusted_proxy_the_right_most_untrusted_hop_is_the_client() {
        const XFF: &str = "x-forwarded-for";
        client("10.0.0.1", &[(XFF, "203.0.113.1")], "203.0.113.1");
        client("10.0.0.1", &[(XFF, "6.6.6.6, 203.0.113.1, 10.2.2.2")], "203.0.113.1");
        client(
            "10.0.0.1",
            &[(XFF, "6.6.6.6"), (XFF, "203.0.113.1,10.2.2.2")],
            "203.0.113.1",
        );
        client("10.0.0.1", &[(XFF, "no téxt, 203.0.113.1")], "203.0.113.1");
        client("10.0.0.1", &[(XFF, "203.0.113.1:4711")], "203.0.113.1");
        client("fd00::1", &[(XFF, "[2001:db8::1]:4711")], "2001:db8::1");
        client("fd00::1", &[(XFF, "[2001:db8::1]")], "2001:db8::1");
        client("::ffff:10.0.0.1", &[(XFF, "::ffff:203.0.113.1")], "203.0.113.1");
        client("10.0.0.1", &[(XFF, "10.2.2.2")], "10.2.2.2");
        client("10.0.0.1", &[], "10.0.0.1");
    }

    #[test]
    fn a_hop_that_cannot_be_read_ends_the_search() {
        client("10.0.0.1", &[("x-forwarded-for", "203.0.113.1, unknown")], "10.0.0.1");
        client(
            "10.0.0.1",
            &[("x-forwarded-for", "203.0.113.1, garbage, 10.2.2.2")],
            "10.2.2.2",
        );
        client("10.0.0.1", &[("x-forwarded-for", "")], "10.0.0.1");
    }

    #[test]
    fn a_trusted_proxy_says_whether_the_client_came_by_tls() {
        assert!(!read_from("10.0.0.1", &[("x-forwarded-proto", "http")]).https);
        assert!(read_from("10.0.0.1", &[("x-forwarded-proto", "http, https")]).https);
        assert!(read_from("10.0.0.1", &[("x-forwarded-proto", "gopher")]).https);
    }

    #[test]
    fn a_trusted_proxys_request_id_is_kept_when_it_is_plain() {
        let id = |text: &str| read_from("10.0.0.1", &[("x-request-id", text)]).caller.request_id;
        assert_eq!(&*id("abc-1"), "abc-1");
        for bad in ["", "two words", &"x".repeat(129)] {
            assert_eq!(&*id(bad), "fresh");
        }
    }

    #[test]
    fn a_user_agent_is_short_and_without_controls() {
        let origin = read_from("192.0.2.9", &[("user-agent", &format!("a\t{}", "b".repeat(400)))]);
        assert_eq!(origin.caller.user_agent.len(), USER_AGENT_CHARS);
        assert!(origin.caller.user_agent.starts_with("ab"));
    }
}
