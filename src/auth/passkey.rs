//! Passkeys: the relying party's side of WebAuthn Level 3, of which the numbers in this room are the steps (§7.1 registration, §7.2 sign-in).
//!
//! The code is our own, over aws-lc: the library at hand brings a second stack of cryptography in versions that are not released yet. It can be small, since
//! attestation is not asked for: nothing here depends on which model somebody's authenticator is, and what a statement says about it is passed over. So a
//! passkey proves that a key is held, `pop` in the words of RFC 8176, and not that hardware holds it.
//!
//! A passkey signs in alone when the authenticator has verified its person, which makes it two factors in one; after a password its presence is enough.

mod added;
#[cfg(test)]
mod authenticator;
mod authenticator_data;
mod cbor;
mod challenge;
mod client_data;
mod kept;
mod named;
mod proof;
mod public_key;
mod second_only;
mod sign_in;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

use std::sync::Arc;

pub use added::{Added, Creation};
pub use challenge::{Challenge, LIFE as CHALLENGE_LIFE};
pub use named::{LONGEST_NAME, Passkey};
pub use proof::{Made, Used};
pub use sign_in::{Known, Question};

use super::{Auth, AuthError};
use crate::config;
use crate::model::clock::Clock;
use crate::model::factor::Link;
use crate::store::Stores;
use challenge::Challenges;
use client_data::sha256;

/// Octets of a challenge (§13.4.3 asks for 16 at least).
pub(crate) const CHALLENGE: usize = 32;

/// Why a response is no proof. The caller is told only that it is none; the log says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(&'static str);

/// What ceremonies of this site need.
#[derive(Debug)]
pub(super) struct Passkeys {
    party: Party,
    challenges: Challenges,
}

impl Passkeys {
    pub(super) fn new(settings: &config::Passkeys, stores: &Stores, clock: Arc<dyn Clock>) -> Self {
        let ours = [settings.origin.clone()];
        let origins = ours.into_iter().chain(settings.related_origins.iter().cloned());
        Self {
            party: Party::new(&settings.rp_id, origins.collect()),
            challenges: Challenges::new(Arc::clone(&stores.ephemeral), clock),
        }
    }
}

impl Auth {
    /// Where they are switched off there is no such thing.
    fn passkeys(&self) -> Result<&Passkeys, AuthError> {
        self.passkeys.as_ref().ok_or(AuthError::NotFound)
    }
}

/// Us, as authenticators know us.
#[derive(Debug)]
pub(super) struct Party {
    id: String,
    hash: [u8; 32],
    origins: Vec<String>,
}

impl Party {
    /// The relying party `id` with the pages of these origins.
    fn new(id: &str, origins: Vec<String>) -> Self {
        Self {
            id: id.to_owned(),
            hash: sha256(id.as_bytes()),
            origins,
        }
    }

    /// What finds a credential among all accounts. The party's id has a fixed length in it, so that no two pairs are one text.
    fn link(&self, credential: &[u8]) -> Link {
        Link(sha256(&[b"passkey", self.hash.as_slice(), credential].concat()))
    }
}
