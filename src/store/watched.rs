//! A layer around any backend: every call has a time limit and is counted. So no backend repeats it and none can forget it.
//!
//! A call that runs into its limit is dropped; a backend must bear that at any await point (nothing waits for a dead store).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::StoreError;
use super::accounts::{AccountStore, Added, Moved, StoredKey};
use super::ephemeral::{Count, Counter, Cursor, EphemeralStore, News, Revocation};
use super::factors::{Advance, Attached, Detached, FactorStore};
use super::outbox::{Letter, Outbox};
use super::pair::{Pair, PairStore};
use super::sessions::{Bookmark, Page, Rotate, Rotation, SessionStore};
use crate::model::clock::Timestamp;
use crate::model::credential::{Account, PasswordHash};
use crate::model::factor::{Factor, FactorId, FactorKind, Link};
use crate::model::session::{Amr, Session, SessionId, TokenId};
use crate::model::user::{Email, Epoch, Role, User, UserId};
use crate::telemetry::Metrics;

/// How many time limits a follower's first look may take: it may fetch a million revocations, and nobody's request waits for it.
const WHOLE_STREAM: u32 = 30;

/// The time limit of one store's calls, and where they are counted.
#[derive(Debug)]
pub(super) struct Watch {
    store: &'static str,
    limit: Duration,
    metrics: Arc<Metrics>,
}

impl Watch {
    pub(super) fn new(store: &'static str, limit: Duration, metrics: Arc<Metrics>) -> Self {
        Self { store, limit, metrics }
    }

    /// Counts an outcome and hands it on.
    pub(super) fn report<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        let (up, failure) = match &outcome {
            Ok(_) => (true, None),
            Err(StoreError::Damaged { .. }) => (true, Some("damaged")),
            Err(StoreError::Unavailable { .. }) => (false, Some("unavailable")),
            Err(StoreError::Unanswered { .. }) => (false, Some("unanswered")),
        };
        self.metrics.store_up(self.store, up);
        if let Some(kind) = failure {
            self.metrics.store_error(self.store, kind);
        }
        outcome
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.call_within(self.limit, call).await
    }

    async fn call_within<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let outcome = tokio::time::timeout(limit, call).await;
        self.report(outcome.unwrap_or(Err(StoreError::Unanswered { store: self.store })))
    }
}

/// A backend under watch.
#[derive(Debug)]
pub(super) struct Watched<S> {
    backend: S,
    watch: Watch,
}

impl<S> Watched<S> {
    pub(super) fn new(backend: S, watch: Watch) -> Self {
        Self { backend, watch }
    }
}

#[async_trait]
impl<S: AccountStore> AccountStore for Watched<S> {
    async fn add(&self, account: &Account) -> Result<Added, StoreError> {
        self.watch.call(self.backend.add(account)).await
    }

    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        self.watch.call(self.backend.find_by_email(email)).await
    }

    async fn find(&self, id: UserId) -> Result<Option<Account>, StoreError> {
        self.watch.call(self.backend.find(id)).await
    }

    async fn list(&self, after: Option<UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
        self.watch.call(self.backend.list(after, limit)).await
    }

    async fn accounts(&self, after: Option<UserId>, limit: u32) -> Result<Vec<Account>, StoreError> {
        self.watch.call(self.backend.accounts(after, limit)).await
    }

    async fn tally(&self) -> Result<u64, StoreError> {
        self.watch.call(self.backend.tally()).await
    }

    async fn replace(&self, account: &Account, seen: Epoch) -> Result<bool, StoreError> {
        self.watch.call(self.backend.replace(account, seen)).await
    }

    async fn set_roles(&self, id: UserId, roles: &[Role]) -> Result<Option<User>, StoreError> {
        self.watch.call(self.backend.set_roles(id, roles)).await
    }

    async fn set_disabled(&self, id: UserId, since: Option<Timestamp>) -> Result<Option<User>, StoreError> {
        self.watch.call(self.backend.set_disabled(id, since)).await
    }

    async fn change_password(
        &self,
        id: UserId,
        from: &PasswordHash,
        to: &PasswordHash,
    ) -> Result<Option<Epoch>, StoreError> {
        self.watch.call(self.backend.change_password(id, from, to)).await
    }

    async fn rehash_password(&self, id: UserId, from: &PasswordHash, to: &PasswordHash) -> Result<bool, StoreError> {
        self.watch.call(self.backend.rehash_password(id, from, to)).await
    }

    async fn confirm(&self, id: UserId, email: &Email) -> Result<bool, StoreError> {
        self.watch.call(self.backend.confirm(id, email)).await
    }

    async fn change_email(&self, id: UserId, from: &Email, to: &Email) -> Result<Moved, StoreError> {
        self.watch.call(self.backend.change_email(id, from, to)).await
    }

    async fn begin_epoch(&self, id: UserId) -> Result<Option<Epoch>, StoreError> {
        self.watch.call(self.backend.begin_epoch(id)).await
    }

    async fn remove(&self, id: UserId) -> Result<bool, StoreError> {
        self.watch.call(self.backend.remove(id)).await
    }

    async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        self.watch.call(self.backend.keys()).await
    }

    async fn add_key(
        &self,
        key: &StoredKey,
        after: Option<&str>,
        predecessor_retires_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        self.watch
            .call(self.backend.add_key(key, after, predecessor_retires_at))
            .await
    }

    async fn revoke_key(&self, kid: &str, at: Timestamp) -> Result<bool, StoreError> {
        self.watch.call(self.backend.revoke_key(kid, at)).await
    }

    async fn purge_keys(&self, moment: Timestamp) -> Result<u64, StoreError> {
        self.watch.call(self.backend.purge_keys(moment)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.watch.call(self.backend.ping()).await
    }
}

