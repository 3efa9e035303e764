//! What the tests of this room live in: a clock that stands still, a real store for keys, and a store of revocations that fails on command.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{AccessToken, Tokens};
use crate::config::{self, Algorithm, OnReuse, StoreUrl};
use crate::model::clock::{Clock, ManualClock, Timestamp};
use crate::model::credential::{Account, PasswordHash};
use crate::model::secret::{Secret, uuid_v7};
use crate::model::session::{Amr, Generation, Session, SessionId, TokenId};
use crate::model::user::{Confirmation, Epoch, User, UserId};
use crate::store::ephemeral::{Count, Cursor, EphemeralStore, News, Revocation, Revoked};
use crate::store::pair::{Pair, PairStore};
use crate::store::{StoreError, Stores};
use crate::telemetry::{Audit, Metrics, Telemetry};

/// When every test begins.
pub(super) const START: Timestamp = Timestamp::from_secs(1_750_000_000);

/// One gateway's tokens and what they lean on.
pub(crate) struct World {
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) revocations: Arc<FakeRevocations>,
    pub(crate) pairs: Arc<FakePairs>,
    pub(super) settings: config::Tokens,
    pub(super) store: config::Store,
    pub(super) stores: Stores,
    _dir: TempDir,
}

impl World {
    /// Keys of one algorithm; EdDSA is the quickest to make.
    pub(crate) async fn new(algorithm: Algorithm) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = store_settings(&dir);
        let settings = settings(algorithm);
        let revocations = Arc::new(FakeRevocations::default());
        let pairs = Arc::new(FakePairs::default());
        let stores = Stores {
            ephemeral: revocations.clone(),
            pairs: Some(pairs.clone()),
            ..Stores::open(&store, &Arc::new(Metrics::new())).await.unwrap()
        };
        let clock = Arc::new(ManualClock::at(START));
        let tokens = open(&settings, &store, &stores, &clock, 7).await.unwrap();
        Self {
            tokens,
            clock,
            revocations,
            pairs,
            settings,
            store,
            stores,
            _dir: dir,
        }
    }

    /// Another gateway over the same stores.
    pub(super) async fn another(&self) -> Arc<Tokens> {
        open(&self.settings, &self.store, &self.stores, &self.clock, 7)
            .await
            .unwrap()
    }

    /// A gateway that was given another secret.
    pub(super) async fn with_secret(&self, secret: u8) -> Result<Arc<Tokens>, super::TokenError> {
        open(&self.settings, &self.store, &self.stores, &self.clock, secret).await
    }

    /// A session opened now, that lives for a month.
    pub(crate) fn session(&self, user: &User) -> Session {
        let now = self.clock.now();
        let end = now.plus(Duration::from_secs(30 * 86_400));
        Session {
            id: SessionId(uuid_v7(now).unwrap()),
            user: user.id,
            epoch: Epoch(0),
            created_at: now,
            last_used_at: now,
            expires_at: end,
            idle_expires_at: end,
            auth_time: now,
            amr: vec![Amr("pwd".to_owned())],
            ip: None,
            user_agent: String::new(),
            nonce_hash: [0; 32],
            current: Generation::FIRST,
            previous: None,
            rotated_at: now,
        }
    }

    /// An access token of Ada's, whose session is kept.
    pub(crate) fn signed_in(&self) -> AccessToken {
        let user = user();
        let session = self.session(&user);
        let token = self.tokens.issue(&user, &session).unwrap();
        *self.pairs.held.lock().unwrap() = Some((session, user));
        token
    }

    /// Whether the key that signed a token is in the JWK set.
    pub(crate) fn is_published(&self, token: &AccessToken) -> bool {
        let (set, _) = self.tokens.jwks();
        let header = token.jwt.split('.').next().unwrap();
        let header = URL_SAFE_NO_PAD.decode(header).unwrap();
        let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
        String::from_utf8_lossy(&set).contains(header["kid"].as_str().unwrap())
    }

    /// Ends a token.
    pub(crate) async fn revoke(&self, token: &AccessToken) {
        self.tokens
            .revoke(&[Revoked::Token(token.identity.token)])
            .await
            .unwrap();
    }

    /// An access token of a session opened now.
    pub(crate) fn issue(&self) -> AccessToken {
        let user = user();
        self.tokens.issue(&user, &self.session(&user)).unwrap()
    }
}

