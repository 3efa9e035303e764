//! What tests of the rules, and of the portal over them, live in: a real store in a file of its own, a clock that stands still, cheap hashes, and stores
//! that fail and count when they are told to.

mod held;
mod switched;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use totp_rs::Totp;

use self::held::Held;
pub(crate) use self::switched::Switch;
use self::switched::Switched;
use super::links::{Errand, Holder, Links, RESET_WITHIN};
use super::register::Registered;
use super::{Auth, AuthError, Hasher, SignedIn};
use crate::config::{self, Algorithm, AuthLimits, OnReuse, PasswordRules, Rate, StoreUrl};
use crate::mail::{Letters, Mail};
use crate::model::caller::Caller;
use crate::model::clock::{Clock as _, ManualClock, Timestamp};
use crate::model::credential::Password;
use crate::model::presence::Presence;
use crate::model::proof::Proof;
use crate::model::secret::Secret;
use crate::model::user::{User, UserId};
use crate::store::sessions::SessionStore;
use crate::store::{StoreError, Stores};
use crate::telemetry::{Audit, Metrics, Telemetry};
use crate::token::Tokens;

/// Everybody's password.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// How many hashes may wait.
pub(crate) const QUEUE: usize = 64;

/// Somebody at an address.
pub(crate) fn caller_at(ip: &str) -> Caller {
    Caller {
        ip: ip.parse::<IpAddr>().unwrap(),
        user_agent: "test".into(),
        device: None,
        request_id: "a-request".into(),
        presence: Presence::default(),
    }
}

/// Somebody.
pub(crate) fn caller() -> Caller {
    caller_at("192.0.2.1")
}

/// A store that fails, met by the rules themselves and by the tokens below them.
pub(crate) fn store_failures() -> [AuthError; 2] {
    let unanswered = || StoreError::Unanswered { store: "sessions" };
    [AuthError::Store(unanswered()), AuthError::Token(unanswered().into())]
}

