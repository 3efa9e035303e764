//! Stores that fail when they are told to, and count how often they were asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::model::clock::Timestamp;
use crate::model::session::{Amr, Session, SessionId, TokenId};
use crate::model::user::{Epoch, UserId};
use crate::store::StoreError;
use crate::store::ephemeral::{Count, Counter, Cursor, EphemeralStore, News, Revocation};
use crate::store::sessions::{Bookmark, Page, Rotate, Rotation, SessionStore};

/// A store that can be taken down, and counts how often it was asked.
#[derive(Debug)]
pub(crate) struct Switched<T: ?Sized> {
    down: AtomicBool,
    calls: AtomicU64,
    inner: Arc<T>,
}

pub(crate) type Switch = Switched<dyn EphemeralStore>;

impl<T: ?Sized> Switched<T> {
    pub(super) fn new(inner: Arc<T>) -> Self {
        Self {
            down: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            inner,
        }
    }

    /// Answers nothing from now on, or answers again.
    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// How often it was asked.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn up(&self) -> Result<&T, StoreError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable {
                store: "sessions",
                source: None,
            });
        }
        Ok(&self.inner)
    }
}

#[async_trait]
impl SessionStore for Switched<dyn SessionStore> {
    async fn open(&self, session: &Session) -> Result<(), StoreError> {
        self.up()?.open(session).await
    }
    async fn find(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.up()?.find(id).await
    }
    async fn rotate(&self, request: &Rotate) -> Result<Rotation, StoreError> {
        self.up()?.rotate(request).await
    }
    async fn of_user(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        self.up()?.of_user(user, now).await
    }
    async fn end(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.up()?.end(id).await
    }
    async fn end_all(&self, user: UserId, except: Option<SessionId>) -> Result<Vec<SessionId>, StoreError> {
        self.up()?.end_all(user, except).await
    }
    async fn move_to_epoch(&self, id: SessionId, epoch: Epoch) -> Result<bool, StoreError> {
        self.up()?.move_to_epoch(id, epoch).await
    }
    async fn prove(&self, id: SessionId, auth_time: Timestamp, amr: &[Amr]) -> Result<Option<Session>, StoreError> {
        self.up()?.prove(id, auth_time, amr).await
    }
    async fn page(&self, from: &Bookmark, limit: u32) -> Result<Page, StoreError> {
        self.up()?.page(from, limit).await
    }
    async fn tally(&self) -> Result<Option<u64>, StoreError> {
        self.up()?.tally().await
    }
    async fn adopt(&self, session: &Session, now: Timestamp) -> Result<bool, StoreError> {
        self.up()?.adopt(session, now).await
    }
    async fn purge(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.up()?.purge(now).await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.up()?.ping().await
    }
}

#[async_trait]
impl EphemeralStore for Switched<dyn EphemeralStore> {
    async fn revoke(&self, revocations: &[Revocation]) -> Result<(), StoreError> {
        self.up()?.revoke(revocations).await
    }
    async fn is_revoked(&self, token: TokenId, session: SessionId, user: UserId) -> Result<bool, StoreError> {
        self.up()?.is_revoked(token, session, user).await
    }
    async fn follow(&self, after: &Cursor, wait: Duration) -> Result<News, StoreError> {
        self.up()?.follow(after, wait).await
    }
    async fn count(&self, key: &str, window: Duration, now: Timestamp) -> Result<Count, StoreError> {
        self.up()?.count(key, window, now).await
    }
    async fn admit(&self, counters: &[Counter<'_>], now: Timestamp) -> Result<Option<Count>, StoreError> {
        self.up()?.admit(counters, now).await
    }
    async fn remember(&self, key: &str, until: Timestamp) -> Result<(), StoreError> {
        self.up()?.remember(key, until).await
    }
    async fn remembers(&self, key: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.up()?.remembers(key, now).await
    }
    async fn remembered_until(&self, key: &str) -> Result<Option<Timestamp>, StoreError> {
        self.up()?.remembered_until(key).await
    }
    async fn keep(&self, key: &str, value: &[u8], until: Timestamp) -> Result<(), StoreError> {
        self.up()?.keep(key, value, until).await
    }
    async fn peek(&self, key: &str, now: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        self.up()?.peek(key, now).await
    }
    async fn take(&self, key: &str, now: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        self.up()?.take(key, now).await
    }
    async fn purge(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.up()?.purge(now).await
    }
}