/// Ada, who may do two things.
pub(crate) fn user() -> User {
    User {
        id: UserId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001)),
        email: "ada@example.com".parse().unwrap(),
        roles: vec!["staff".parse().unwrap(), "team:a".parse().unwrap()],
        created_at: START,
        disabled_at: None,
        epoch: Epoch(0),
        confirmation: Confirmation::Unasked,
    }
}

/// The settings of the reference file.
pub(super) fn settings(algorithm: Algorithm) -> config::Tokens {
    config::Tokens {
        issuer: "https://id.example.com".to_owned(),
        audience: vec!["gateward".to_owned()],
        algorithm,
        access_ttl: Duration::from_secs(15 * 60),
        refresh_idle: Duration::from_secs(14 * 86_400),
        refresh_absolute: Duration::from_secs(90 * 86_400),
        reuse_window: Duration::from_secs(20),
        on_reuse: OnReuse::Family,
        rotate_every: Duration::from_secs(30 * 86_400),
        publish_before: Duration::from_secs(3600),
        claim_email: true,
        claim_roles: true,
    }
}

async fn open(
    settings: &config::Tokens,
    store: &config::Store,
    stores: &Stores,
    clock: &Arc<ManualClock>,
    secret: u8,
) -> Result<Arc<Tokens>, super::TokenError> {
    let clock = Arc::clone(clock);
    let telemetry = Telemetry {
        metrics: Arc::new(Metrics::new()),
        audit: Arc::new(Audit::off()),
    };
    Tokens::open(
        settings,
        store,
        &Secret::new([secret; 32]),
        stores,
        clock,
        Handle::current(),
        telemetry,
    )
    .await
}

fn store_settings(dir: &TempDir) -> config::Store {
    let file = dir.path().join("gateward.db");
    config::Store {
        accounts: StoreUrl::Sqlite(file.clone()),
        sessions: StoreUrl::Sqlite(file),
        secret_file: dir.path().join("secret.key"),
        connect_timeout: Duration::from_millis(250),
        timeout: Duration::from_secs(5),
        max_staleness: Duration::from_secs(60),
    }
}

/// Revocations in memory, that can be taken down, counted and lost.
#[derive(Debug, Default)]
pub(crate) struct FakeRevocations {
    log: Mutex<Vec<Revocation>>,
    age: AtomicUsize,
    down: AtomicBool,
    hanging: AtomicBool,
    asked: AtomicUsize,
    change: Notify,
}

impl FakeRevocations {
    /// Answers nothing from now on, or answers again.
    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
        self.change.notify_waiters();
    }

    /// Keeps everybody waiting from now on who asks about a token, and fails the feed; or answers again.
    pub(crate) fn set_hanging(&self, hanging: bool) {
        self.hanging.store(hanging, Ordering::SeqCst);
        self.change.notify_waiters();
    }

    /// Loses everything, as a store that was restarted empty.
    pub(super) fn lose(&self) {
        self.log.lock().unwrap().clear();
        self.age.fetch_add(1, Ordering::SeqCst);
        self.change.notify_waiters();
    }

    /// How often it was asked about a token.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// How many revocations it holds.
    pub(super) fn held(&self) -> usize {
        self.log.lock().unwrap().len()
    }

    fn up(&self) -> Result<(), StoreError> {
        if self.hanging.load(Ordering::SeqCst) {
            return Err(StoreError::Unanswered { store: "sessions" });
        }
        if self.down.load(Ordering::SeqCst) {
            return Err(gone());
        }
        Ok(())
    }

    fn since(&self, after: &Cursor) -> News {
        let log = self.log.lock().unwrap();
        let age = self.age.load(Ordering::SeqCst);
        let place = match after.0.split_once(':') {
            Some((of, place)) if of == age.to_string() => Some(place.parse().unwrap()),
            Some(_) => None,
            None => Some(0),
        };
        News {
            revocations: log.iter().skip(place.unwrap_or(log.len())).copied().collect(),
            cursor: Cursor(format!("{age}:{}", log.len())),
            gap: place.is_none(),
        }
    }
}

