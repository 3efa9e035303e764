//! What the pages show of passkeys.

use super::Moment;
use crate::auth::passkey::Passkey;

/// A passkey in the list of somebody's own.
pub struct PasskeyLine {
    /// Its id.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// Whether its owner's other devices may have it too.
    pub synced: bool,
    /// Whether it signs in alone.
    pub signs_in_alone: bool,
    /// When it was added.
    pub added: Moment,
    /// When it was used last.
    pub used: Option<Moment>,
}

impl From<Passkey> for PasskeyLine {
    fn from(passkey: Passkey) -> Self {
        Self {
            id: passkey.id.to_string(),
            name: passkey.name,
            synced: passkey.synced,
            signs_in_alone: passkey.signs_in_alone,
            added: passkey.created_at.into(),
            used: passkey.used_at.map(Moment::from),
        }
    }
}
