//! Tokens: issue, verify, revoke.
//!
//! Access tokens are JWTs (RFC 9068) that any upstream can verify; refresh tokens are opaque and mean nothing to anyone but us. Signatures are made and
//! checked with aws-lc directly over parsed keys that are kept: `jsonwebtoken` parses the private key again on each signature, which doubles its price,
//! and does not look at `typ`, `crit`, `kid`, `iat` or duplicate members, so most of a verifier would be ours anyway. It is the independent judge in the tests.

mod assertion;
mod cache;
mod claims;
mod compact;
mod feed;
pub mod foreign;
mod json;
mod jwk;
mod keyring;
pub mod keys;
mod mirror;
mod pair;
mod recent;
pub mod refresh;
mod revocation;
mod ring;
pub(crate) mod roca;
#[cfg(test)]
mod tests;
pub mod verify;
#[cfg(test)]
pub(crate) mod world;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::HeaderValue;
use tokio::runtime::Handle;

use crate::config::{self, RevocationMode};
use crate::model::clock::{Clock, Timestamp};
use crate::model::identity::Identity;
use crate::model::secret::{self, Secret};
use crate::model::session::{Session, SessionId, TokenId};
use crate::model::user::User;
use crate::store::ephemeral::Revoked;
use crate::store::{StoreError, Stores};
use crate::telemetry::Telemetry;
use assertion::{Assertion, Assertions};
use cache::VerifiedCache;
use claims::{Expected, Written};
use keyring::Keyring;
use keys::{KeyInfo, Policy};
use refresh::{Presented, RefreshMint, RefreshToken};
use revocation::Revocations;
use verify::Verified;

/// No JWKS is cached for longer than this, so that a revoked key is forgotten soon by those who verify on their own.
const JWKS_MAX_AGE: Duration = Duration::from_secs(15 * 60);

/// How long it takes at most, on a machine that is not overloaded, until every gateway on a store acts on a revocation that another process wrote.
pub const REVOCATION_SPREAD: Duration = Duration::from_millis(200);
/// The same for a change of keys: they are read anew at this pace.
pub const KEY_SPREAD: Duration = keyring::EVERY.saturating_add(REVOCATION_SPREAD);

/// Something went wrong on our side while making or keeping tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// No key may sign at this moment.
    #[error("there is no signing key; run `gateward keys rotate`")]
    NoSigningKey,
    /// The crypto library refused.
    #[error("cannot sign: {0}")]
    Signing(&'static str),
    /// Keys in the store were sealed with another secret.
    #[error("the signing keys were sealed with another secret than the one in store.secret_file")]
    WrongSecret,
    /// A key given by the operator is of no use.
    #[error("{0}")]
    BadKey(String),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a presented access token does not count. Clients are told `invalid_token` for all but the last.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// Not a token of ours; the word says why, for logs, metrics and `token verify` (a fixed set).
    #[error("{0}")]
    Invalid(&'static str),
    /// Genuine, but its time is over.
    #[error("expired")]
    Expired,
    /// Genuine, but revoked.
    #[error("revoked")]
    Revoked,
    /// Cannot be told: the store is needed and does not answer.
    #[error(transparent)]
    Unavailable(#[from] StoreError),
}

/// An access token just made.
#[derive(Clone)]
pub struct AccessToken {
    /// The JWT in compact form.
    pub jwt: String,
    /// What it says.
    pub identity: Identity,
    /// How long it lives from now.
    pub expires_in: Duration,
}

/// Makes, checks and revokes tokens. Cheap to share; state (keys, caches, revocations) survives `reconfigured`.
#[derive(Debug)]
pub struct Tokens {
    state: Arc<State>,
    settings: config::Tokens,
    max_staleness: Duration,
    expected: Expected,
    memory: Arc<Memory>,
}

/// What outlives a reload.
#[derive(Debug)]
struct State {
    keyring: Arc<Keyring>,
    revocations: Arc<Revocations>,
    refresh: Arc<RefreshMint>,
    stores: Stores,
    control: Handle,
    clock: Arc<dyn Clock>,
    /// Of the settings that came last: whoever maintains works by these.
    policy: ArcSwap<Policy>,
}

/// What was found out under one issuer and audience, and means nothing under another.
#[derive(Debug)]
struct Memory {
    verified: VerifiedCache,
    assertions: Assertions,
}

impl Memory {
    fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            verified: VerifiedCache::new(clock),
            assertions: Assertions::new(),
        })
    }
}

