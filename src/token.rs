//! Tokens: issue, verify, revoke.
//!
//! Access tokens are JWTs (RFC 9068) that any upstream can verify; refresh tokens are opaque and mean nothing to anyone but us. Signatures are made and
//! checked with aws-lc directly over parsed keys that are kept: `jsonwebtoken` parses the private key again on each signature, which doubles its price,
//! and does not look at `typ`, `crit`, `kid`, `iat` or duplicate members, so most of a verifier would be ours anyway. It is the independent judge in the tests.

pub mod keys;
pub mod refresh;
pub mod revocation;
pub mod verify;

use std::sync::Arc;
use std::time::Duration;

use crate::config::{self, RevocationMode};
use crate::model::clock::Clock;
use crate::model::identity::Identity;
use crate::model::secret::Secret;
use crate::model::session::Session;
use crate::model::user::User;
use crate::store::ephemeral::Revoked;
use crate::store::{StoreError, Stores};
use crate::telemetry::Metrics;
use refresh::{Presented, RefreshToken};
use verify::Verified;

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
pub struct Tokens {}

impl Tokens {
    /// Loads the keys (making the first one when there is none) and all revocations that still count. `control` runs whatever waits for a store.
    pub async fn open(
        settings: &config::Tokens,
        store: &config::Store,
        secret: &Secret,
        stores: &Stores,
        clock: Arc<dyn Clock>,
        control: tokio::runtime::Handle,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, TokenError> {
        let _ = (settings, store, secret, stores, clock, control, metrics);
        todo!()
    }

    /// The same keys, caches and revocations under other settings; for a reload.
    pub fn reconfigured(&self, settings: &config::Tokens, store: &config::Store) -> Arc<Self> {
        let _ = (settings, store);
        todo!()
    }

    /// Follows the revocation feed, plans and makes keys, sees other nodes' keys; runs on the control plane until it is dropped.
    pub async fn maintain(&self) {
        todo!()
    }

    /// Signs an access token for a session. Its life ends with the session's at the latest.
    pub fn issue(&self, user: &User, session: &Session) -> Result<AccessToken, TokenError> {
        let _ = (user, session);
        todo!()
    }

    /// Verifies an access token in the order of the contract; never waits unless revocation has to be asked for.
    pub async fn verify(&self, token: &str, mode: RevocationMode) -> Result<Arc<Verified>, Rejected> {
        let _ = (token, mode);
        todo!()
    }

    /// What a token of ours says whether or not it has expired or was revoked: sign-out must work with it, nothing else may lean on it.
    pub fn read_expired(&self, token: &str) -> Result<Identity, Rejected> {
        let _ = token;
        todo!()
    }

    /// A signed assertion for an upstream (`typ: gateward-assertion+jwt`), at most 60 s old; made once per token and route and used again.
    pub fn assertion(&self, verified: &Verified, route: &str) -> Result<http::HeaderValue, TokenError> {
        let _ = (verified, route);
        todo!()
    }

    /// The first refresh token of a new session, and the SHA-256 of its nonce for the store.
    pub fn first_refresh_token(
        &self,
        session: crate::model::session::SessionId,
    ) -> Result<(RefreshToken, [u8; 32]), TokenError> {
        let _ = session;
        todo!()
    }

    /// A refresh token whose MAC is genuine; `None` for anything else, without asking the store.
    pub fn read_refresh(&self, text: &str) -> Option<Presented> {
        let _ = text;
        todo!()
    }

    /// Revokes, here at once and everywhere as soon as the feed brings it, for as long as an access token can live.
    pub async fn revoke(&self, what: &[Revoked]) -> Result<(), TokenError> {
        let _ = what;
        todo!()
    }

    /// The JWK set (RFC 7517 §5), serialised, and how long it may be cached.
    pub fn jwks(&self) -> (bytes::Bytes, Duration) {
        todo!()
    }

    /// The keys as an operator sees them, oldest first.
    pub async fn keys(&self) -> Result<Vec<keys::KeyInfo>, TokenError> {
        todo!()
    }

    /// Makes a key that begins to sign `publish_before` from now (`now`: at once); returns its `kid`.
    pub async fn rotate_keys(&self, at_once: bool) -> Result<String, TokenError> {
        let _ = at_once;
        todo!()
    }

    /// Revokes a key: its tokens are refused from now on; another begins to sign at once if it was the signing one. `false`: no such key.
    pub async fn revoke_key(&self, kid: &str) -> Result<bool, TokenError> {
        let _ = kid;
        todo!()
    }

    /// Takes over a PKCS#8 (or PKCS#1) PEM private key as the next signing key, pre-published like any other; returns its `kid`.
    pub async fn import_key(&self, pem: &str) -> Result<String, TokenError> {
        let _ = pem;
        todo!()
    }
}
