//! Facts that pass by themselves: revocations, counters, who signed in from where, values that are good for one use.

use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::model::clock::Timestamp;
use crate::model::session::{SessionId, TokenId};
use crate::model::user::UserId;

/// What is no longer good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// One access token.
    Token(TokenId),
    /// Every access token of a session.
    Session(SessionId),
    /// Every access token of the user's sessions that were opened at or before the moment.
    User(UserId, Timestamp),
}

/// A revocation and how long it must be remembered: until the last token that it concerns has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Revocation {
    /// What.
    pub what: Revoked,
    /// Until when.
    pub until: Timestamp,
}

/// A place in the store's stream of revocations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub String);

impl Cursor {
    /// The stream's name: each store has another, and so has one that lost its data.
    pub fn stream(&self) -> &str {
        self.0.split_once(':').map_or("", |(stream, _)| stream)
    }
}

/// What happened in that stream since a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// In order. With the default cursor: everything that is still to be remembered.
    pub revocations: Vec<Revocation>,
    /// Where to go on.
    pub cursor: Cursor,
    /// The stream does not reach back to the cursor (the store lost data, or was replaced): begin again from the default one.
    pub gap: bool,
}

/// How a counter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// This one included.
    pub count: u32,
    /// When the window ends and counting begins anew.
    pub resets_at: Timestamp,
}

/// A counter that an attempt has to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter<'a> {
    /// Its name.
    pub key: &'a str,
    /// How long it lives from its first count.
    pub window: Duration,
    /// How many attempts it lets pass in that time.
    pub most: u32,
    /// A remembered name that it does not concern: it is then left as it is.
    pub except: Option<&'a str>,
}

/// Revocations, counters, and who is known where.
#[async_trait]
pub trait EphemeralStore: Send + Sync + std::fmt::Debug {
    /// Remembers revocations, all or none, and lets every follower know.
    async fn revoke(&self, revocations: &[Revocation]) -> Result<(), StoreError>;
    /// Whether a token is revoked by itself, by its session or by its user.
    async fn is_revoked(&self, token: TokenId, session: SessionId, user: UserId) -> Result<bool, StoreError>;
    /// What was revoked since `after`, by any process; waits up to `wait` for the first news, then returns without. From the default cursor it
    /// returns at once: everything that is kept, which may be nothing, and where to go on.
    async fn follow(&self, after: &Cursor, wait: Duration) -> Result<News, StoreError>;
    /// Adds one to the counter named `key`; a counter lives for one window from its first count.
    async fn count(&self, key: &str, window: Duration, now: Timestamp) -> Result<Count, StoreError>;
    /// Counts an attempt with one counter after the other, up to the first that does not let it pass: how that one stands. `None`: all let it pass.
    async fn admit(&self, counters: &[Counter<'_>], now: Timestamp) -> Result<Option<Count>, StoreError> {
        for counter in counters {
            if let Some(name) = counter.except
                && self.remembers(name, now).await?
            {
                continue;
            }
            let count = self.count(counter.key, counter.window, now).await?;
            if count.count > counter.most {
                return Ok(Some(count));
            }
        }
        Ok(None)
    }
    /// Remembers a name until a moment; of two moments, until the later one.
    async fn remember(&self, key: &str, until: Timestamp) -> Result<(), StoreError>;
    /// Whether a name is remembered.
    async fn remembers(&self, key: &str, now: Timestamp) -> Result<bool, StoreError>;
    /// Until when a name is remembered, if it is.
    async fn remembered_until(&self, key: &str) -> Result<Option<Timestamp>, StoreError>;
    /// Keeps a value under a name until a moment, in place of what was there.
    async fn keep(&self, key: &str, value: &[u8], until: Timestamp) -> Result<(), StoreError>;
    /// The value kept under a name, which stays.
    async fn peek(&self, key: &str, now: Timestamp) -> Result<Option<Vec<u8>>, StoreError>;
    /// The value kept under a name, and takes it away in the same step: of any number that ask, one gets it.
    async fn take(&self, key: &str, now: Timestamp) -> Result<Option<Vec<u8>>, StoreError>;
    /// Takes away what is no longer to be remembered; returns how much. Stops early when there is very much, so that others get their turn: the next
    /// call goes on.
    async fn purge(&self, now: Timestamp) -> Result<u64, StoreError>;
}
