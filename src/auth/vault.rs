//! What this room seals and hashes with: a key for each purpose, from the installation's secret.
//!
//! A secret that must be read again (what a time-based code is computed from) is sealed under the names of its user and factor, so that whoever can
//! write to the store cannot give one account another's. What is only compared (a recovery code) is kept as a keyed hash.

use aws_lc_rs::hmac;

use super::devices::Devices;
use crate::model::factor::FactorId;
use crate::model::seal::{Seal, Unopened};
use crate::model::secret::{NoEntropy, Secret};
use crate::model::user::UserId;
use zeroize::Zeroizing;

/// The keys.
#[derive(Debug)]
pub(super) struct Vault {
    factors: Seal,
    steps: Seal,
    codes: hmac::Key,
    pub(super) devices: Devices,
}

impl Vault {
    pub(super) fn new(secret: &Secret) -> Result<Self, NoEntropy> {
        Ok(Self {
            factors: Seal::new(secret, "factors")?,
            steps: Seal::new(secret, "pending-steps")?,
            codes: hmac::Key::new(hmac::HMAC_SHA256, secret.derive("recovery-codes")?.as_slice()),
            devices: Devices::new(secret)?,
        })
    }

    /// Seals what a factor keeps.
    pub(super) fn seal(&self, user: UserId, factor: FactorId, content: &[u8]) -> Result<Vec<u8>, NoEntropy> {
        self.factors.seal(&name(user, factor), content)
    }

    /// Opens it again.
    pub(super) fn open(&self, user: UserId, factor: FactorId, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        self.factors.open(&name(user, factor), sealed)
    }

    /// Seals what was proved by a first factor, under the name that the store has for it: who can write to that store makes up no proof.
    pub(super) fn seal_step(&self, name: &str, proved: &[u8]) -> Result<Vec<u8>, NoEntropy> {
        self.steps.seal(name.as_bytes(), proved)
    }

    /// Opens it again.
    pub(super) fn open_step(&self, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        self.steps.open(name.as_bytes(), sealed)
    }

    /// What is kept of a recovery code.
    pub(super) fn code_hash(&self, user: UserId, code: &str) -> Vec<u8> {
        let message = [user.0.as_bytes().as_slice(), code.as_bytes()].concat();
        hmac::sign(&self.codes, &message).as_ref().to_vec()
    }
}

fn name(user: UserId, factor: FactorId) -> Vec<u8> {
    [user.0.as_bytes().as_slice(), factor.0.as_bytes()].concat()
}
