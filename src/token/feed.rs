//! Follows the store's stream of revocations, so that memory knows what any gateway, or the command line, has revoked.
//!
//! It begins with everything that is still to be remembered and goes on from there. A failure or a gap marks the feed as down (a new epoch) until the
//! whole was read again. Meanwhile the store may have lost what we remember (restarted empty, or a replica that was behind took over), and a fresh
//! connection does not show it: so each time the whole is compared with memory, and what is missing is put back, after the sessions concerned have been
//! ended again. A revocation outlives any one of the two.

use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::Instant;

use super::revocation::Revocations;
use crate::store::StoreError;
use crate::store::ephemeral::{Cursor, News, Revocation, Revoked};

/// How long the store may keep us waiting for news.
const WAIT: Duration = Duration::from_secs(1);
/// How much longer than that until we give it up; store calls have their own, shorter limit.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long reading everything from the beginning may take: a million revocations take seconds.
const WHOLE: Duration = Duration::from_secs(60);
/// Between a failure and the next attempt.
const RETRY: Duration = Duration::from_millis(250);
/// A long history is taken in by pieces, so that it does not hold a thread.
const PIECE: usize = 4096;
/// Sessions ended at once after a store has lost data.
const AT_ONCE: usize = 64;

/// How far we have read.
#[derive(Debug)]
pub(super) struct Place {
    /// Everything up to here is in memory; `None`: the whole has to be read.
    cursor: Option<Cursor>,
    /// When memory was known to be up to date.
    heard_at: Instant,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            cursor: None,
            heard_at: Instant::now(),
        }
    }
}

impl Revocations {
    /// Reads everything that still counts, without waiting for news. A store that fails leaves the feed down and is tried again by `follow`.
    pub(super) async fn load(&self) {
        let mut place = self.place.lock().await;
        self.turn(&mut place).await;
    }

    /// Follows the stream until it is dropped. One follower at a time; a second one waits its turn.
    pub(super) async fn follow(&self) {
        let mut place = self.place.lock().await;
        loop {
            if !self.turn(&mut place).await {
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// One question to the store. `false`: it failed.
    async fn turn(&self, place: &mut Place) -> bool {
        let outcome = match place.cursor.take() {
            Some(cursor) => self.go_on(&cursor).await,
            None => self.begin().await,
        };
        match outcome {
            Ok(cursor) => {
                place.cursor = Some(cursor);
                place.heard_at = Instant::now();
            }
            Err(error) => {
                // Before the epoch ends: nobody is to wait for what was just found silent.
                self.store_failed(&error);
                self.feed_is_down(&error);
            }
        }
        self.metrics.revocation_lag(place.heard_at.elapsed());
        place.cursor.is_some()
    }

    /// Waits for what comes next.
    async fn go_on(&self, cursor: &Cursor) -> Result<Cursor, StoreError> {
        let news = self.ask_for_news(cursor, WAIT, WAIT + PATIENCE).await?;
        if news.gap {
            self.feed_is_down(&"the store's stream has a gap");
            return self.begin().await;
        }
        self.take_in(&news.revocations).await;
        Ok(news.cursor)
    }

    /// Reads the whole, and makes the store whole too.
    async fn begin(&self) -> Result<Cursor, StoreError> {
        let news = self.ask_for_news(&Cursor::default(), Duration::ZERO, WHOLE).await?;
        self.put_back(&news.revocations).await?;
        self.take_in(&news.revocations).await;
        self.feed_is_up();
        Ok(news.cursor)
    }

    async fn ask_for_news(&self, cursor: &Cursor, wait: Duration, limit: Duration) -> Result<News, StoreError> {
        let news = tokio::time::timeout(limit, self.store.follow(cursor, wait)).await;
        news.unwrap_or(Err(StoreError::Unanswered { store: "sessions" }))
    }

    async fn take_in(&self, revocations: &[Revocation]) {
        for piece in revocations.chunks(PIECE) {
            self.mirror.learn(piece, self.clock.now());
            tokio::task::yield_now().await;
        }
    }

    /// The sessions go first: should that fail, the revocations are still missing at the next attempt.
    async fn put_back(&self, kept: &[Revocation]) -> Result<(), StoreError> {
        let missing = self.mirror.missing_from(kept, self.clock.now());
        if missing.is_empty() {
            return Ok(());
        }
        tracing::warn!(
            revocations = missing.len(),
            "revocations: the store has lost some; they are put back"
        );
        self.end_again(&missing).await?;
        for piece in missing.chunks(PIECE) {
            self.store.revoke(piece).await?;
        }
        Ok(())
    }

    /// A store that lost a revocation lost the end of its session as well. Users' epochs are in the accounts store and need nothing.
    async fn end_again(&self, revocations: &[Revocation]) -> Result<(), StoreError> {
        let mut ended = Vec::new();
        for revocation in revocations {
            if let Revoked::Session(id) = revocation.what {
                ended.push(id);
            }
        }
        for some in ended.chunks(AT_ONCE) {
            try_join_all(some.iter().map(|id| self.sessions.end(*id))).await?;
        }
        Ok(())
    }
}
