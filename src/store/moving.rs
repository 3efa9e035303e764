//! A move: what one installation's stores hold is taken to other stores, all of it that has a future.
//!
//! Nothing at the target is ever set back, so a move may be run again, after it was cut off or because its source went on: accounts are told apart by
//! their epoch, sessions by their generation. Revocations go before the keys whose tokens they end, sessions last. Only pages are held in memory, never
//! all accounts or all sessions.
//!
//! What ended at the target would come back with the next run. So a finished run leaves marks there: the moments of the last use of any session and of
//! the making of any account that it saw, and each key; what is no newer and gone is passed over.

mod accounts;
mod factors;
mod keys;

use std::collections::HashSet;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::ephemeral::{Cursor, EphemeralStore, Revocation, Revoked};
use super::sessions::Bookmark;
use super::{StoreError, Stores};
use crate::model::clock::Timestamp;
use crate::model::session::Session;
use crate::model::user::Email;

/// How many accounts or sessions are read at once.
const PAGE: u32 = 500;
/// Writes under way at once: enough to fill a round trip, within what a database's pool takes.
const AT_ONCE: usize = 12;
/// Revocations written at once.
const REVOCATIONS: usize = 500;

/// A mark is kept for so long: beyond the longest life of any session.
const MARK: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Why a move stopped. It may be run again.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// The store that is moved from failed.
    #[error("the stores of --from: {0}; what was copied stays, run it again")]
    From(#[source] StoreError),
    /// The store that is moved to failed.
    #[error("the stores of --to: {0}; what was copied stays, run it again")]
    To(#[source] StoreError),
    /// Addresses belong to other accounts there, so their owners would lose theirs.
    #[error(
        "the target has other accounts for {count} of the addresses ({}); delete one of each two (`gateward user delete`) and run it again; \
         keys and sessions were not copied",
        list(.some)
    )]
    Taken {
        /// How many.
        count: u64,
        /// Some of them.
        some: Vec<Email>,
    },
    /// Somebody else keeps changing the target's signing keys.
    #[error("the target's signing keys were changed at the same time; run it again")]
    KeysChanged,
}

fn list(some: &[Email]) -> String {
    some.iter().map(Email::as_str).collect::<Vec<_>>().join(", ")
}

/// What is moved, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Accounts.
    Accounts,
    /// Revocations that still count.
    Revocations,
    /// Signing keys.
    Keys,
    /// Sessions whose time is not over.
    Sessions,
}

/// Whoever watches a move.
pub trait Watcher {
    /// A part begins; how many there are, where that is known.
    fn begins(&mut self, part: Part, of: Option<u64>);
    /// So many more were looked at.
    fn advances(&mut self, by: u64);
    /// The part is done.
    fn ends(&mut self, count: &Count);
}

/// What came of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Were not there before.
    pub new: u64,
    /// Were there, and older.
    pub renewed: u64,
    /// Were there as they are, or newer.
    pub there: u64,
    /// Have no future: sessions whose time is over.
    pub over: u64,
    /// Accounts whose roles or state differ although neither is newer: they stay as the target has them.
    pub differing: u64,
    /// Some of those.
    pub some_differing: Vec<Email>,
    /// Accounts that only the target has.
    pub only_there: u64,
    /// Accounts and keys that an earlier run brought, and that were taken away at the target since.
    pub gone: u64,
}

/// A move.
#[derive(Clone, Debug)]
pub struct Move<'m> {
    /// Where from.
    pub from: &'m Stores,
    /// Where to.
    pub to: &'m Stores,
    /// Whether accounts and keys are kept in another store there.
    pub accounts: bool,
    /// Whether sessions, revocations and counters are.
    pub sessions: bool,
    /// The present moment.
    pub now: Timestamp,
    /// How long after its last signature a key must still verify.
    pub afterlife: Duration,
}

