//! Auth: the rules of accounts and sign-in, one verb a file. It never sees HTTP: the JSON API, the pages and the command line are faces of this one machine.

pub mod hashing;
pub mod login;
pub mod logout;
pub mod operate;
pub mod password;
pub mod refresh;
pub mod register;
pub mod throttle;

use std::sync::Arc;
use std::time::Duration;

use crate::config;
use crate::model::caller::Caller;
use crate::model::clock::Clock;
use crate::model::credential::Password;
use crate::model::identity::Identity;
use crate::model::session::{Session, SessionId};
use crate::model::user::User;
use crate::store::{StoreError, Stores};
use crate::telemetry::{Audit, Metrics};
use crate::token::refresh::RefreshToken;
use crate::token::{AccessToken, TokenError, Tokens};
use hashing::Hasher;

/// Why a verb of this room was refused. What the caller is told is the portal's choice; the sources are for the log.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Unknown address, wrong password, disabled account: one answer.
    #[error("wrong e-mail or password")]
    InvalidCredentials,
    /// The refresh token (or the session behind it) is over. `family_ended`: this very call ended it.
    #[error("the session is over")]
    SessionOver {
        /// Whether a reuse was found and the family ended.
        family_ended: bool,
    },
    /// Tried too often.
    #[error("too many attempts")]
    RateLimited {
        /// When to try again.
        retry_after: Duration,
    },
    /// The hashing pool is full.
    #[error("overloaded")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// The address has an account.
    #[error("the address has an account already")]
    EmailTaken,
    /// Not an address.
    #[error("not an e-mail address")]
    InvalidEmail,
    /// Too short, too long, too common; the text says which, in words for the person.
    #[error("weak password: {0}")]
    WeakPassword(String),
    /// Registration is closed.
    #[error("registration is closed")]
    RegistrationClosed,
    /// No such thing, or not theirs.
    #[error("not found")]
    NotFound,
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A token could not be made.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Something that should not happen.
    #[error("internal: {0}")]
    Internal(String),
}

/// Somebody is signed in.
#[derive(Clone)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// The session.
    pub session: Session,
    /// The access token.
    pub access: AccessToken,
    /// The refresh token.
    pub refresh: RefreshToken,
}

/// The rules of accounts and sign-in.
#[derive(Debug)]
pub struct Auth {}

impl Auth {
    /// Brings the rules together with what they work on.
    pub fn new(
        settings: &config::Auth,
        tokens_settings: &config::Tokens,
        stores: &Stores,
        tokens: Arc<Tokens>,
        hasher: Arc<Hasher>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        audit: Arc<Audit>,
    ) -> Self {
        let _ = (settings, tokens_settings, stores, tokens, hasher, clock, metrics, audit);
        todo!()
    }

    /// Makes an account.
    pub async fn register(&self, caller: &Caller, email: &str, password: Password) -> Result<User, AuthError> {
        let _ = (caller, email, password);
        todo!()
    }

    /// Signs in with a password: limits, then always one hash, then the rest.
    pub async fn login(&self, caller: &Caller, email: &str, password: Password) -> Result<SignedIn, AuthError> {
        let _ = (caller, email, password);
        todo!()
    }

    /// Exchanges a refresh token for its successor and a new access token.
    pub async fn refresh(&self, caller: &Caller, refresh_token: &str) -> Result<SignedIn, AuthError> {
        let _ = (caller, refresh_token);
        todo!()
    }

    /// Ends the session that either token belongs to (the access token may have expired). Already over, or no token at all: fine as well.
    pub async fn logout(&self, caller: &Caller, access: Option<&str>, refresh: Option<&str>) -> Result<(), AuthError> {
        let _ = (caller, access, refresh);
        todo!()
    }

    /// Ends every session of the user.
    pub async fn logout_all(&self, caller: &Caller, who: &Identity) -> Result<(), AuthError> {
        let _ = (caller, who);
        todo!()
    }

    /// The user and the session behind a token, as they stand now.
    pub async fn me(&self, who: &Identity) -> Result<(User, Session), AuthError> {
        let _ = who;
        todo!()
    }

    /// Takes the account away for good.
    pub async fn delete_account(&self, caller: &Caller, who: &Identity, password: Password) -> Result<(), AuthError> {
        let _ = (caller, who, password);
        todo!()
    }

    /// Changes the password; every other session ends.
    pub async fn change_password(
        &self,
        caller: &Caller,
        who: &Identity,
        current: Password,
        new: Password,
    ) -> Result<(), AuthError> {
        let _ = (caller, who, current, new);
        todo!()
    }

    /// The user's sessions, newest first.
    pub async fn sessions(&self, who: &Identity) -> Result<Vec<Session>, AuthError> {
        let _ = who;
        todo!()
    }

    /// Ends one of the user's own sessions.
    pub async fn end_session(&self, caller: &Caller, who: &Identity, id: SessionId) -> Result<(), AuthError> {
        let _ = (caller, who, id);
        todo!()
    }
}