/// The rules and all that they lean on.
pub(crate) struct World {
    pub(crate) auth: Arc<Auth>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) stores: Stores,
    pub(crate) sessions: Arc<Switched<dyn SessionStore>>,
    pub(crate) ephemeral: Arc<Switch>,
    pub(crate) factors: Arc<Held>,
    pub(crate) hasher: Arc<Hasher>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) limits: AuthLimits,
    metrics: Arc<Metrics>,
    tokens_settings: config::Tokens,
    _dir: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut config::Tokens)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = store_settings(&dir);
        let metrics = Arc::new(Metrics::new());
        let opened = Stores::open(&store, &metrics).await.unwrap();
        let sessions = Arc::new(Switched::new(opened.sessions));
        let ephemeral = Arc::new(Switched::new(opened.ephemeral));
        let factors = Arc::new(Held::new(opened.factors));
        let stores = Stores {
            accounts: opened.accounts,
            factors: factors.clone(),
            outbox: opened.outbox,
            sessions: sessions.clone(),
            ephemeral: ephemeral.clone(),
            // Through the switches, too.
            pairs: None,
        };
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_750_000_000_500)));
        let mut tokens_settings = tokens_settings();
        change(&mut tokens_settings);
        let secret = secret();
        let telemetry = untold(&metrics);
        let tokens = Tokens::open(
            &tokens_settings,
            &store,
            &secret,
            &stores,
            clock.clone(),
            tokio::runtime::Handle::current(),
            telemetry.clone(),
        );
        let tokens = tokens.await.unwrap();
        let hasher = Arc::new(Hasher::new(&rules(64), metrics.clone()).unwrap());
        let settings = auth_settings(64);
        let auth = Auth::new(
            &settings,
            &tokens_settings,
            &secret,
            &stores,
            None,
            tokens.clone(),
            hasher.clone(),
            clock.clone(),
            telemetry,
        )
        .unwrap();
        Self {
            auth: Arc::new(auth),
            tokens,
            stores,
            sessions,
            ephemeral,
            factors,
            hasher,
            clock,
            limits: settings.limits,
            metrics,
            tokens_settings,
            _dir: dir,
        }
    }

    /// The same rules with other hashing memory.
    pub(crate) fn with_memory(&self, kib: u32) -> Auth {
        self.ruled(self.hasher_of(kib), None)
    }

    /// The same rules where nobody comes to hash.
    pub(crate) fn asleep(&self) -> Auth {
        self.ruled(Hasher::without_threads(&rules(64), self.metrics.clone()).unwrap(), None)
    }

    fn hasher_of(&self, kib: u32) -> Hasher {
        Hasher::new(&rules(kib), self.metrics.clone()).unwrap()
    }

    /// The same rules where letters can be sent.
    pub(crate) fn with_letters(&self) -> Auth {
        let file = self._dir.path().join("gateway.toml");
        let text = "[mail]\nurl = \"file:sent\"\nfrom = \"no-reply@example.com\"";
        std::fs::write(&file, text).unwrap();
        let settings = config::load(&file).unwrap();
        let letters = Letters::new(&secret(), self.stores.outbox.clone(), self.clock.clone()).unwrap();
        self.ruled(self.hasher_of(64), Some(Mail::new(letters, &settings)))
    }

    fn ruled(&self, hasher: Hasher, mail: Option<Mail>) -> Auth {
        Auth::new(
            &auth_settings(64),
            &self.tokens_settings,
            &secret(),
            &self.stores,
            mail,
            self.tokens.clone(),
            Arc::new(hasher),
            self.clock.clone(),
            untold(&self.metrics),
        )
        .unwrap()
    }

    /// The same links.
    pub(crate) fn links(&self) -> Links {
        Links::new(&secret(), self.stores.ephemeral.clone(), self.clock.clone()).unwrap()
    }

    /// Ada registers.
    pub(crate) async fn register(&self) -> User {
        self.register_as("ada@example.com").await
    }

    pub(crate) async fn register_as(&self, email: &str) -> User {
        match self.auth.register(&caller(), email, password()).await.unwrap() {
            Registered::Made(user) => user,
            Registered::Asked => panic!("no mail is sent here"),
        }
    }

    /// Ada registers and signs in.
    pub(crate) async fn signed_in(&self) -> SignedIn {
        self.register().await;
        self.again().await
    }

    /// Ada signs in once more.
    pub(crate) async fn again(&self) -> SignedIn {
        self.signed_in_as("ada@example.com").await
    }

    /// Somebody signs in for whom the password is enough.
    pub(crate) async fn signed_in_as(&self, email: &str) -> SignedIn {
        let entered = self.auth.login(&caller(), email, password()).await.unwrap();
        entered.signed_in().unwrap()
    }

    /// Ada registers, signs in and adds an authenticator app; with her recovery codes.
    pub(crate) async fn with_app(&self) -> (SignedIn, App, Vec<String>) {
        self.with_app_as("ada@example.com").await
    }

    pub(crate) async fn with_app_as(&self, email: &str) -> (SignedIn, App, Vec<String>) {
        self.register_as(email).await;
        let signed_in = self.signed_in_as(email).await;
        let who = &signed_in.access.identity;
        let app = App::reading(&self.auth.begin_totp(who, "Gateward").await.unwrap().uri);
        let code = app.code(self.clock.now());
        let enrolled = self.auth.confirm_totp(&caller(), who, &code).await.unwrap();
        (signed_in, app, enrolled.recovery_codes)
    }

    /// A session of Ada's whose password alone was shown, whatever her account asks for by now.
    pub(crate) async fn older_session(&self) -> SignedIn {
        let user = self.auth.find_user("ada@example.com").await.unwrap();
        self.auth
            .open_session(&caller(), user, Proof::password(), self.clock.now())
            .await
            .unwrap()
    }

    /// What the letter that resets somebody's password has in its link.
    pub(crate) async fn reset_token(&self, user: UserId) -> String {
        let account = self.stores.accounts.find(user).await.unwrap().unwrap();
        let errand = Errand::Reset(Holder::of(&account));
        self.auth.links.issue(errand, RESET_WITHIN).await.unwrap()
    }

    /// Somebody resets their password.
    pub(crate) async fn reset(&self, user: UserId) {
        let token = self.reset_token(user).await;
        self.auth.reset_password(&caller(), &token, password()).await.unwrap();
    }

    /// The same, and `meanwhile` between the first look at what beside the password opens the account and all that follows.
    pub(crate) async fn reset_while(&self, user: UserId, meanwhile: impl Future<Output = ()>) {
        self.factors.read.close();
        tokio::join!(self.reset(user), async {
            self.factors.read.reached().await;
            meanwhile.await;
            self.factors.read.open();
        });
    }

    /// What comes of adding a factor when all of a reset falls between asking whether that may be and doing it.
    pub(crate) async fn reset_during<T>(&self, user: UserId, adding: impl Future<Output = T>) -> T {
        self.factors.adding.close();
        let (outcome, ()) = tokio::join!(adding, async {
            self.factors.adding.reached().await;
            self.reset(user).await;
            self.factors.adding.open();
        });
        outcome
    }

    /// How refreshes ended so far: `repeated=1 rotated=2`.
    pub(crate) fn refreshes(&self) -> String {
        let all = self.metrics.render();
        let mut told: Vec<String> = all
            .lines()
            .filter_map(|line| line.strip_prefix(r#"gateward_refresh_total{outcome=""#))
            .filter_map(|line| line.split_once(r#""} "#))
            .filter(|(_, count)| *count != "0")
            .map(|(word, count)| format!("{word}={count}"))
            .collect();
        told.sort();
        told.join(" ")
    }
}

/// An authenticator app.
pub(crate) struct App(Totp);

impl App {
    /// One that has read a QR code.
    pub(crate) fn reading(uri: &str) -> Self {
        Self(Totp::from_url(uri).unwrap())
    }

    pub(crate) fn secret(&self) -> Vec<u8> {
        self.0.secret().as_bytes().to_vec()
    }

    /// What it shows at a moment.
    pub(crate) fn code(&self, now: Timestamp) -> String {
        self.0.generate(now.as_secs()).to_string()
    }
}

/// Counted, but written down nowhere.
fn untold(metrics: &Arc<Metrics>) -> Telemetry {
    Telemetry {
        metrics: metrics.clone(),
        audit: Arc::new(Audit::off()),
    }
}

fn secret() -> Secret {
    Secret::new([7; 32])
}

pub(crate) fn password() -> Password {
    Password::new(PASSWORD.to_owned())
}

fn store_settings(dir: &TempDir) -> config::Store {
    let file = dir.path().join("gateward.db");
    config::Store {
        accounts: StoreUrl::Sqlite(file.clone()),
        sessions: StoreUrl::Sqlite(file),
        secret_file: dir.path().join("secret.key"),
        connect_timeout: Duration::from_secs(5),
        timeout: Duration::from_secs(10),
        max_staleness: Duration::from_secs(60),
    }
}

fn tokens_settings() -> config::Tokens {
    let day = 24 * 60 * 60;
    config::Tokens {
        issuer: "https://localhost:8443".to_owned(),
        audience: vec!["gateward".to_owned()],
        algorithm: Algorithm::EdDsa,
        access_ttl: Duration::from_secs(15 * 60),
        refresh_idle: Duration::from_secs(14 * day),
        refresh_absolute: Duration::from_secs(90 * day),
        reuse_window: Duration::from_secs(20),
        on_reuse: OnReuse::Family,
        rotate_every: Duration::from_secs(365 * day),
        publish_before: Duration::from_secs(3600),
        claim_email: true,
        claim_roles: true,
    }
}

fn rules(memory_kib: u32) -> PasswordRules {
    PasswordRules {
        min_length: 15,
        max_length: 256,
        memory_kib,
        iterations: 1,
        lanes: 1,
        threads: 1,
        queue: QUEUE,
    }
}

fn auth_settings(memory_kib: u32) -> config::Auth {
    let rate = |count, secs| Rate {
        count,
        per: Duration::from_secs(secs),
    };
    config::Auth {
        base_path: "/auth".to_owned(),
        registration: true,
        default_roles: Vec::new(),
        password: rules(memory_kib),
        limits: AuthLimits {
            per_ip: rate(1000, 60),
            per_account_ip: rate(6, 300),
            per_account: rate(20, 3600),
            per_account_code: rate(20, 3600),
        },
        return_to_hosts: Vec::new(),
        providers: Vec::new(),
        passkeys: Some(config::Passkeys {
            rp_id: "localhost".to_owned(),
            origin: "https://localhost:8443".to_owned(),
            related_origins: Vec::new(),
        }),
    }
}
