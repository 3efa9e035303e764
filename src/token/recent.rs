//! Tokens that this thread has seen of late, in front of the cache that all threads share.
//!
//! The shared cache keeps account of who was used when, which is written at each look: some ten places in memory for each token, all of them far apart. With
//! thousands of tokens in turn none of them is at hand, and the way there costs more than all that is done with the token. Here a token is two places away: a
//! slot, then the token itself. Nobody is counted and nothing is written. Where there is no room, only now and then does one give way: of more tokens in turn
//! than there are slots, each would otherwise put out one that is wanted sooner. Who is not here is found in the shared cache.

use std::cell::RefCell;
use std::sync::Arc;

use super::verify::Verified;

/// Slots that a token may be in, so many that they fill one cache line.
const WAYS: usize = 4;
/// Together 16,384 slots in 256 KiB for each thread that judges tokens. It holds on to 25 MB of them at most, and to an expired one until its slot is needed.
const SETS: usize = 4096;
/// How many newcomers find no room before one of them gets it.
const PATIENCE: usize = 8;

thread_local! {
    static RECENT: RefCell<Recent> = const { RefCell::new(Recent::EMPTY) };
}

/// The token of exactly this text, if this thread has kept it for this cache. `hash` is the text's.
pub(super) fn get(cache: u64, hash: u64, text: &[u8]) -> Option<Arc<Verified>> {
    RECENT.with_borrow(|recent| recent.get(cache, hash, text).cloned())
}

/// Keeps a token at hand for this thread.
pub(super) fn keep(cache: u64, hash: u64, token: &Arc<Verified>) {
    RECENT.with_borrow_mut(|recent| recent.keep(cache, hash, token));
}

/// One thread's.
struct Recent {
    /// Whose tokens they are: what is genuine in one cache says nothing about another one, whose issuer is another.
    cache: u64,
    sets: Vec<Set>,
    /// How many newcomers found no room.
    refused: usize,
}

#[derive(Clone, Default)]
#[repr(align(64))]
struct Set([Slot; WAYS]);

#[derive(Clone, Default)]
struct Slot {
    hash: u64,
    token: Option<Arc<Verified>>,
}

impl Recent {
    const EMPTY: Self = Self {
        cache: 0,
        sets: Vec::new(),
        refused: 0,
    };

    fn get(&self, cache: u64, hash: u64, text: &[u8]) -> Option<&Arc<Verified>> {
        if cache != self.cache {
            return None;
        }
        let Set(slots) = self.sets.get(set_of(hash))?;
        slots
            .iter()
            .filter(|slot| slot.hash == hash)
            .filter_map(|slot| slot.token.as_ref())
            .find(|token| *token.text == *text)
    }

    fn keep(&mut self, cache: u64, hash: u64, token: &Arc<Verified>) {
        if cache != self.cache {
            *self = Self {
                cache,
                sets: vec![Set::default(); SETS],
                refused: 0,
            };
        }
        let Some(Set(slots)) = self.sets.get_mut(set_of(hash)) else {
            return;
        };
        let free = slots.iter().position(|slot| slot.token.is_none());
        let way = free.unwrap_or_else(|| {
            self.refused = self.refused.wrapping_add(1);
            // Each of the ways in turn, once in so many times, and none of them otherwise.
            if self.refused.is_multiple_of(PATIENCE) {
                self.refused / PATIENCE % WAYS
            } else {
                WAYS
            }
        });
        if let Some(slot) = slots.get_mut(way) {
            *slot = Slot {
                hash,
                token: Some(Arc::clone(token)),
            };
        }
    }
}

/// Of the upper bits.
const fn set_of(hash: u64) -> usize {
    (hash >> 32) as usize % SETS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Algorithm, RevocationMode};
    use crate::token::world::World;

    const CACHE: u64 = u64::MAX;

    async fn tokens(number: usize) -> Vec<Arc<Verified>> {
        let world = World::new(Algorithm::EdDsa).await;
        let mut tokens = Vec::new();
        for _ in 0..number {
            let jwt = world.issue().jwt;
            tokens.push(world.tokens.verify(&jwt, RevocationMode::Off).await.unwrap());
        }
        tokens
    }

    #[tokio::test]
    async fn two_tokens_of_one_hash_are_told_apart_by_their_text() {
        let [one, other] = <[_; 2]>::try_from(tokens(2).await).unwrap();
        keep(CACHE, 7, &one);
        assert!(get(CACHE, 7, &other.text).is_none());
        keep(CACHE, 7, &other);
        for token in [one, other] {
            assert!(Arc::ptr_eq(&get(CACHE, 7, &token.text).unwrap(), &token));
        }
    }

    #[tokio::test]
    async fn what_was_kept_for_one_cache_is_nothing_to_another() {
        let tokens = tokens(1).await;
        let token = &tokens[0];
        keep(CACHE, 7, token);
        assert!(get(CACHE - 1, 7, &token.text).is_none());
        keep(CACHE - 1, 8, token);
        assert!(get(CACHE, 7, &token.text).is_none());
    }

    #[tokio::test]
    async fn where_there_is_no_room_one_gives_way_now_and_then() {
        let tokens = tokens(WAYS + 1).await;
        let there = || {
            tokens
                .iter()
                .filter(|token| get(CACHE, 7, &token.text).is_some())
                .count()
        };
        let newcomer = &tokens[WAYS];
        for token in &tokens[..WAYS] {
            keep(CACHE, 7, token);
        }
        for _ in 1..PATIENCE {
            keep(CACHE, 7, newcomer);
            assert!(get(CACHE, 7, &newcomer.text).is_none());
            assert_eq!(there(), WAYS);
        }
        keep(CACHE, 7, newcomer);
        assert!(get(CACHE, 7, &newcomer.text).is_some(), "who keeps coming gets in");
        assert_eq!(there(), WAYS);
    }
}
