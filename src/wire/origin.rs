//! Where a request comes from: the connection, what trusted proxies add to it, and which site made a browser send it.

use std::net::IpAddr;
use std::sync::Arc;

use http::uri::Authority;
use http::{HeaderMap, Method, Uri};
use ipnet::IpNet;

use crate::model::caller::Caller;

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address, mapped IPv4 unmapped.
    pub ip: IpAddr,
    /// Whether the connection is ours over TLS.
    pub tls: bool,
    /// The host that the TLS hello named (SNI), lower case.
    pub server_name: Option<Arc<str>>,
}

/// Where one request comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The client and the request's id.
    pub caller: Caller,
    /// The peer itself.
    pub peer: IpAddr,
    /// Whether the peer is a trusted proxy.
    pub trusted: bool,
    /// Whether the client's own connection was over TLS: to us, or, says a trusted proxy, to it.
    pub https: bool,
    /// The one validated authority, lower case: for routing, forwarding and links.
    pub authority: Authority,
}

/// Reads a request's origin. Only a peer in `trusted_proxies` can say anything about anybody else.
pub fn read(peer: &Peer, authority: Authority, headers: &HeaderMap, trusted_proxies: &[IpNet]) -> Origin {
    let _ = (peer, authority, headers, trusted_proxies);
    todo!()
}

/// Whether a request may lean on a cookie: always for safe methods (RFC 9110 §9.2.1); else `Sec-Fetch-Site` must be `same-origin` (or `none`), or, without that header,
/// `Origin` must be `ours` or the origin that the request itself was sent to; without either: refused.
pub fn is_same_site(method: &Method, headers: &HeaderMap, ours: &Uri, origin: &Origin) -> bool {
    let _ = (method, headers, ours, origin);
    todo!()
}