impl Tokens {
    /// Loads the keys (making the first one when there is none) and all revocations that still count. `control` runs whatever waits for a store.
    ///
    /// # Errors
    /// When the keys were sealed with another secret. A store that fails is no error here: `maintain` asks it again, and until it has answered no token
    /// can be judged.
    pub async fn open(
        settings: &config::Tokens,
        store: &config::Store,
        secret: &Secret,
        stores: &Stores,
        clock: Arc<dyn Clock>,
        control: Handle,
        telemetry: Telemetry,
    ) -> Result<Arc<Self>, TokenError> {
        let policy = policy(settings, settings.access_ttl);
        let accounts = Arc::clone(&stores.accounts);
        let (handle, metrics) = (control.clone(), Arc::clone(&telemetry.metrics));
        let keyring = Keyring::open(accounts, secret, Arc::clone(&clock), handle, telemetry, &policy).await?;
        let state = State {
            keyring: Arc::new(keyring),
            revocations: Arc::new(Revocations::new(stores, Arc::clone(&clock), control.clone(), metrics)),
            refresh: Arc::new(RefreshMint::new(secret)?),
            stores: stores.clone(),
            control,
            policy: ArcSwap::from_pointee(policy),
            clock,
        };
        state.revocations.load().await;
        let memory = Memory::new(Arc::clone(&state.clock));
        Ok(Arc::new(Self::under(Arc::new(state), settings, store, memory)))
    }

    /// The same keys, caches and revocations under other settings; for a reload.
    pub fn reconfigured(&self, settings: &config::Tokens, store: &config::Store) -> Arc<Self> {
        // Tokens that were made under a longer life are still about, and so are revocations that count on it: the longest one stays.
        let longest = self.state.policy.load().longest_life.max(settings.access_ttl);
        self.state.policy.store(Arc::new(policy(settings, longest)));
        let same = settings.issuer == self.settings.issuer && settings.audience == self.settings.audience;
        let memory = if same {
            Arc::clone(&self.memory)
        } else {
            Memory::new(Arc::clone(&self.state.clock))
        };
        Arc::new(Self::under(Arc::clone(&self.state), settings, store, memory))
    }

    /// Follows the revocation feed, plans and makes keys, sees other nodes' keys; runs on the control plane until it is dropped.
    pub async fn maintain(&self) {
        let keys = self.state.keyring.maintain(|| self.state.policy.load_full());
        tokio::join!(keys, self.state.revocations.follow());
    }

    /// Whether revocations made elsewhere reach this node; for readiness.
    pub fn hears_revocations(&self) -> bool {
        self.state.revocations.is_feed_up()
    }

    /// Signs an access token for a session. Its life ends with the session's at the latest.
    ///
    /// # Errors
    /// When there is no key to sign with, the session is over, or the token would be longer than a verifier takes.
    pub fn issue(&self, user: &User, session: &Session) -> Result<AccessToken, TokenError> {
        let now = self.state.clock.now();
        let issued_at = whole_seconds(now);
        let end = session.expires_at.min(session.idle_expires_at);
        let expires_at = whole_seconds(issued_at.plus(self.settings.access_ttl).min(end));
        if expires_at <= now {
            return Err(TokenError::Signing("the session is over"));
        }
        let identity = Identity {
            user: user.id,
            session: session.id,
            token: token_id(now)?,
            email: self.settings.claim_email.then(|| user.email.clone()),
            roles: if self.settings.claim_roles {
                user.roles.clone()
            } else {
                Vec::new()
            },
            auth_time: whole_seconds(session.auth_time),
            amr: session.amr.clone(),
            issued_at,
            expires_at,
        };
        let claims = Written::access(
            &self.settings.issuer,
            &self.settings.audience,
            &identity,
            self.settings.claim_roles,
        );
        let jwt = self.state.keyring.ring().signing(now)?.sign_access(&write(&claims)?)?;
        Ok(AccessToken {
            jwt,
            identity,
            expires_in: expires_at.since(issued_at),
        })
    }

