//! The header boundary: what a client may not say to an upstream is taken off before what we say is put on.
//!
//! The order is the promise. Off come the hop-by-hop fields, those that any `Connection` line names among them (RFC 9110 §7.6.1), and every field whose
//! name folds to a managed one, or by which an upstream might take the request for another or its client for somebody else; then ours go on, last, so that nothing a client names can take them off again. Folding is that of RFC 3875 §4.1.18 and its
//! imitators: letters without case, everything that is neither letter nor digit the same. The managed names are those of all presets and of every
//! route of the configuration, so a public route strips what a protected one sets.

mod names;
pub mod refused;
mod trace_context;

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, COOKIE, Entry, FORWARDED, HOST, HeaderName, SET_COOKIE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue};

use crate::config::Route;
use crate::token::verify::Verified;
use crate::wire::origin::Origin;
use crate::wire::{cookie, hygiene};
use names::Names;
use refused::{FAMILIES, FAMILIES_OF_PROXIES, HOP_BY_HOP, MANAGED, OF_PROXIES, OVERRIDES, REROUTING};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_GATEWARD_ASSERTION: HeaderName = HeaderName::from_static("x-gateward-assertion");

/// What a client may not say.
#[derive(Debug)]
pub struct Boundary {
    refused: Names,
    refused_of_strangers: Names,
    hidden: Names,
}

/// What a client may say for once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spared {
    /// Its credential is meant for the upstream.
    pub authorization: bool,
    /// It is a trusted proxy, which may know what nobody else does.
    pub proxy: bool,
}

impl Boundary {
    /// The boundary of a configuration.
    pub fn new<'a>(routes: impl Iterator<Item = &'a Route>) -> Self {
        let (mut mapped, mut by_method) = (Vec::new(), false);
        for route in routes {
            mapped.extend(route.identity.headers.iter().map(|(name, _)| name.as_str()));
            by_method |= !route.methods.is_empty();
        }
        let overrides = OVERRIDES.into_iter().filter(|_| by_method);
        let standing = HOP_BY_HOP.into_iter().chain(MANAGED).chain(REROUTING);
        let exact = standing.chain(overrides).chain(mapped);
        Self {
            refused: Names::new(exact.clone(), FAMILIES.into_iter()),
            refused_of_strangers: Names::new(exact.chain(OF_PROXIES), FAMILIES.into_iter().chain(FAMILIES_OF_PROXIES)),
            // `Trailer` goes on with the trailers that it announces.
            hidden: Names::new(
                HOP_BY_HOP.into_iter().filter(|name| *name != "trailer"),
                ["x-gateward"].into_iter(),
            ),
        }
    }

    /// Takes off what may not go upstream.
    pub fn strip_request(&self, headers: &mut HeaderMap, spared: Spared) {
        strip_nominated(headers);
        let refused = if spared.proxy {
            &self.refused
        } else {
            &self.refused_of_strangers
        };
        refused.strip(headers);
        if headers.contains_key(COOKIE) {
            cookie::strip(headers);
        }
        if !spared.authorization {
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
    forwarded_for: Option<Vec<u8>>,
    forwarded: Option<Vec<u8>>,
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
    let host = put_host(headers, told.origin.authority.as_str());
    forwarded(headers, told.origin, host, prior);
    if let Ok(id) = HeaderValue::from_str(&told.origin.caller.request_id) {
        headers.insert(X_REQUEST_ID, id);
    }
    trace_context::put(headers, &told.origin.caller.request_id);
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

/// `Host` says the one validated authority.
fn put_host(headers: &mut HeaderMap, authority: &str) -> HeaderValue {
    match headers.get(HOST) {
        Some(host) if host == authority => host.clone(),
        _ => {
            let host = HeaderValue::from_str(authority).unwrap_or(HeaderValue::from_static(""));
            headers.insert(HOST, host.clone());
            host
        }
    }
}

/// `X-Forwarded-*` and `Forwarded` (RFC 7239): what this gateway saw, behind what a trusted proxy said.
fn forwarded(headers: &mut HeaderMap, origin: &Origin, host: HeaderValue, prior: Prior) {
    match prior.forwarded_for {
        None => drop(headers.insert(X_FORWARDED_FOR, origin.peer_text.clone())),
        before => put(headers, X_FORWARDED_FOR, &[origin.peer_text.as_bytes()], before),
    }
    let proto = if origin.https { "https" } else { "http" };
    let (open, close) = if origin.peer.is_ipv4() {
        ("for=", ";host=\"")
    } else {
        ("for=\"[", "]\";host=\"")
    };
    let (peer, authority) = (origin.peer_text.as_bytes(), origin.authority.as_str().as_bytes());
    let element = [
        open.as_bytes(),
        peer,
        close.as_bytes(),
        authority,
        b"\";proto=",
        proto.as_bytes(),
    ];
    put(headers, FORWARDED, &element, prior.forwarded);

    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
    headers.insert(X_FORWARDED_HOST, prior.host.unwrap_or(host));
}

/// Sets a field to its pieces, behind what was said `before`.
fn put(headers: &mut HeaderMap, name: HeaderName, pieces: &[&[u8]], before: Option<Vec<u8>>) {
    let mut line = before.unwrap_or_else(|| Vec::with_capacity(96));
    if !line.is_empty() {
        line.extend_from_slice(b", ");
    }
    for piece in pieces {
        line.extend_from_slice(piece);
    }
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(line)) {
        headers.insert(name, value);
    }
}

/// All lines of a field as one (RFC 9110 §5.3).
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    (!lines.is_empty()).then(|| lines.join(b", ".as_slice()))
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

#[cfg(test)]
mod tests;
