//! Assertions for upstreams, made once per token and route and used again, so that they cost no signature per request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use foldhash::quality::RandomState;
use http::HeaderValue;
use moka::sync::Cache;

use super::jwk::Verifier;
use crate::model::clock::Timestamp;
use crate::model::session::TokenId;

/// How long an assertion is good.
pub(super) const LIFE: Duration = Duration::from_secs(60);
/// It is used again while an upstream still has some time to read it.
const REUSE: Duration = Duration::from_secs(50);
/// Bounded like the tokens themselves; each is somewhat larger than a token.
const CAPACITY: u64 = 65_536;

/// One assertion.
#[derive(Clone)]
pub(super) struct Assertion {
    /// As it is sent.
    pub(super) value: HeaderValue,
    /// Its `iat`.
    pub(super) made_at: Timestamp,
    /// Whose signature it carries.
    pub(super) key: Arc<Verifier>,
}

/// Assertions by token and route. A `jti` names one token because it comes from a token that was verified.
pub(super) struct Assertions(Cache<(TokenId, Box<str>), Assertion, RandomState>);

impl Assertions {
    /// Empty.
    pub(super) fn new() -> Self {
        let cache = Cache::builder()
            .max_capacity(CAPACITY)
            .time_to_live(LIFE)
            .build_with_hasher(RandomState::default());
        Self(cache)
    }

    /// One that is still good to send.
    pub(super) fn get(&self, token: TokenId, route: &str, now: Timestamp) -> Option<HeaderValue> {
        let known = self.0.get(&(token, Box::from(route)))?;
        let fresh = now >= known.made_at && now.since(known.made_at) < REUSE && !known.key.is_refused();
        fresh.then_some(known.value)
    }

    /// Keeps one.
    pub(super) fn keep(&self, token: TokenId, route: &str, assertion: Assertion) {
        self.0.insert((token, Box::from(route)), assertion);
    }
}

/// The cache's own `Debug` would print every assertion.
impl fmt::Debug for Assertions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Assertions({})", self.0.entry_count())
    }
}
