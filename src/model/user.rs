//! A person with an account.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::clock::Timestamp;

/// Names an account for ever; a UUIDv7, so that it sorts by age. It is the `sub` of every token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub Uuid);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// An e-mail address in the one form that keys storage, limits and logs: lower case, domain in A-labels, at most 254 octets (RFC 5321 §4.5.3.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Email(String);

/// The text is not an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address; write it like ada@example.com")]
pub struct InvalidEmail;

impl Email {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`.
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or(self.0.as_str(), |(local, _)| local)
    }

    /// What stands behind it.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for Email {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        let (local, domain) = text.trim().rsplit_once('@').ok_or(InvalidEmail)?;
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| InvalidEmail)?;
        let address = format!("{}@{domain}", local.to_ascii_lowercase());
        let plain = local.is_ascii() && !local.contains('"') && domain.contains('.') && address.len() <= 254;
        if plain && email_address::EmailAddress::is_valid(&address) {
            Ok(Self(address))
        } else {
            Err(InvalidEmail)
        }
    }
}

impl TryFrom<String> for Email {
    type Error = InvalidEmail;

    fn try_from(text: String) -> Result<Self, InvalidEmail> {
        text.parse()
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an account may do, as a word: 1 to 64 of `A-Z a-z 0-9 . _ : / -`, so that it can stand in a comma-joined header.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Role(String);

/// The text is not a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a role; use 1 to 64 letters, digits, '.', '_', ':', '/' or '-'")]
pub struct InvalidRole;

impl Role {
    /// The role as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"._:/-".contains(&b);
        if (1..=64).contains(&text.len()) && text.bytes().all(letter) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidRole)
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Counts the times that all sessions of a user were ended at once: a changed password, a global sign-out, an account disabled.
/// A session remembers the epoch that it was opened in and is dead in a later one, whatever the sessions store has lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u32);

/// What is known about whether a user's address is theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Confirmation {
    /// Nobody has asked: there was no mail when the account was made, or an operator made it. It may sign in.
    #[default]
    Unasked,
    /// A letter went there and has not been answered; until then nobody signs in.
    Pending,
    /// Its owner has answered a letter that went there.
    Confirmed,
}

impl Confirmation {
    /// Its number in stores.
    pub const fn code(self) -> u8 {
        match self {
            Self::Unasked => 0,
            Self::Pending => 1,
            Self::Confirmed => 2,
        }
    }

    /// That of a number.
    pub fn of_code(code: i64) -> Option<Self> {
        let all = [Self::Unasked, Self::Pending, Self::Confirmed];
        all.into_iter().find(|one| i64::from(one.code()) == code)
    }
}

/// An account as everyone but the password check sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The account's name.
    pub id: UserId,
    /// Where it is reached and how it signs in.
    pub email: Email,
    /// What it may do, in the order given.
    pub roles: Vec<Role>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it may not sign in; `None` while it may.
    pub disabled_at: Option<Timestamp>,
    /// The epoch that a session must be of.
    pub epoch: Epoch,
    /// Whether the address is known to be theirs.
    pub confirmation: Confirmation,
}
