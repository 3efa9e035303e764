//! Factors whose next reading or next addition waits, so that a test says what happens meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::model::clock::Timestamp;
use crate::model::credential::Account;
use crate::model::factor::{Factor, FactorId, FactorKind, Link};
use crate::model::user::UserId;
use crate::store::StoreError;
use crate::store::factors::{Advance, Attached, Detached, FactorStore};

/// Where one call waits, once it is closed, until it is opened. Every other call goes by.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    closed: AtomicBool,
    reached: Notify,
    opened: Notify,
}

impl Gate {
    /// The next call waits.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Until a call waits here.
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    /// Lets the call that waits go on.
    pub(crate) fn open(&self) {
        self.opened.notify_one();
    }

    async fn pass(&self) {
        if self.closed.swap(false, Ordering::SeqCst) {
            self.reached.notify_one();
            self.opened.notified().await;
        }
    }
}

/// A store of factors behind gates.
#[derive(Debug)]
pub(crate) struct Held {
    inner: Arc<dyn FactorStore>,
    /// Whoever has read somebody's factors waits here with what they read.
    pub(crate) read: Gate,
    /// Whoever is about to add one waits here.
    pub(crate) adding: Gate,
}

impl Held {
    pub(super) fn new(inner: Arc<dyn FactorStore>) -> Self {
        Self {
            inner,
            read: Gate::default(),
            adding: Gate::default(),
        }
    }
}

#[async_trait]
impl FactorStore for Held {
    async fn found(&self, account: &Account, factors: &[Factor]) -> Result<Attached, StoreError> {
        self.inner.found(account, factors).await
    }
    async fn attach(&self, factor: &Factor) -> Result<Attached, StoreError> {
        self.adding.pass().await;
        self.inner.attach(factor).await
    }
    async fn of_user(&self, user: UserId) -> Result<Vec<Factor>, StoreError> {
        let factors = self.inner.of_user(user).await;
        self.read.pass().await;
        factors
    }
    async fn linked(&self, link: &Link) -> Result<Option<UserId>, StoreError> {
        self.inner.linked(link).await
    }
    async fn advance(&self, user: UserId, id: FactorId, to: u64, now: Timestamp) -> Result<Advance, StoreError> {
        self.inner.advance(user, id, to, now).await
    }
    async fn replace(&self, user: UserId, kind: FactorKind, by: &[Factor]) -> Result<bool, StoreError> {
        self.inner.replace(user, kind, by).await
    }
    async fn detach(&self, user: UserId, id: FactorId) -> Result<bool, StoreError> {
        self.inner.detach(user, id).await
    }
    async fn detach_but_last(&self, user: UserId, id: FactorId, of: &[FactorKind]) -> Result<Detached, StoreError> {
        self.inner.detach_but_last(user, id, of).await
    }
    async fn rename(&self, user: UserId, id: FactorId, label: &str) -> Result<bool, StoreError> {
        self.inner.rename(user, id, label).await
    }
}
