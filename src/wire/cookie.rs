//! Our two cookies: found in a request, taken out of it, set and cleared in an answer.
//!
//! Both carry the `__Host-` prefix (RFC 6265bis §4.1.3.2), so no sibling domain and no cleartext page can plant one.

use http::{HeaderMap, HeaderValue};

/// The access JWT.
pub const ACCESS: &str = "__Host-gateward";
/// The refresh token.
pub const REFRESH: &str = "__Host-gateward-refresh";

/// Our cookies as a request carries them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ours<'a> {
    /// The access token.
    pub access: Option<&'a str>,
    /// The refresh token.
    pub refresh: Option<&'a str>,
}

/// One of our names stands more than once: somebody tampered, and nobody can tell which one is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cookie of the gateway's own is there twice")]
pub struct Doubled;

/// Finds our cookies over all `Cookie` lines.
pub fn find(headers: &HeaderMap) -> Result<Ours<'_>, Doubled> {
    let _ = headers;
    todo!()
}

/// Takes every cookie whose name is ours (compared without case, also with another prefix: anything that begins with `__Host-gateward` or `gateward`) out of
/// all `Cookie` lines, and leaves the rest byte for byte.
pub fn strip(headers: &mut HeaderMap) {
    let _ = headers;
    todo!()
}

/// `Set-Cookie` that gives a browser one of our cookies for `max_age_secs`.
pub fn set(name: &str, value: &str, max_age_secs: u64) -> Option<HeaderValue> {
    let _ = (name, value, max_age_secs);
    todo!()
}

/// `Set-Cookie` that takes one of our cookies away.
pub fn clear(name: &str) -> Option<HeaderValue> {
    let _ = name;
    todo!()
}

/// Takes those `Set-Cookie` lines out of an upstream's answer that use a name of ours.
pub fn strip_set(headers: &mut HeaderMap) {
    let _ = headers;
    todo!()
}