#[async_trait]
impl<S: FactorStore> FactorStore for Watched<S> {
    async fn found(&self, account: &Account, factors: &[Factor]) -> Result<Attached, StoreError> {
        self.watch.call(self.backend.found(account, factors)).await
    }

    async fn attach(&self, factor: &Factor) -> Result<Attached, StoreError> {
        self.watch.call(self.backend.attach(factor)).await
    }

    async fn of_user(&self, user: UserId) -> Result<Vec<Factor>, StoreError> {
        self.watch.call(self.backend.of_user(user)).await
    }

    async fn linked(&self, link: &Link) -> Result<Option<UserId>, StoreError> {
        self.watch.call(self.backend.linked(link)).await
    }

    async fn advance(&self, user: UserId, id: FactorId, to: u64, now: Timestamp) -> Result<Advance, StoreError> {
        self.watch.call(self.backend.advance(user, id, to, now)).await
    }

    async fn replace(&self, user: UserId, kind: FactorKind, by: &[Factor]) -> Result<bool, StoreError> {
        self.watch.call(self.backend.replace(user, kind, by)).await
    }

    async fn detach(&self, user: UserId, id: FactorId) -> Result<bool, StoreError> {
        self.watch.call(self.backend.detach(user, id)).await
    }

    async fn detach_but_last(&self, user: UserId, id: FactorId, of: &[FactorKind]) -> Result<Detached, StoreError> {
        self.watch.call(self.backend.detach_but_last(user, id, of)).await
    }

    async fn rename(&self, user: UserId, id: FactorId, label: &str) -> Result<bool, StoreError> {
        self.watch.call(self.backend.rename(user, id, label)).await
    }
}

#[async_trait]
impl<S: Outbox> Outbox for Watched<S> {
    async fn post(&self, letter: &Letter) -> Result<(), StoreError> {
        self.watch.call(self.backend.post(letter)).await
    }

    async fn claim(&self, now: Timestamp, lease: Duration, limit: u32) -> Result<Vec<Letter>, StoreError> {
        self.watch.call(self.backend.claim(now, lease, limit)).await
    }

    async fn put_off(&self, id: Uuid, until: Timestamp) -> Result<bool, StoreError> {
        self.watch.call(self.backend.put_off(id, until)).await
    }

    async fn take_out(&self, id: Uuid) -> Result<bool, StoreError> {
        self.watch.call(self.backend.take_out(id)).await
    }

    async fn waiting(&self) -> Result<u64, StoreError> {
        self.watch.call(self.backend.waiting()).await
    }
}

#[async_trait]
impl<S: SessionStore> SessionStore for Watched<S> {
    async fn open(&self, session: &Session) -> Result<(), StoreError> {
        self.watch.call(self.backend.open(session)).await
    }

    async fn find(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.watch.call(self.backend.find(id)).await
    }

    async fn rotate(&self, request: &Rotate) -> Result<Rotation, StoreError> {
        self.watch.call(self.backend.rotate(request)).await
    }

    async fn rotate_seen(&self, request: &Rotate, seen: Session) -> Result<Rotation, StoreError> {
        self.watch.call(self.backend.rotate_seen(request, seen)).await
    }

    async fn of_user(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        self.watch.call(self.backend.of_user(user, now)).await
    }

    async fn end(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.watch.call(self.backend.end(id)).await
    }

    async fn end_all(&self, user: UserId, except: Option<SessionId>) -> Result<Vec<SessionId>, StoreError> {
        self.watch.call(self.backend.end_all(user, except)).await
    }

    async fn move_to_epoch(&self, id: SessionId, epoch: Epoch) -> Result<bool, StoreError> {
        self.watch.call(self.backend.move_to_epoch(id, epoch)).await
    }

