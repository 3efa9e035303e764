//! Auth: the rules of accounts and sign-in, one verb a file. It never sees HTTP: the JSON API, the pages and the command line are faces of this one machine.

pub mod address;
pub mod confirm;
pub mod deletion;
pub mod devices;
pub mod entry;
pub mod factors;
pub mod federation;
pub mod forgotten;
pub mod hashing;
pub mod import;
pub mod invitation;
mod links;
pub mod login;
pub mod logout;
pub mod notice;
pub mod operate;
mod pace;
pub mod passkey;
pub mod password;
mod recovery;
pub mod refresh;
pub mod register;
pub mod second_step;
pub mod sessions;
pub mod step_up;
mod strength;
pub mod throttle;
pub mod totp;
mod vault;
#[cfg(test)]
pub(crate) mod world;

use std::sync::Arc;
use std::time::Duration;

use crate::config::{self, OnReuse};
use crate::mail::{Mail, MailError};
use crate::model::caller::Caller;
use crate::model::clock::{Clock, Timestamp};
use crate::model::identity::Identity;
use crate::model::secret::{NoEntropy, Secret};
use crate::model::session::{Session, SessionId};
use crate::model::user::{Role, User, UserId};
use crate::store::{StoreError, Stores};
use crate::telemetry::Telemetry;
use crate::telemetry::audit::Event;
use crate::token::refresh::RefreshToken;
use crate::token::{AccessToken, TokenError, Tokens};
use federation::Federated;
use hashing::{HashError, Hasher};
use links::Links;
use pace::Pace;
use passkey::Passkeys;
use strength::Strength;
use throttle::Throttle;
use vault::Vault;

/// Why a verb of this room was refused. What the caller is told is the portal's choice; the sources are for the log.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Unknown address, wrong password, disabled account: one answer.
    #[error("wrong e-mail or password")]
    InvalidCredentials,
    /// The second factor is not right, or was used before.
    #[error("wrong code")]
    WrongCode,
    /// The second step took too long, or too many codes were tried: the sign-in begins anew.
    #[error("the second step is over")]
    StepOver,
    /// What is asked for wants a more recent sign-in, or one with two factors.
    #[error("not signed in recently enough")]
    NotRecent {
        /// Whether it must be two factors.
        needs_two: bool,
    },
    /// There is no session behind the token.
    #[error("the session is over")]
    SessionOver {
        /// Whether that is certain and for good: it ended, here and now or before. Only then may a browser's cookies be taken away; a token that is
        /// not genuine proves nothing about the session in the browser that sent it.
        dead: bool,
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
    /// Without it nobody could sign in to the account any more.
    #[error("the last way in")]
    LastWayIn,
    /// Somebody else's word is not enough.
    #[error(transparent)]
    Federated(Federated),
    /// A link that was used, ended, is of another place or was never ours: one answer.
    #[error("the link is not good any more")]
    LinkOver,
    /// What a browser says of a new passkey does not hold.
    #[error("the passkey cannot be verified")]
    PasskeyRefused,
    /// The passkey is there already, in this account or in another.
    #[error("the passkey is there already")]
    PasskeyTaken,
    /// More than anybody has devices.
    #[error("too many passkeys")]
    TooManyPasskeys,
    /// Not a name.
    #[error("too long a name, or one that cannot be shown")]
    BadName,
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
    /// By what the device is known from now on, after a sign-in.
    pub device: Option<String>,
}

/// The rules of accounts and sign-in.
#[derive(Debug)]
pub struct Auth {
    registration: bool,
    default_roles: Vec<Role>,
    /// The providers whose word counts.
    issuers: Vec<String>,
    strength: Strength,
    lifetimes: Lifetimes,
    throttle: Throttle,
    refusals: Pace,
    vault: Vault,
    passkeys: Option<Passkeys>,
    stores: Stores,
    links: Links,
    mail: Option<Mail>,
    tokens: Arc<Tokens>,
    hasher: Arc<Hasher>,
    clock: Arc<dyn Clock>,
    telemetry: Telemetry,
}

/// How long sessions live, and what a reuse costs.
#[derive(Clone, Copy, Debug)]
struct Lifetimes {
    idle: Duration,
    absolute: Duration,
    reuse_window: Duration,
    on_reuse: OnReuse,
}

