//! Where a request comes from, as rules, limits and logs need to know it.

use std::net::IpAddr;
use std::sync::Arc;

use super::presence::Presence;

/// The sender of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The client's address: the peer's own, or the one a trusted proxy vouches for; mapped IPv4 is unmapped.
    pub ip: IpAddr,
    /// The browser's own words for itself, at most 256 characters, controls taken out.
    pub user_agent: Arc<str>,
    /// What the browser keeps of a sign-in before, as it came; only our own endpoints look for it.
    pub device: Option<Arc<str>>,
    /// The request's id, as in `X-Request-Id` and every log line.
    pub request_id: Arc<str>,
    /// Whether it still waits.
    pub presence: Presence,
}

/// Appends an address as it is spelled. By hand for IPv4, because each request's log line needs it and does without the
/// formatting machinery.
pub fn spell(to: &mut Vec<u8>, ip: IpAddr) {
    let IpAddr::V4(ip) = ip else {
        to.extend_from_slice(ip.to_string().as_bytes());
        return;
    };
    for (place, octet) in ip.octets().into_iter().enumerate() {
        if place > 0 {
            to.push(b'.');
        }
        to.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
    }
}
