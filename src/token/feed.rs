//! Follows the store's stream of revocations, so that memory knows what any gateway, or the command line, has revoked.
//!
//! It begins with everything that is still to be remembered and goes on from there. A failure or a gap marks the feed as down (a new epoch) until the
//! whole was read again. After a gap the store may have lost what we remember: it is put back, so that a revocation outlives any one of the two.

use std::time::Duration;

use super::revocation::Revocations;
use crate::store::StoreError;
use crate::store::ephemeral::{Cursor, News, Revocation};

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

/// How far we have read.
#[derive(Debug, Default)]
pub(super) struct Place {
    cursor: Cursor,
    /// Whether everything up to the cursor is in memory.
    whole: bool,
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
        let outcome = self.advance(place).await;
        if let Err(error) = &outcome {
            place.whole = false;
            self.feed_is_down(error);
        }
        outcome.is_ok()
    }

    async fn advance(&self, place: &mut Place) -> Result<(), StoreError> {
        let news = self.ask_for_news(place).await?;
        if news.gap {
            place.whole = false;
            place.cursor = Cursor::default();
            self.feed_is_down(&"the store's stream has a gap");
            return self.put_back().await;
        }
        self.take_in(&news.revocations).await;
        place.cursor = news.cursor;
        place.whole = true;
        self.feed_is_up();
        Ok(())
    }

    async fn ask_for_news(&self, place: &Place) -> Result<News, StoreError> {
        let (cursor, wait, limit) = if place.whole {
            (place.cursor.clone(), WAIT, WAIT + PATIENCE)
        } else {
            (Cursor::default(), Duration::ZERO, WHOLE)
        };
        let news = tokio::time::timeout(limit, self.store.follow(&cursor, wait)).await;
        news.unwrap_or(Err(StoreError::Unanswered { store: "sessions" }))
    }

    async fn take_in(&self, revocations: &[Revocation]) {
        for piece in revocations.chunks(PIECE) {
            self.mirror.learn(piece, self.clock.now());
            tokio::task::yield_now().await;
        }
    }

    async fn put_back(&self) -> Result<(), StoreError> {
        for piece in self.mirror.all(self.clock.now()).chunks(PIECE) {
            self.store.revoke(piece).await?;
        }
        Ok(())
    }
}
