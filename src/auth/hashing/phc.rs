//! A password's hash as it is stored: a PHC string, which says by which parameters it was made.

use argon2::password_hash::phc::{self, Output, ParamsString, Salt};
use argon2::{ARGON2ID_IDENT, Params, Version};

use super::HashError;
use crate::model::credential::PasswordHash;

/// The most memory that a stored hash may ask for, in KiB, when the settings do not ask for more: a damaged record must not take the machine down.
const MEMORY_CAP_KIB: u32 = 1024 * 1024;
/// The most passes that a stored hash may ask for, likewise.
const ITERATIONS_CAP: u32 = 64;
/// Octets of a salt and of a tag (RFC 9106 §3.1 and §4).
pub(super) const SALT_LEN: usize = 16;
pub(super) const TAG_LEN: usize = 32;

/// A stored hash, taken apart.
pub(super) struct Stored {
    pub(super) salt: Vec<u8>,
    pub(super) params: Params,
    pub(super) tag: Vec<u8>,
}

/// Takes a stored hash apart; `ours` are the parameters of new ones. `None`: it is not an Argon2id PHC string, or asks for more than is sane.
pub(super) fn read(stored: &PasswordHash, ours: &Params) -> Option<Stored> {
    let phc = phc::PasswordHash::new(stored.as_str()).ok()?;
    let known = phc.algorithm == ARGON2ID_IDENT && phc.version == Some(Version::V0x13.into());
    let (salt, tag) = (phc.salt?.to_vec(), phc.hash?.as_bytes().to_vec());
    let asked = Params::try_from(&phc.params).ok()?;
    let params = Params::new(asked.m_cost(), asked.t_cost(), asked.p_cost(), Some(tag.len())).ok()?;
    let sane = params.m_cost() <= MEMORY_CAP_KIB.max(ours.m_cost())
        && params.t_cost() <= ITERATIONS_CAP.max(ours.t_cost())
        && tag.len() >= SALT_LEN;
    (known && sane).then_some(Stored { salt, params, tag })
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
