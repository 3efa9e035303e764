//! The keys in use, ready: parsed, indexed, with the JWK set written out. Immutable; a new one takes its place when the stored list changes.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::TokenError;
use super::compact;
use super::jwk::{Jwk, Verifier};
use super::keys;
use super::pair::Pair;
use crate::model::clock::Timestamp;
use crate::model::seal::Seal;
use crate::store::accounts::StoredKey;

/// A key with everything that it takes to use it.
#[derive(Debug)]
pub(super) struct Key {
    /// Shared with the tokens that it verified, so that they fall with it.
    pub(super) verifier: Arc<Verifier>,
    pair: Pair,
    public: Jwk,
    access_header: String,
    assertion_header: String,
}

impl Key {
    /// Opens a stored key.
    fn open(stored: &StoredKey, seal: &Seal) -> Result<Self, TokenError> {
        let pkcs8 = seal
            .open(stored.kid.as_bytes(), &stored.sealed)
            .map_err(|_| TokenError::WrongSecret)?;
        let pair = Pair::from_pkcs8(stored.algorithm, &pkcs8).ok_or(TokenError::WrongSecret)?;
        let public = pair.public()?;
        let alg = pair.algorithm().name();
        Ok(Self {
            verifier: Arc::new(public.verifier(stored.kid.clone())?),
            access_header: compact::header(alg, "at+jwt", &stored.kid),
            assertion_header: compact::header(alg, "gateward-assertion+jwt", &stored.kid),
            pair,
            public,
        })
    }

    /// An access token with these claims.
    pub(super) fn sign_access(&self, claims: &[u8]) -> Result<String, TokenError> {
        compact::sign(&self.access_header, claims, &self.pair)
    }

    /// An assertion with these claims.
    pub(super) fn sign_assertion(&self, claims: &[u8]) -> Result<String, TokenError> {
        compact::sign(&self.assertion_header, claims, &self.pair)
    }
}

/// All keys of one reading.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// As the store has them, oldest first.
    pub(super) stored: Vec<StoredKey>,
    keys: HashMap<String, Arc<Key>>,
    jwks: Bytes,
}

impl Ring {
    /// The ring of a stored list. Keys that `before` had open are taken over; those of `before` that count no more are refused from now on, whatever
    /// else comes of it.
    ///
    /// # Errors
    /// `WrongSecret` when a key does not open.
    pub(super) fn new(stored: Vec<StoredKey>, before: &Self, seal: &Seal, now: Timestamp) -> Result<Self, TokenError> {
        let live = || stored.iter().filter(|key| keys::is_live(key, now));
        for (kid, known) in &before.keys {
            if live().any(|key| key.kid == *kid) {
                continue;
            }
            // One that is not in the list any more went with its time, or was revoked long before this reading.
            let last = stored.iter().chain(&before.stored).find(|key| key.kid == *kid);
            if last.is_some_and(|key| keys::is_retired(key, now)) {
                known.verifier.retire();
            } else {
                known.verifier.revoke();
            }
        }
        let mut keys = HashMap::new();
        for live in live() {
            let key = match before.keys.get(&live.kid) {
                Some(known) => Arc::clone(known),
                None => Arc::new(Key::open(live, seal)?),
            };
            keys.insert(live.kid.clone(), key);
        }
        let jwks = write_set(&stored, &keys);
        Ok(Self { stored, keys, jwks })
    }

    /// The key that verifies tokens of a `kid`.
    pub(super) fn verifier(&self, kid: &str) -> Option<Arc<Verifier>> {
        self.keys.get(kid).map(|key| Arc::clone(&key.verifier))
    }

    /// The key that signs.
    pub(super) fn signing(&self, now: Timestamp) -> Result<&Key, TokenError> {
        keys::signing(&self.stored, now)
            .and_then(|key| self.keys.get(&key.kid))
            .map(Arc::as_ref)
            .ok_or(TokenError::NoSigningKey)
    }

    /// The JWK set: every key whose tokens may be good, now or soon.
    pub(super) fn jwks(&self) -> Bytes {
        self.jwks.clone()
    }
}

fn write_set(stored: &[StoredKey], keys: &HashMap<String, Arc<Key>>) -> Bytes {
    let members: Vec<String> = stored
        .iter()
        .filter_map(|stored| keys.get(&stored.kid).map(|key| key.public.published(&stored.kid)))
        .collect();
    Bytes::from(format!(r#"{{"keys":[{}]}}"#, members.join(",")))
}
