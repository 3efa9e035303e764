//! What a person proves themselves with, and the account it belongs to.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::user::User;

/// A password as typed: never printed, wiped when dropped.
#[derive(Clone)]
pub struct Password(SecretString);

impl Password {
    /// Takes the text over as it is; its length and strength are `auth`'s to judge.
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// The text, for hashing and for the strength rules only.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// In the place of a hash where there is none; no PHC string begins so.
const NONE: &str = "!";

/// A hashed password as a PHC string (`$argon2id$…`), never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes over a PHC string.
    pub fn new(phc: String) -> Self {
        Self(phc)
    }

    /// That of an account which has no password: nothing matches it.
    pub fn none() -> Self {
        Self(NONE.to_owned())
    }

    /// Whether there is no password.
    pub fn is_none(&self) -> bool {
        self.0 == NONE
    }

    /// The PHC string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// A user together with what proves that it is them.
#[derive(Clone, Debug)]
pub struct Account {
    /// Who it is.
    pub user: User,
    /// What their password must match.
    pub password: PasswordHash,
}