    async fn prove(&self, id: SessionId, auth_time: Timestamp, amr: &[Amr]) -> Result<Option<Session>, StoreError> {
        self.watch.call(self.backend.prove(id, auth_time, amr)).await
    }

    async fn page(&self, from: &Bookmark, limit: u32) -> Result<Page, StoreError> {
        self.watch.call(self.backend.page(from, limit)).await
    }

    async fn tally(&self) -> Result<Option<u64>, StoreError> {
        self.watch.call(self.backend.tally()).await
    }

    async fn adopt(&self, session: &Session, now: Timestamp) -> Result<bool, StoreError> {
        self.watch.call(self.backend.adopt(session, now)).await
    }

    async fn purge(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.watch.call(SessionStore::purge(&self.backend, now)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.watch.call(self.backend.ping()).await
    }
}

#[async_trait]
impl<S: PairStore> PairStore for Watched<S> {
    async fn find_pair(&self, id: SessionId) -> Result<Option<Pair>, StoreError> {
        self.watch.call(self.backend.find_pair(id)).await
    }

    async fn open_pair(&self, session: &Session) -> Result<Option<Account>, StoreError> {
        self.watch.call(self.backend.open_pair(session)).await
    }
}

#[async_trait]
impl<S: EphemeralStore> EphemeralStore for Watched<S> {
    async fn revoke(&self, revocations: &[Revocation]) -> Result<(), StoreError> {
        self.watch.call(self.backend.revoke(revocations)).await
    }

    async fn is_revoked(&self, token: TokenId, session: SessionId, user: UserId) -> Result<bool, StoreError> {
        self.watch.call(self.backend.is_revoked(token, session, user)).await
    }

    async fn follow(&self, after: &Cursor, wait: Duration) -> Result<News, StoreError> {
        let first_look = *after == Cursor::default();
        let limits = if first_look { WHOLE_STREAM } else { 1 };
        let limit = wait.saturating_add(self.watch.limit.saturating_mul(limits));
        self.watch.call_within(limit, self.backend.follow(after, wait)).await
    }

    async fn count(&self, key: &str, window: Duration, now: Timestamp) -> Result<Count, StoreError> {
        self.watch.call(self.backend.count(key, window, now)).await
    }

    async fn admit(&self, counters: &[Counter<'_>], now: Timestamp) -> Result<Option<Count>, StoreError> {
        self.watch.call(self.backend.admit(counters, now)).await
    }

    async fn remember(&self, key: &str, until: Timestamp) -> Result<(), StoreError> {
        self.watch.call(self.backend.remember(key, until)).await
    }

    async fn remembers(&self, key: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.watch.call(self.backend.remembers(key, now)).await
    }

    async fn remembered_until(&self, key: &str) -> Result<Option<Timestamp>, StoreError> {
        self.watch.call(self.backend.remembered_until(key)).await
    }

    async fn keep(&self, key: &str, value: &[u8], until: Timestamp) -> Result<(), StoreError> {
        self.watch.call(self.backend.keep(key, value, until)).await
    }

    async fn peek(&self, key: &str, now: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        self.watch.call(self.backend.peek(key, now)).await
    }

    async fn take(&self, key: &str, now: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        self.watch.call(self.backend.take(key, now)).await
    }

    async fn purge(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.watch.call(EphemeralStore::purge(&self.backend, now)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> Watch {
        Watch::new("sessions", Duration::from_millis(1), Arc::new(Metrics::new()))
    }

    #[tokio::test]
    async fn a_store_that_never_answers_is_not_waited_for() {
        let outcome = watch().call(std::future::pending::<Result<(), _>>()).await;
        assert!(matches!(outcome, Err(StoreError::Unanswered { store: "sessions" })));
    }

    #[tokio::test]
    async fn a_store_is_down_from_a_failure_until_the_next_answer() {
        let watch = watch();
        let shows = |line: &str| watch.metrics.render().lines().any(|shown| shown == line);
        let (store, source) = ("sessions", None);
        let _ = watch.report::<()>(Err(StoreError::Unavailable { store, source }));
        assert!(shows("gateward_store_up{store=\"sessions\"} 0"));
        assert!(shows(
            "gateward_store_errors_total{store=\"sessions\",kind=\"unavailable\"} 1"
        ));

        let what = "a session".to_owned();
        let _ = watch.report::<()>(Err(StoreError::Damaged { store, what }));
        assert!(shows("gateward_store_up{store=\"sessions\"} 1"));
        assert!(shows(
            "gateward_store_errors_total{store=\"sessions\",kind=\"damaged\"} 1"
        ));
    }
}
