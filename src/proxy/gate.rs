//! Who may pass.

use std::sync::Arc;

use super::Found;
use crate::token::verify::Verified;
use crate::wire::reply::Problem;

/// Leave to forward one request. Only this file can make one.
#[derive(Debug)]
pub struct Admitted {
    /// The route.
    pub(super) route: Arc<Found>,
    /// Who is calling, where somebody was identified.
    pub(super) who: Option<Arc<Verified>>,
}

impl Admitted {
    /// Who is calling, for the access log.
    pub fn who(&self) -> Option<&Verified> {
        self.who.as_deref()
    }
}

/// Why a request may not pass.
#[derive(Debug)]
pub enum Refused {
    /// It leans on cookies whose access token is missing, expired or refused, and there is a refresh cookie: renew, then ask again with the new token.
    Renewable,
    /// No credential, or none that counts; `no_token` or `invalid_token`. A page is sent to sign in, everything else gets the problem.
    Unauthenticated(Problem),
    /// Known, but not allowed; cross-site; doubled cookies; a store that is needed and does not answer: everything that signing in would not mend.
    Denied(Problem),
}
