//! What an account has beside its password: a time-based code, recovery codes, passkeys, sign-ins of providers.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::clock::Timestamp;
use super::user::UserId;

/// Names one factor of one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FactorId(pub Uuid);

impl fmt::Display for FactorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Of which kind a factor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FactorKind {
    /// A time-based code (RFC 6238). Its counter is the last time step that was accepted.
    Totp,
    /// A recovery code. Its counter is 0 until it is used, then 1.
    Recovery,
    /// A passkey (WebAuthn). Its counter is the signature counter that was seen last.
    Passkey,
    /// A sign-in at an OpenID provider. Its link is its issuer and subject.
    Provider,
}

impl FactorKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Totp, Self::Recovery, Self::Passkey, Self::Provider];

    /// Its name in stores and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Recovery => "recovery",
            Self::Passkey => "passkey",
            Self::Provider => "provider",
        }
    }

    /// The kind of a name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Finds an account by something other than its id or address: SHA-256 of what names it elsewhere. At most one factor of all accounts has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link(pub [u8; 32]);

/// A factor as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Factor {
    /// Its name.
    pub id: FactorId,
    /// Whose it is.
    pub user: UserId,
    /// Its kind.
    pub kind: FactorKind,
    /// What its owner calls it; may be empty.
    pub label: String,
    /// What the kind keeps about it, sealed or hashed: a store never sees a secret open.
    pub sealed: Vec<u8>,
    /// What finds it among all accounts, if it can be found that way.
    pub link: Option<Link>,
    /// Grows with use; what it counts depends on the kind.
    pub counter: u64,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was used last.
    pub used_at: Option<Timestamp>,
}

impl fmt::Debug for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Factor({} {} of {}, counter {}, …)",
            self.kind.name(),
            self.id,
            self.user,
            self.counter
        )
    }
}
