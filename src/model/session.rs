//! One sign-in and what came of it: a family of refresh tokens under one id.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::clock::Timestamp;
use super::user::{Epoch, User, UserId};

/// Names a session; a UUIDv7, whose first 48 bits are the moment it was opened. It is the `sid` of its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub Uuid);

impl SessionId {
    /// When the session was opened, read from the id itself (RFC 9562 §5.7).
    pub fn opened_at(self) -> Timestamp {
        let millis = u64::try_from(self.0.as_u128() >> 80).unwrap_or_default();
        Timestamp::from_millis(millis)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Names one access token; its `jti`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenId(pub Uuid);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Which of a session's refresh tokens, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u32);

impl Generation {
    /// The first one, given out at sign-in.
    pub const FIRST: Self = Self(1);

    /// The one after this; stays at the last when there is none.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// How a person proved themselves, in the words of RFC 8176 (`pwd`, `otp`, `hwk` …).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amr(pub String);

/// The text is not a word for a way of proving oneself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a word of 1 to 32 letters, digits, '.', '_' or '-'")]
pub struct InvalidAmr;

impl FromStr for Amr {
    type Err = InvalidAmr;

    /// Reads somebody else's word: it may stand in a comma-joined header.
    fn from_str(text: &str) -> Result<Self, InvalidAmr> {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if (1..=32).contains(&text.len()) && text.bytes().all(letter) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidAmr)
        }
    }
}

/// A session as the store keeps it: everything needed to judge a refresh token, and no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its name, in every token of it.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The user's epoch it belongs to; in a later one it is over.
    pub epoch: Epoch,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it was last rotated or, before that, opened.
    pub last_used_at: Timestamp,
    /// When it ends whatever happens (`refresh_absolute`).
    pub expires_at: Timestamp,
    /// When it ends unless it is used before (`refresh_idle`); never after `expires_at`.
    pub idle_expires_at: Timestamp,
    /// When the person last proved themselves (`auth_time`).
    pub auth_time: Timestamp,
    /// How they did.
    pub amr: Vec<Amr>,
    /// The address it was opened from.
    pub ip: Option<IpAddr>,
    /// The browser's own words for itself, at most 256 characters.
    pub user_agent: String,
    /// SHA-256 of the nonce that all its refresh tokens carry.
    pub nonce_hash: [u8; 32],
    /// The generation that rotates.
    pub current: Generation,
    /// The generation that was rotated last, if any.
    pub previous: Option<Generation>,
    /// When the last rotation (or replacement) took place; the opening before that.
    pub rotated_at: Timestamp,
}

impl Session {
    /// Whether its time is over, idle or absolute: the moment of the end is over already.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.idle_expires_at || now >= self.expires_at
    }

    /// Whether its user may still use it, as far as their account says.
    pub fn is_open_to(&self, user: &User) -> bool {
        user.id == self.user && user.disabled_at.is_none() && user.epoch == self.epoch
    }
}
