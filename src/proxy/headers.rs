//! The header boundary: what a client may not say to an upstream is taken off before what we say is put on.
//!
//! The order is the promise. Off come the hop-by-hop fields, those that any `Connection` line names among them (RFC 9110 §7.6.1), and every field whose
//! name folds to a managed one; then ours go on, last, so that nothing a client names can take them off again. Folding is that of RFC 3875 §4.1.18 and its
//! imitators: letters without case, everything that is neither letter nor digit the same. The managed names are those of all presets and of every
//! route of the configuration, so a public route strips what a protected one sets.
//!
//! A name is judged by length and first letter before it is looked at, so an ordinary request's fields cost a table look-up each and no allocation.

use std::fmt::Write as _;
use std::net::IpAddr;

use http::header::{
    AUTHORIZATION, CONNECTION, COOKIE, Entry, FORWARDED, HOST, HeaderName, SET_COOKIE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

use crate::config::Route;
use crate::model::secret;
use crate::token::verify::Verified;
use crate::wire::origin::Origin;
use crate::wire::{cookie, hygiene};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_GATEWARD_ASSERTION: HeaderName = HeaderName::from_static("x-gateward-assertion");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Fields that belong to one connection (RFC 9110 §7.6.1), and `Expect`, which is answered here.
const HOP_BY_HOP: [&str; 11] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "http2-settings",
];

/// Managed names that stand alone.
const MANAGED: [&str; 7] = [
    "forwarded",
    "remote-user",
    "remote-email",
    "remote-groups",
    "remote-name",
    "x-real-ip",
    "x-request-id",
];

/// Managed names and all that begin with them and a separator.
const FAMILIES: [&str; 3] = ["x-forwarded", "x-auth-request", "x-gateward"];

/// What a client may not say.
#[derive(Debug)]
pub struct Boundary {
    refused: Names,
    hidden: Names,
}

impl Boundary {
    /// The boundary of a configuration.
    pub fn new<'a>(routes: impl Iterator<Item = &'a Route>) -> Self {
        let mapped = routes.flat_map(|route| route.identity.headers.iter().map(|(name, _)| name.as_str()));
        let exact = HOP_BY_HOP.into_iter().chain(MANAGED).chain(mapped);
        Self {
            refused: Names::new(exact, &FAMILIES),
            // `Trailer` goes on with the trailers that it announces.
            hidden: Names::new(
                HOP_BY_HOP.into_iter().filter(|name| *name != "trailer"),
                &["x-gateward"],
            ),
        }
    }

    /// Takes off what may not go upstream. `keep_authorization`: the client's own credential is meant for the upstream.
    pub fn strip_request(&self, headers: &mut HeaderMap, keep_authorization: bool) {
        strip_nominated(headers);
        self.refused.strip(headers);
        if headers.contains_key(COOKIE) {
            cookie::strip(headers);
        }
        if !keep_authorization {
            headers.remove(AUTHORIZATION);
        }
    }

    /// Takes off what may not go to the client: hop-by-hop fields, cookies under our names, words in our name.
    pub fn strip_response(&self, headers: &mut HeaderMap) {
        strip_nominated(headers);
        self.hidden.strip(headers);
        if headers.contains_key(SET_COOKIE) {
            cookie::strip_set(headers);
        }
    }
}

/// What the upstream of one request is told by us.
#[derive(Debug)]
pub struct Told<'a> {
    /// Where the request comes from.
    pub origin: &'a Origin,
    /// The route.
    pub route: &'a Route,
    /// Who is calling.
    pub who: Option<&'a Verified>,
    /// The assertion, where the route wants one.
    pub assertion: Option<HeaderValue>,
}

/// What only a trusted proxy's headers can add; read before they are taken off.
#[derive(Debug, Default)]
pub struct Prior {
    forwarded_for: Option<String>,
    forwarded: Option<String>,
    host: Option<HeaderValue>,
}

impl Prior {
    /// The forwarding headers of a request, if they come from somebody who is believed.
    pub fn read(origin: &Origin, headers: &HeaderMap) -> Self {
        if !origin.trusted {
            return Self::default();
        }
        let mut hosts = headers.get_all(&X_FORWARDED_HOST).iter();
        let host = hosts
            .next()
            .filter(|host| host.to_str().is_ok_and(hygiene::is_authority));
        Self {
            forwarded_for: joined(headers, &X_FORWARDED_FOR),
            forwarded: joined(headers, &FORWARDED),
            host: host.filter(|_| hosts.next().is_none()).cloned(),
        }
    }
}

