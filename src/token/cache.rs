//! Tokens that were found genuine, by their whole text.
//!
//! Never by a part of it: a cache keyed by the signature, or by `jti`, would take any header and claims in front of a known one. Only genuine tokens get in,
//! so a flood of forged ones cannot push good ones out, and only the keys' owner can choose what is hashed.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::quality::RandomState;
use moka::Expiry;
use moka::sync::Cache;

use super::verify::Verified;
use crate::model::clock::Clock;

/// Somewhat above the 100,000 live tokens that one gateway must bear; about 1.5 kB each when full.
const CAPACITY: u64 = 131_072;

/// Verified tokens.
pub(super) struct VerifiedCache(Cache<Arc<str>, Arc<Verified>, RandomState>);

impl VerifiedCache {
    /// Empty.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let cache = Cache::builder()
            .max_capacity(CAPACITY)
            .expire_after(UntilExpired(clock))
            .build_with_hasher(RandomState::default());
        Self(cache)
    }

    /// The token of exactly this text.
    pub(super) fn get(&self, text: &str) -> Option<Arc<Verified>> {
        self.0.get(text)
    }

    /// Keeps a token until it expires or room is needed.
    pub(super) fn keep(&self, text: &str, verified: &Arc<Verified>) {
        self.0.insert(Arc::from(text), Arc::clone(verified));
    }
}

/// The cache's own `Debug` would print every token.
impl fmt::Debug for VerifiedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedCache({} tokens)", self.0.entry_count())
    }
}

/// Frees the memory; whether a token has expired is judged on each request.
#[derive(Debug)]
struct UntilExpired(Arc<dyn Clock>);

impl Expiry<Arc<str>, Arc<Verified>> for UntilExpired {
    fn expire_after_create(&self, _: &Arc<str>, token: &Arc<Verified>, _: Instant) -> Option<Duration> {
        Some(token.identity.expires_at.since(self.0.now()))
    }

    fn expire_after_update(
        &self,
        _: &Arc<str>,
        token: &Arc<Verified>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(token.identity.expires_at.since(self.0.now()))
    }
}
