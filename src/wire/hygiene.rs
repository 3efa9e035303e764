//! What hyper lets through and a proxy must not: see `4. HTTP/1.1 messages` in SECURITY.md.

use http::uri::Authority;
use http::{StatusCode, request};

use super::origin::Peer;

/// A request that is refused before anybody looks at what it wants; the connection closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclean {
    /// 400, 421 or 501.
    pub status: StatusCode,
    /// What is wrong, for the client and the log.
    pub detail: &'static str,
}

/// Checks framing, method, target and authority; returns the one authority that the request is for.
pub fn check(peer: &Peer, head: &request::Parts) -> Result<Authority, Unclean> {
    let _ = (peer, head);
    todo!()
}

/// Checks the path's spelling. A route may let `;` and `%2F` through.
pub fn check_path(path: &str, allow_semicolon: bool, allow_encoded_slash: bool) -> Result<(), Unclean> {
    let _ = (path, allow_semicolon, allow_encoded_slash);
    todo!()
}