/// Puts on what the upstream is told. Comes after `strip_request`, always.
pub fn tell(headers: &mut HeaderMap, told: Told<'_>, prior: Prior) {
    headers.reserve(12);
    let authority = told.origin.authority.as_str();
    let host = match headers.get(HOST) {
        Some(host) if host == authority => host.clone(),
        _ => HeaderValue::from_str(authority).unwrap_or(HeaderValue::from_static("")),
    };
    if headers.get(HOST) != Some(&host) {
        headers.insert(HOST, host.clone());
    }
    forwarded(headers, told.origin, host, prior);
    if let Ok(id) = HeaderValue::from_str(&told.origin.caller.request_id) {
        headers.insert(X_REQUEST_ID, id);
    }
    trace(headers, &told.origin.caller.request_id);
    if let Some(who) = told.who {
        for (name, claim) in &told.route.identity.headers {
            if let Some(value) = who.header(*claim) {
                headers.insert(name, value.clone());
            }
        }
    }
    if let Some(assertion) = told.assertion {
        headers.insert(X_GATEWARD_ASSERTION, assertion);
    }
}

/// `X-Forwarded-*` and `Forwarded` (RFC 7239): what this gateway saw, behind what a trusted proxy said.
fn forwarded(headers: &mut HeaderMap, origin: &Origin, host: HeaderValue, prior: Prior) {
    let mut line = String::with_capacity(96);
    if let Some(before) = prior.forwarded_for {
        line.push_str(&before);
        line.push_str(", ");
    }
    let _ = write!(line, "{}", origin.peer);
    put(headers, X_FORWARDED_FOR, &line);

    line.clear();
    if let Some(before) = prior.forwarded {
        line.push_str(&before);
        line.push_str(", ");
    }
    let proto = if origin.https { "https" } else { "http" };
    let _ = match origin.peer {
        IpAddr::V4(ip) => write!(line, "for={ip}"),
        IpAddr::V6(ip) => write!(line, "for=\"[{ip}]\""),
    };
    let _ = write!(line, ";host=\"{}\";proto={proto}", origin.authority);
    put(headers, FORWARDED, &line);

    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
    headers.insert(X_FORWARDED_HOST, prior.host.unwrap_or(host));
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// All lines of a field as one (RFC 9110 §5.3).
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let lines: Vec<&str> = headers
        .get_all(name)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// W3C Trace Context: a valid `traceparent` goes on as it is; otherwise a trace begins here, and the state of the one that was not understood ends.
fn trace(headers: &mut HeaderMap, request_id: &str) {
    let mut lines = headers.get_all(&TRACEPARENT).iter();
    let valid = lines.next().is_some_and(|line| is_traceparent(line.as_bytes()));
    if valid && lines.next().is_none() {
        return;
    }
    headers.remove(&TRACESTATE);
    match begun(request_id) {
        Some(line) => headers.insert(TRACEPARENT, line),
        None => headers.remove(&TRACEPARENT),
    };
}

/// A new trace. A request id that is a UUID names it, so that logs and traces find each other; its random half names our part of it. It is marked as
/// sampled: unmarked it would tell upstreams, whose samplers follow their parent, to record nothing at all.
fn begun(request_id: &str) -> Option<HeaderValue> {
    let trace = match Uuid::try_parse(request_id) {
        Ok(id) => id.as_u128(),
        Err(_) => u128::from_be_bytes(secret::random().ok()?),
    };
    let span = trace & u128::from(u64::MAX);
    HeaderValue::try_from(format!("00-{trace:032x}-{span:016x}-01")).ok()
}

/// `version-trace-parent-flags`, lower-case hex, neither id all zeros, no version `ff`, nothing behind a version that we know.
fn is_traceparent(line: &[u8]) -> bool {
    let parts: [Option<&[u8]>; 4] = [line.get(..2), line.get(3..35), line.get(36..52), line.get(53..55)];
    let hex = |part: &[u8]| part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let dashes = [2, 35, 52].iter().all(|&at| line.get(at) == Some(&b'-'));
    let [Some(version), Some(trace), Some(parent), Some(flags)] = parts else {
        return false;
    };
    let ends = match version {
        b"00" => line.len() == 55,
        b"ff" => false,
        _ => line.get(55).is_none_or(|&b| b == b'-'),
    };
    let nonzero = |part: &[u8]| part.iter().any(|&b| b != b'0');
    dashes && ends && [version, trace, parent, flags].into_iter().all(hex) && nonzero(trace) && nonzero(parent)
}

/// Takes off `Connection` and every field that any of its lines names.
fn strip_nominated(headers: &mut HeaderMap) {
    let Entry::Occupied(connection) = headers.entry(CONNECTION) else {
        return;
    };
    let mut nominated: Vec<HeaderName> = Vec::new();
    for line in connection.iter() {
        for option in line.as_bytes().split(|&b| b == b',') {
            let option = option.trim_ascii();
            let is_plain = option.eq_ignore_ascii_case(b"close") || option.eq_ignore_ascii_case(b"keep-alive");
            if !is_plain && let Ok(name) = HeaderName::from_bytes(option) {
                nominated.push(name);
            }
        }
    }
    connection.remove_entry_mult();
    for name in nominated {
        headers.remove(name);
    }
}

/// The protocols that a client asks to go over to, when the upgrade is one (RFC 9110 §7.8): `Connection` names the field, and there is one line of it.
pub fn wanted_upgrade(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut lines = headers.get_all(UPGRADE).iter();
    let protocol = lines.next()?;
    let nominated = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|&b| b == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"));
    (nominated && lines.next().is_none()).then_some(protocol)
}

/// Asks the next hop for an upgrade, or confirms one.
pub fn put_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Says that the body comes in chunks, where its length is not known; hyper would drop the body of such a GET.
pub fn put_chunked(headers: &mut HeaderMap) {
    headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
}

/// A set of names, folded.
#[derive(Debug)]
struct Names {
    /// For each first letter (its last five bits), the lengths that occur, a bit each; the last bit stands for all from 63 on.
    lengths: [u64; 32],
    exact: Vec<String>,
    families: &'static [&'static str],
}