impl Auth {
    /// Brings the rules together with what they work on. Without `mail` nobody is written to.
    ///
    /// # Errors
    /// The keys of factors and of links cannot be derived from the secret.
    #[expect(
        clippy::too_many_arguments,
        reason = "what the rules work on is handed in once, each of a type of its own"
    )]
    pub fn new(
        settings: &config::Auth,
        tokens_settings: &config::Tokens,
        secret: &Secret,
        stores: &Stores,
        mail: Option<Mail>,
        tokens: Arc<Tokens>,
        hasher: Arc<Hasher>,
        clock: Arc<dyn Clock>,
        telemetry: Telemetry,
    ) -> Result<Self, NoEntropy> {
        Ok(Self {
            registration: settings.registration,
            default_roles: settings.default_roles.clone(),
            issuers: settings.providers.iter().map(|one| one.issuer.clone()).collect(),
            strength: Strength::new(&settings.password),
            lifetimes: Lifetimes {
                idle: tokens_settings.refresh_idle,
                absolute: tokens_settings.refresh_absolute,
                reuse_window: tokens_settings.reuse_window,
                on_reuse: tokens_settings.on_reuse,
            },
            throttle: Throttle::new(&settings.limits, Arc::clone(&stores.ephemeral), Arc::clone(&clock)),
            refusals: Pace::new(),
            vault: Vault::new(secret)?,
            passkeys: settings
                .passkeys
                .as_ref()
                .map(|settings| Passkeys::new(settings, stores, Arc::clone(&clock))),
            stores: stores.clone(),
            links: Links::new(secret, Arc::clone(&stores.ephemeral), Arc::clone(&clock))?,
            mail,
            tokens,
            hasher,
            clock,
            telemetry,
        })
    }

    /// The user and the session behind a token, as they stand now.
    pub async fn me(&self, who: &Identity) -> Result<(User, Session), AuthError> {
        let over = AuthError::SessionOver { dead: true };
        let Some(account) = self.stores.accounts.find(who.user).await? else {
            return Err(over);
        };
        let session = self.stores.sessions.find(who.session).await?;
        let live = session.filter(|s| lives(s, &account.user, self.clock.now()));
        live.map(|session| (account.user, session)).ok_or(over)
    }

    /// Whether letters can be sent.
    pub fn writes_letters(&self) -> bool {
        self.mail.is_some()
    }

    /// Who writes letters; without, there is nothing here that could be asked for.
    fn mail(&self) -> Result<&Mail, AuthError> {
        self.mail.as_ref().ok_or(AuthError::NotFound)
    }

    /// Holds an outcome back that invites another try at once, until its turn comes.
    async fn paced<T>(&self, outcome: Result<T, AuthError>) -> Result<T, AuthError> {
        if let Err(AuthError::RateLimited { .. } | AuthError::Overloaded { .. }) = outcome {
            self.refusals.turn().await;
        }
        outcome
    }

    /// Writes a security event down; what comes back is the wait until a crash can no longer take it, which everything that answers somebody awaits.
    fn record<'a>(
        &'a self,
        what: &'static str,
        caller: Option<&Caller>,
        user: Option<UserId>,
        session: Option<SessionId>,
    ) -> impl Future<Output = ()> + use<'a> {
        self.telemetry.audit.record(Event {
            what,
            caller,
            user,
            session,
            detail: "",
        });
        self.telemetry.audit.written()
    }
}

/// Whether a session still counts: its time is not over, its user may sign in, and no later epoch has begun.
fn lives(session: &Session, user: &User, now: Timestamp) -> bool {
    !session.is_over(now) && session.user == user.id && session.epoch == user.epoch && user.disabled_at.is_none()
}

impl From<HashError> for AuthError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Overloaded { retry_after } => Self::Overloaded { retry_after },
            HashError::Damaged | HashError::Failed(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<MailError> for AuthError {
    fn from(error: MailError) -> Self {
        match error {
            MailError::Store(error) => Self::Store(error),
            MailError::Entropy(_) | MailError::Unwritable(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<NoEntropy> for AuthError {
    fn from(error: NoEntropy) -> Self {
        Self::Internal(error.to_string())
    }
}
