//! The hot path: is this access token ours and good?

use http::HeaderValue;

use crate::config::Claim;
use crate::model::identity::Identity;

/// A token that was found genuine, with what it says ready to be put into headers.
#[derive(Debug)]
pub struct Verified {
    /// Who is calling.
    pub identity: Identity,
}

impl Verified {
    /// A claim as a header value, made once at verification. `None`: the token does not carry it.
    pub fn header(&self, claim: Claim) -> Option<&HeaderValue> {
        let _ = claim;
        todo!()
    }
}