/// One session and its user, that can be changed, and taken down with their store.
#[derive(Debug, Default)]
pub(crate) struct FakePairs {
    held: Mutex<Option<(Session, User)>>,
    down: AtomicBool,
    asked: AtomicUsize,
}

impl FakePairs {
    /// Changes what is held.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Session, &mut User)) {
        let mut held = self.held.lock().unwrap();
        let (session, user) = held.as_mut().unwrap();
        change(session, user);
    }

    /// The session is ended.
    pub(crate) fn end(&self) {
        *self.held.lock().unwrap() = None;
    }

    /// Answers nothing from now on, or answers again.
    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl PairStore for FakePairs {
    async fn find_pair(&self, id: SessionId) -> Result<Option<Pair>, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) {
            return Err(gone());
        }
        let held = self.held.lock().unwrap().clone();
        let account = |user| Account {
            user,
            password: PasswordHash::none(),
        };
        Ok(held
            .filter(|(session, _)| session.id == id)
            .map(|(session, user)| (session, Some(account(user)))))
    }

    async fn open_pair(&self, _: &Session) -> Result<Option<Account>, StoreError> {
        Err(gone())
    }
}

fn gone() -> StoreError {
    StoreError::Unavailable {
        store: "sessions",
        source: None,
    }
}

#[async_trait]
impl EphemeralStore for FakeRevocations {
    async fn revoke(&self, revocations: &[Revocation]) -> Result<(), StoreError> {
        self.up()?;
        self.log.lock().unwrap().extend_from_slice(revocations);
        self.change.notify_waiters();
        Ok(())
    }

    async fn is_revoked(&self, token: TokenId, session: SessionId, user: UserId) -> Result<bool, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        loop {
            let change = self.change.notified();
            if !self.hanging.load(Ordering::SeqCst) {
                break;
            }
            change.await;
        }
        self.up()?;
        let concerns = |revocation: &Revocation| match revocation.what {
            Revoked::Token(id) => id == token,
            Revoked::Session(id) => id == session,
            Revoked::User(id, moment) => id == user && session.opened_at() <= moment,
        };
        Ok(self.log.lock().unwrap().iter().any(concerns))
    }

    async fn follow(&self, after: &Cursor, wait: Duration) -> Result<News, StoreError> {
        let change = self.change.notified();
        self.up()?;
        let news = self.since(after);
        if news.gap || !news.revocations.is_empty() || wait.is_zero() {
            return Ok(news);
        }
        let _ = tokio::time::timeout(wait, change).await;
        self.up()?;
        Ok(self.since(after))
    }

    async fn count(&self, _: &str, _: Duration, _: Timestamp) -> Result<Count, StoreError> {
        Err(gone())
    }

    async fn remember(&self, _: &str, _: Timestamp) -> Result<(), StoreError> {
        Err(gone())
    }

    async fn remembers(&self, _: &str, _: Timestamp) -> Result<bool, StoreError> {
        Err(gone())
    }

    async fn remembered_until(&self, _: &str) -> Result<Option<Timestamp>, StoreError> {
        Err(gone())
    }

    async fn keep(&self, _: &str, _: &[u8], _: Timestamp) -> Result<(), StoreError> {
        Err(gone())
    }

    async fn peek(&self, _: &str, _: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        Err(gone())
    }

    async fn take(&self, _: &str, _: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        Err(gone())
    }

    async fn purge(&self, _: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }
}