    /// Verifies an access token in the order of the contract; never waits unless revocation has to be asked for, or its key is not known here.
    pub async fn verify(
        &self,
        token: &(impl AsRef<[u8]> + ?Sized),
        mode: RevocationMode,
    ) -> Result<Arc<Verified>, Rejected> {
        let token = token.as_ref();
        if token.len() > compact::MAX {
            return Err(Rejected::Invalid("too long"));
        }
        let verified = match self.memory.verified.get(token) {
            Some(known) => {
                known.judge(self.state.clock.now())?;
                known
            }
            // Boxed: seldom needed, and every request's future would carry its room about.
            None => Box::pin(self.first_sight(token)).await?,
        };
        let revocations = &self.state.revocations;
        revocations.judge(&verified, mode, self.max_staleness).await?;
        Ok(verified)
    }

    /// Whether a token that was verified may keep open what it has opened: all that can change, but for times, its own and its key's. However many ask for
    /// one token, a store hears of it once a second.
    pub async fn reverify(&self, verified: &Arc<Verified>, mode: RevocationMode) -> Result<(), Rejected> {
        if verified.is_of_revoked_key() {
            return Err(Rejected::Revoked);
        }
        let revocations = &self.state.revocations;
        match mode {
            RevocationMode::Strict => revocations.judge_of_late(verified).await,
            _ => revocations.judge(verified, mode, self.max_staleness).await,
        }
    }

    /// The account behind a token's session as a refresh would find it at this moment, whether or not the token has expired. `Revoked`: the session is
    /// gone, or its user may use it no longer; `Expired`: its time is over.
    pub async fn holder(&self, verified: &Verified) -> Result<User, Rejected> {
        let (stores, id) = (self.state.stores.clone(), verified.identity.session);
        // On the control plane: the stores' connections live there.
        let found = self.state.control.spawn(async move { stores.find_pair(id).await });
        let Some((session, Some(account))) = found.await.map_err(|_| revocation::left_alone())?? else {
            return Err(Rejected::Revoked);
        };
        // A store that lost its last writes may still hold what was ended.
        if self.has_ended(id) || !session.is_open_to(&account.user) {
            return Err(Rejected::Revoked);
        }
        if session.is_over(self.now()) {
            return Err(Rejected::Expired);
        }
        Ok(account.user)
    }

    /// For how long it may be unknown, while a store does not answer, whether somebody is still welcome.
    pub fn max_staleness(&self) -> Duration {
        self.max_staleness
    }

    /// How long an access token lives, and so how often at least a session is looked up whose holder goes on.
    pub fn access_ttl(&self) -> Duration {
        self.settings.access_ttl
    }

    /// What a token of ours says whether or not it has expired or was revoked: sign-out must work with it, nothing else may lean on it.
    pub fn read_expired(&self, token: &str) -> Result<Identity, Rejected> {
        self.genuine(token).map(|verified| verified.identity)
    }

    /// A signed assertion for an upstream (`typ: gateward-assertion+jwt`), at most 60 s old; made once per token and route and used again.
    pub fn assertion(&self, verified: &Verified, route: &str) -> Result<HeaderValue, TokenError> {
        let now = self.state.clock.now();
        let token = verified.identity.token;
        if let Some(known) = self.memory.assertions.get(token, route, now) {
            return Ok(known);
        }
        let made_at = whole_seconds(now);
        let about = Identity {
            token: token_id(now)?,
            issued_at: made_at,
            expires_at: made_at.plus(assertion::LIFE),
            ..verified.identity.clone()
        };
        let claims = write(&Written::assertion(&self.settings.issuer, route, &about))?;
        let ring = self.state.keyring.ring();
        let key = ring.signing(now)?;
        let value = HeaderValue::try_from(key.sign_assertion(&claims)?)
            .map_err(|_| TokenError::Signing("an assertion is no header value"))?;
        let assertion = Assertion {
            value: value.clone(),
            made_at,
            key: Arc::clone(&key.verifier),
        };
        self.memory.assertions.keep(token, route, assertion);
        Ok(value)
    }

    /// The first refresh token of a new session, and the SHA-256 of its nonce for the store.
    pub fn first_refresh_token(&self, session: SessionId) -> Result<(RefreshToken, [u8; 32]), TokenError> {
        self.state.refresh.first(session)
    }

    /// A refresh token whose MAC is genuine; `None` for anything else, without asking the store.
    pub fn read_refresh(&self, text: &str) -> Option<Presented> {
        self.state.refresh.read(text)
    }

    /// The moment that tokens are judged by.
    pub fn now(&self) -> Timestamp {
        self.state.clock.now()
    }

