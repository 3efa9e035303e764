//! Tokens that were found genuine, by their whole text.
//!
//! Never by a part of it: a cache keyed by the signature, or by `jti`, would take any header and claims in front of a known one. Only genuine tokens get in,
//! so a flood of forged ones cannot push good ones out, and only the keys' owner can choose what is hashed.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foldhash::quality::RandomState;
use moka::Expiry;
use moka::sync::Cache;

use super::recent;
use super::verify::Verified;
use crate::model::clock::Clock;

/// Somewhat above the 100,000 live tokens that one gateway must bear; about 1.5 kB each when full.
const CAPACITY: u64 = 131_072;

/// Counts the caches of this process, so that a thread can tell whose tokens it has at hand; none has the number 0.
static CACHES: AtomicU64 = AtomicU64::new(1);

/// Verified tokens.
pub(super) struct VerifiedCache {
    number: u64,
    hasher: RandomState,
    shared: Cache<Arc<[u8]>, Arc<Verified>, RandomState>,
}

impl VerifiedCache {
    /// Empty.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let hasher = RandomState::default();
        Self {
            number: CACHES.fetch_add(1, Ordering::Relaxed),
            hasher: hasher.clone(),
            shared: Cache::builder()
                .max_capacity(CAPACITY)
                .expire_after(UntilExpired(clock))
                .build_with_hasher(hasher),
        }
    }

    /// The token of exactly this text.
    pub(super) fn get(&self, text: &[u8]) -> Option<Arc<Verified>> {
        let hash = self.hasher.hash_one(text);
        recent::get(self.number, hash, text).or_else(|| {
            let known = self.shared.get(text)?;
            recent::keep(self.number, hash, &known);
            Some(known)
        })
    }

    /// Keeps a token until it expires or room is needed.
    pub(super) fn keep(&self, token: &Arc<Verified>) {
        self.shared.insert(Arc::clone(&token.text), Arc::clone(token));
    }
}

/// The cache's own `Debug` would print every token.
impl fmt::Debug for VerifiedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedCache({} tokens)", self.shared.entry_count())
    }
}

/// Frees the memory; whether a token has expired is judged on each request.
#[derive(Debug)]
struct UntilExpired(Arc<dyn Clock>);

impl Expiry<Arc<[u8]>, Arc<Verified>> for UntilExpired {
    fn expire_after_create(&self, _: &Arc<[u8]>, token: &Arc<Verified>, _: Instant) -> Option<Duration> {
        Some(token.identity.expires_at.since(self.0.now()))
    }

    fn expire_after_update(
        &self,
        _: &Arc<[u8]>,
        token: &Arc<Verified>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(token.identity.expires_at.since(self.0.now()))
    }
}
