//! What is kept of a passkey: its id, its key, and how its authenticator is reached.
//!
//! None of it is secret, but whoever could write another key under somebody's name would be them: so it rests sealed in the vault, under its owner's name.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::Refused;
use super::public_key::PublicKey;
use crate::auth::AuthError;
use crate::auth::vault::Vault;
use crate::model::factor::{Factor, FactorId};
use crate::model::user::UserId;

/// The ways to an authenticator that browsers know (§5.8.4); others are not kept.
const TRANSPORTS: [&str; 6] = ["usb", "nfc", "ble", "smart-card", "hybrid", "internal"];

/// A passkey as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// The credential's id.
    pub(super) id: Vec<u8>,
    /// Its public key, COSE.
    pub(super) cose: Vec<u8>,
    /// Whether the authenticator lets its owner's other devices have the key.
    pub(super) synced: bool,
    /// How the authenticator is reached, as the browser said.
    pub(super) transports: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    id: String,
    key: String,
    synced: bool,
    transports: Vec<String>,
}

impl Kept {
    /// Opens what a factor keeps.
    pub(super) fn open(vault: &Vault, factor: &Factor) -> Result<Self, AuthError> {
        let damaged = || AuthError::Internal(format!("the passkey {} of {} cannot be read", factor.id, factor.user));
        let opened = vault
            .open(factor.user, factor.id, &factor.sealed)
            .map_err(|_| damaged())?;
        let written: Written = serde_json::from_slice(&opened).map_err(|_| damaged())?;
        let octets = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| damaged());
        Ok(Self {
            id: octets(&written.id)?,
            cose: octets(&written.key)?,
            synced: written.synced,
            transports: written.transports,
        })
    }

    /// Seals it for a factor.
    pub(super) fn seal(&self, vault: &Vault, user: UserId, id: FactorId) -> Result<Vec<u8>, AuthError> {
        let written = Written {
            id: URL_SAFE_NO_PAD.encode(&self.id),
            key: URL_SAFE_NO_PAD.encode(&self.cose),
            synced: self.synced,
            transports: self.transports.clone(),
        };
        let text = serde_json::to_vec(&written).map_err(|error| AuthError::Internal(error.to_string()))?;
        Ok(vault.seal(user, id, &text)?)
    }

    /// One that nobody has the key of, to be as long at work for a credential that is unknown. The point is P-256's own generator.
    pub(super) fn decoy() -> Self {
        Self {
            id: Vec::new(),
            cose: DECOY.to_vec(),
            synced: false,
            transports: Vec::new(),
        }
    }

    /// Its key, ready.
    pub(super) fn key(&self) -> Result<PublicKey, Refused> {
        PublicKey::read(&self.cose).ok_or(Refused("a key that is kept and cannot be read"))
    }
}

/// Those of the ways that are known, each once.
pub(super) fn known_transports(said: &[String]) -> Vec<String> {
    let known = TRANSPORTS.iter().filter(|known| said.iter().any(|said| said == *known));
    known.map(|known| (*known).to_owned()).collect()
}

#[rustfmt::skip]
const DECOY: [u8; 77] = [
    0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20,
    0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2,
    0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96,
    0x22, 0x58, 0x20,
    0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16,
    0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::clock::Timestamp;
    use crate::model::factor::FactorKind;
    use crate::model::secret::Secret;

    #[test]
    fn a_passkey_opens_under_its_owners_name_only() {
        let vault = Vault::new(&Secret::new([7; 32])).unwrap();
        let kept = Kept {
            id: vec![1, 2, 3],
            transports: known_transports(&["internal".into(), "telepathy".into(), "usb".into(), "usb".into()]),
            ..Kept::decoy()
        };
        assert_eq!(kept.transports, ["usb", "internal"]);
        let (user, id) = (UserId(Uuid::from_u128(1)), FactorId(Uuid::from_u128(2)));
        let mut factor = Factor {
            id,
            user,
            kind: FactorKind::Passkey,
            label: String::new(),
            sealed: kept.seal(&vault, user, id).unwrap(),
            link: None,
            counter: 0,
            created_at: Timestamp::default(),
            used_at: None,
        };
        assert_eq!(Kept::open(&vault, &factor).unwrap(), kept);
        factor.user = UserId(Uuid::from_u128(3));
        assert!(Kept::open(&vault, &factor).is_err());
    }

    #[test]
    fn the_decoy_is_a_key_like_any_other() {
        assert!(Kept::decoy().key().is_ok());
    }
}