    /// Whether a session was ended, as far as is known here: a store that lost its last writes may still hold it.
    pub fn has_ended(&self, session: SessionId) -> bool {
        self.state.revocations.has_ended(session)
    }

    /// Revokes, here at once and everywhere as soon as the feed brings it, for as long as an access token can live.
    pub async fn revoke(&self, what: &[Revoked]) -> Result<(), TokenError> {
        let until = self.state.clock.now().plus(self.state.policy.load().afterlife());
        self.state.revocations.revoke(what, until).await
    }

    /// The JWK set (RFC 7517 §5), serialised, and how long it may be cached. Nothing at all as long as the keys were never read.
    pub fn jwks(&self) -> (Bytes, Duration) {
        let max_age = (self.settings.publish_before / 2).min(JWKS_MAX_AGE);
        (self.state.keyring.ring().jwks(), max_age)
    }

    /// The keys as an operator sees them, oldest first.
    pub async fn keys(&self) -> Result<Vec<KeyInfo>, TokenError> {
        self.state.keyring.list(&self.state.policy.load_full()).await
    }

    /// Makes a key that begins to sign `publish_before` from now (`now`: at once); returns its `kid`.
    pub async fn rotate_keys(&self, at_once: bool) -> Result<String, TokenError> {
        self.state.keyring.rotate(&self.state.policy.load_full(), at_once).await
    }

    /// Revokes a key: its tokens are refused from now on; another begins to sign at once if it was the signing one. `false`: no such key.
    pub async fn revoke_key(&self, kid: &str) -> Result<bool, TokenError> {
        self.state.keyring.revoke(&self.state.policy.load_full(), kid).await
    }

    /// Takes over a PKCS#8 (or PKCS#1, or SEC 1) PEM private key as the next signing key, pre-published like any other; returns its `kid`.
    pub async fn import_key(&self, pem: &str) -> Result<String, TokenError> {
        self.state.keyring.import(&self.state.policy.load_full(), pem).await
    }

    fn under(state: Arc<State>, settings: &config::Tokens, store: &config::Store, memory: Arc<Memory>) -> Self {
        Self {
            expected: Expected {
                issuer: settings.issuer.clone(),
                audience: settings.audience.clone(),
                longest_life: state.policy.load().longest_life,
            },
            settings: settings.clone(),
            max_staleness: store.max_staleness,
            state,
            memory,
        }
    }

    fn genuine(&self, token: &str) -> Result<Verified, Rejected> {
        verify::genuine(token, &self.expected, |kid| self.state.keyring.ring().verifier(kid))
    }

    /// A token that is not in memory. What is not good yet, or no longer, does not get there.
    async fn first_sight(&self, token: &[u8]) -> Result<Arc<Verified>, Rejected> {
        let token = std::str::from_utf8(token).map_err(|_| Rejected::Invalid("alphabet"))?;
        let mut missing = None;
        let mut verified = verify::genuine(token, &self.expected, |kid| {
            let key = self.state.keyring.ring().verifier(kid);
            if key.is_none() {
                missing = Some(kid.to_owned());
            }
            key
        });
        if let Some(kid) = missing
            && self.state.keyring.look_for(&kid).await?
        {
            verified = self.genuine(token);
        }
        let verified = Arc::new(verified?);
        verified.judge(self.state.clock.now())?;
        self.memory.verified.keep(&verified);
        Ok(verified)
    }
}

fn policy(settings: &config::Tokens, longest_life: Duration) -> Policy {
    Policy {
        algorithm: settings.algorithm,
        rotate_every: settings.rotate_every,
        publish_before: settings.publish_before,
        longest_life,
    }
}

/// A NumericDate has whole seconds here (RFC 7519 §2 would allow fractions; not every reader does).
fn whole_seconds(moment: Timestamp) -> Timestamp {
    Timestamp::from_secs(moment.as_secs())
}

fn token_id(now: Timestamp) -> Result<TokenId, TokenError> {
    secret::uuid_v7(now)
        .map(TokenId)
        .map_err(|_| TokenError::Signing("the system's random generator failed"))
}

fn write(claims: &Written<'_>) -> Result<Vec<u8>, TokenError> {
    serde_json::to_vec(claims).map_err(|_| TokenError::Signing("the claims could not be written"))
}

/// Never prints the token.
impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessToken({}, …)", self.identity.token)
    }
}