impl Names {
    fn new<'a>(exact: impl Iterator<Item = &'a str>, families: &'static [&'static str]) -> Self {
        let mut names = Self {
            lengths: [0; 32],
            exact: Vec::new(),
            families,
        };
        for name in exact {
            let folded: String = name.bytes().map(|b| char::from(fold(b))).collect();
            names.admit(folded.as_bytes(), 1 << folded.len().min(63));
            if !names.exact.contains(&folded) {
                names.exact.push(folded);
            }
        }
        for family in families {
            names.admit(family.as_bytes(), u64::MAX << family.len());
        }
        names
    }

    fn admit(&mut self, name: &[u8], lengths: u64) {
        let first = name.first().copied().unwrap_or_default();
        if let Some(known) = self.lengths.get_mut(usize::from(first & 31)) {
            *known |= lengths;
        }
    }

    fn contains(&self, name: &str) -> bool {
        let name = name.as_bytes();
        let Some(first) = name.first() else { return false };
        let lengths = self.lengths.get(usize::from(first & 31)).copied().unwrap_or_default();
        lengths & (1 << name.len().min(63)) != 0 && self.folds_to_one(name)
    }

    fn folds_to_one(&self, name: &[u8]) -> bool {
        let folded = || name.iter().copied().map(fold);
        let alone = |known: &String| known.len() == name.len() && folded().eq(known.bytes());
        let family = |known: &&str| {
            name.len() >= known.len()
                && folded().take(known.len()).eq(known.bytes())
                && name.get(known.len()).is_none_or(|&b| fold(b) == b'-')
        };
        self.exact.iter().any(alone) || self.families.iter().any(family)
    }

    fn strip(&self, headers: &mut HeaderMap) {
        let mut found: Vec<HeaderName> = Vec::new();
        for name in headers.keys() {
            if self.contains(name.as_str()) {
                found.push(name.clone());
            }
        }
        for name in found {
            headers.remove(name);
        }
    }
}

/// Letters without case, everything that is neither letter nor digit the same.
const fn fold(b: u8) -> u8 {
    if b.is_ascii_alphanumeric() {
        b.to_ascii_lowercase()
    } else {
        b'-'
    }
}

#[cfg(test)]
mod tests;
