//! A password's hash as it is stored: its recipe and its tag, in one line of text. Ours are PHC strings of Argon2id; others are there until their owners
//! sign in for the first time.

use argon2::password_hash::phc::{self, Output, ParamsString, Salt};
use argon2::{ARGON2ID_IDENT, Params, Version};

use super::HashError;
use super::foreign;
use super::recipe::{Excess, MEMORY_CAP, Recipe};
use crate::model::credential::PasswordHash;

/// The most memory that a hash of our own kind may ask for, in KiB, when the settings do not ask for more: a damaged record must not take the machine down.
const MEMORY_CAP_KIB: u32 = 1024 * 1024;
/// The most passes that such a hash may ask for, likewise.
const ITERATIONS_CAP: u32 = 64;
/// Octets of a salt and of a tag (RFC 9106 §3.1 and §4).
pub(super) const SALT_LEN: usize = 16;
pub(super) const TAG_LEN: usize = 32;

/// A hash that cannot be taken over, in words for whoever tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is of no known form, or garbled.
    #[error(
        "the hash is of no known form, or cut off; argon2, bcrypt, scrypt and PBKDF2 are known, as their libraries, passlib and Django write them"
    )]
    Unreadable,
    /// It asks for too much memory.
    #[error("the hash asks for more than {} MiB of memory", MEMORY_CAP / 1024 / 1024)]
    TooMuchMemory,
    /// It asks for too much time.
    #[error("the hash costs more than a sign-in may take: about a second")]
    TooMuchWork,
}

/// A stored hash, taken apart.
pub(super) struct Stored {
    pub(super) recipe: Recipe,
    pub(super) tag: Vec<u8>,
}

/// Takes a stored hash apart; `ours` are the parameters of new ones. `None`: it is of no known form, or asks for more than is sane.
pub(super) fn read(stored: &PasswordHash, ours: &Params) -> Option<Stored> {
    let (recipe, tag) = foreign::read(stored.as_str())?;
    let sane = match &recipe {
        Recipe::Argon2 { params, .. } if recipe.is_native() => {
            params.m_cost() <= MEMORY_CAP_KIB.max(ours.m_cost()) && params.t_cost() <= ITERATIONS_CAP.max(ours.t_cost())
        }
        other => other.excess().is_none(),
    };
    sane.then_some(Stored { recipe, tag })
}

/// Judges a hash that another system made.
pub(super) fn accept(text: &str, ours: &Params) -> Result<PasswordHash, Unusable> {
    let (recipe, _) = foreign::read(text).ok_or(Unusable::Unreadable)?;
    match recipe.excess() {
        Some(_) if recipe.is_like(ours) => {}
        Some(Excess::Memory) => return Err(Unusable::TooMuchMemory),
        Some(Excess::Work) => return Err(Unusable::TooMuchWork),
        None => {}
    }
    Ok(PasswordHash::new(text.to_owned()))
}

/// Puts a hash together as it is stored.
pub(super) fn write(params: &Params, salt: &[u8], tag: &[u8]) -> Result<PasswordHash, HashError> {
    let failed = |_| HashError::Failed("no PHC string can be made");
    let phc = phc::PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).map_err(|_| HashError::Failed("no PHC parameters"))?,
        salt: Some(Salt::new(salt).map_err(failed)?),
        hash: Some(Output::new(tag).map_err(failed)?),
    };
    Ok(PasswordHash::new(phc.to_string()))
}