impl Move<'_> {
    /// Does it.
    ///
    /// # Errors
    /// When a store fails, or the target would lose something. What was moved until then stays.
    pub async fn run(&self, watcher: &mut dyn Watcher) -> Result<(), MoveError> {
        if self.accounts {
            self.move_accounts(watcher).await?;
        }
        if self.sessions {
            self.move_revocations(watcher).await?;
        }
        if self.accounts {
            self.move_keys(watcher).await?;
        }
        if self.sessions {
            self.move_sessions(watcher).await?;
        }
        Ok(())
    }

    async fn move_revocations(&self, watcher: &mut dyn Watcher) -> Result<(), MoveError> {
        let mut here = revocations(&*self.from.ephemeral).await.map_err(MoveError::From)?;
        here.retain(|revocation| revocation.until > self.now);
        let there = revocations(&*self.to.ephemeral).await.map_err(MoveError::To)?;
        let there: HashSet<Revocation> = there.into_iter().collect();
        watcher.begins(Part::Revocations, u64::try_from(here.len()).ok());
        let (known, new): (Vec<_>, Vec<_>) = here.into_iter().partition(|revocation| there.contains(revocation));
        watcher.advances(len(&known));
        for some in new.chunks(REVOCATIONS) {
            self.to.ephemeral.revoke(some).await.map_err(MoveError::To)?;
            self.end_revoked(some).await.map_err(MoveError::To)?;
            watcher.advances(len(some));
        }
        watcher.ends(&Count {
            new: len(&new),
            there: len(&known),
            ..Count::default()
        });
        Ok(())
    }

    /// A session that ended at the source since an earlier run ends at the target.
    async fn end_revoked(&self, revocations: &[Revocation]) -> Result<(), StoreError> {
        for revocation in revocations {
            if let Revoked::Session(id) = revocation.what {
                self.to.sessions.end(id).await?;
            }
        }
        Ok(())
    }

    async fn move_sessions(&self, watcher: &mut dyn Watcher) -> Result<(), MoveError> {
        let total = self.from.sessions.tally().await.map_err(MoveError::From)?;
        watcher.begins(Part::Sessions, total);
        let mark = self.mark("sessions").await?;
        let done = self.done(&mark).await?;
        let (mut count, mut last_use) = (Count::default(), Timestamp::default());
        let mut place = Bookmark::default();
        loop {
            let page = self.from.sessions.page(&place, PAGE).await;
            let page = page.map_err(MoveError::From)?;
            let seen = len(&page.sessions);
            let uses = page.sessions.iter().map(|session| session.rotated_at);
            last_use = uses.fold(last_use, Timestamp::max);
            self.adopt(page.sessions, done, &mut count).await?;
            watcher.advances(seen);
            let Some(next) = page.next else { break };
            place = next;
        }
        self.leave(&mark, last_use).await?;
        watcher.ends(&count);
        Ok(())
    }

    async fn adopt(&self, sessions: Vec<Session>, done: Option<Timestamp>, count: &mut Count) -> Result<(), MoveError> {
        let (over, live): (Vec<_>, Vec<_>) = sessions.into_iter().partition(|session| session.is_over(self.now));
        let is_known = |session: &Session| done.is_some_and(|last_use| session.rotated_at <= last_use);
        let (known, open): (Vec<_>, Vec<_>) = live.into_iter().partition(is_known);
        let adopted: Vec<bool> = stream::iter(&open)
            .map(|session| self.to.sessions.adopt(session, self.now))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
            .map_err(MoveError::To)?;
        let new = adopted.into_iter().filter(|new| *new).count();
        let new = u64::try_from(new).unwrap_or_default();
        count.new += new;
        count.there += len(&known) + len(&open) - new;
        count.over += len(&over);
        Ok(())
    }

    /// The name under which the target remembers how far runs from this source have come with something.
    async fn mark(&self, what: &str) -> Result<String, MoveError> {
        let news = self.from.ephemeral.follow(&Cursor::default(), Duration::ZERO).await;
        let cursor = news.map_err(MoveError::From)?.cursor;
        Ok(format!("copied:{what}:{}", cursor.stream()))
    }

    /// The moment that an earlier run left under a mark.
    async fn done(&self, mark: &str) -> Result<Option<Timestamp>, MoveError> {
        let until = self.to.ephemeral.remembered_until(mark).await.map_err(MoveError::To)?;
        Ok(until.map(|until| until.minus(MARK)))
    }

    async fn leave(&self, mark: &str, moment: Timestamp) -> Result<(), MoveError> {
        let left = self.to.ephemeral.remember(mark, moment.plus(MARK)).await;
        left.map_err(MoveError::To)
    }
}

async fn revocations(store: &dyn EphemeralStore) -> Result<Vec<Revocation>, StoreError> {
    let news = store.follow(&Cursor::default(), Duration::ZERO).await?;
    Ok(news.revocations)
}

fn len<T>(list: &[T]) -> u64 {
    u64::try_from(list.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
