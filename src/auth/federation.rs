//! Signing in with somebody else's word: whose account a person has whom a provider vouches for, and how the two are tied and untied.
//!
//! An account is found by issuer and subject, never by address, which can pass to another person. The address counts once, when nobody has that link yet: then
//! an account is made, or one is found whose own address was confirmed by mail and that has nothing beside its password; the same address proved on both sides is the
//! same person. In every other case the person signs in here first and ties the two together. A provider that is asked for roles replaces them at each
//! sign-in. Second factors of ours are asked for all the same: the session is opened by the door that everybody goes through.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::entry::Entered;
use super::factors::WAYS_IN;
use super::notice::Notice;
use super::{Auth, AuthError};
use crate::model::caller::Caller;
use crate::model::credential::{Account, PasswordHash};
use crate::model::factor::{Factor, FactorId, FactorKind, Link};
use crate::model::identity::Identity;
use crate::model::proof::Proof;
use crate::model::secret;
use crate::model::user::{Confirmation, Email, Epoch, User, UserId};
use crate::model::vouched::Vouched;
use crate::store::factors::{Attached, Detached};
use crate::telemetry::audit::Event;

/// How long a person may take at a provider.
pub const ERRAND: Duration = Duration::from_secs(10 * 60);

/// Why a person whom a provider vouches for does not get in, or is not tied to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Federated {
    /// Somebody new, and the provider does not say that an address is theirs.
    #[error("the provider vouches for no address")]
    NoAddress,
    /// The address has an account here that may be somebody else's.
    #[error("the address has an account that is not tied to the provider")]
    TieFirst,
    /// The person at the provider belongs to another account here.
    #[error("tied to another account")]
    TiedElsewhere,
    /// The account belongs to another person at the same provider.
    #[error("the account is tied to somebody else of the same provider")]
    TiedAlready,
    /// The account was disabled.
    #[error("the account is disabled")]
    Disabled,
}

/// An account's tie to a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tie {
    /// The provider, as it calls itself.
    pub issuer: String,
    /// The address that it knew the person by when they were tied; may be empty.
    pub label: String,
}

impl Auth {
    /// Remembers what a browser that goes to a provider comes back for. `name` is known to that browser and the provider alone.
    pub async fn send_away(&self, caller: &Caller, name: &str, baggage: &[u8]) -> Result<(), AuthError> {
        self.throttle.admit_source(caller).await?;
        let until = self.clock.now().plus(ERRAND);
        self.stores.ephemeral.keep(&errand_key(name), baggage, until).await?;
        Ok(())
    }

    /// What it comes back for, once. `None`: it was back already, or took too long.
    pub async fn welcome_back(&self, name: &str) -> Result<Option<Vec<u8>>, AuthError> {
        let now = self.clock.now();
        Ok(self.stores.ephemeral.take(&errand_key(name), now).await?)
    }

    /// Signs in whom a provider vouches for. `registers`: somebody new gets an account.
    pub async fn sign_in_vouched(
        &self,
        caller: &Caller,
        vouched: &Vouched,
        registers: bool,
    ) -> Result<Entered, AuthError> {
        let outcome = self.try_vouched(caller, vouched, registers).await;
        let word = match &outcome {
            Ok(Entered::SignedIn(_)) => "succeeded",
            Ok(Entered::SecondStep(_)) => "second_step",
            Err(AuthError::Federated(_) | AuthError::RegistrationClosed | AuthError::InvalidCredentials) => "refused",
            Err(_) => "failed",
        };
        self.telemetry.metrics.login(word);
        if let ("refused", Err(why)) = (word, &outcome) {
            let why = format!("{}: {why}", vouched.provider);
            self.note("login.refused", caller, None, &why).await;
        }
        outcome
    }

    async fn try_vouched(&self, caller: &Caller, vouched: &Vouched, registers: bool) -> Result<Entered, AuthError> {
        let user = match self.tied(vouched).await? {
            Some(user) => user,
            None => self.receive(caller, vouched, registers).await?,
        };
        if user.disabled_at.is_some() {
            return Err(Federated::Disabled.into());
        }
        let user = self.with_their_roles(caller, user, vouched).await?;
        let proof = Proof::vouched(&vouched.amr);
        self.note("provider.vouched", caller, Some(user.id), &vouched.provider)
            .await;
        self.proven_at(caller, user, proof, vouched.auth_time).await
    }

    /// Notes that a provider's answer was not believed, or that it had none.
    pub async fn not_vouched(&self, caller: &Caller, provider: &str, why: &str) {
        self.telemetry.metrics.login("refused");
        self.note("login.refused", caller, None, &format!("{provider}: {why}"))
            .await;
    }

    /// Ties the account of somebody who is signed in to the person whom a provider vouches for.
    pub async fn tie(&self, caller: &Caller, who: &Identity, vouched: &Vouched) -> Result<(), AuthError> {
        self.recent(who).await?;
        let factor = self.tie_of(who.user, vouched)?;
        let theirs = self.stores.factors.of_user(who.user).await?;
        let mut same = theirs.iter().filter(|known| is_of(known, &vouched.issuer));
        if same
            .clone()
            .any(|known| known.link.is_some() && known.link != factor.link)
        {
            return Err(Federated::TiedAlready.into());
        }
        self.attach(caller, &factor, vouched).await?;
        self.keep_if_live(who, &factor).await?;
        if let Some(untied) = same.find(|known| known.link.is_none()) {
            self.stores.factors.detach(who.user, untied.id).await?;
        }
        Ok(())
    }

    /// Takes an account's tie to a provider away, unless it is the last way in. A note of it stays, so that the provider's word and the address alone do not
    /// bring back what the owner has undone.
    pub async fn untie(&self, caller: &Caller, who: &Identity, issuer: &str) -> Result<(), AuthError> {
        self.recent(who).await?;
        let account = self.stores.accounts.find(who.user).await?;
        let account = account.ok_or(AuthError::SessionOver { dead: true })?;
        let factors = self.stores.factors.of_user(who.user).await?;
        let (gone, left): (Vec<_>, Vec<_>) = factors
            .into_iter()
            .filter(|factor| factor.kind != FactorKind::Provider || factor.link.is_some())
            .partition(|factor| is_of(factor, issuer));
        if gone.is_empty() {
            return Err(AuthError::NotFound);
        }
        let known = |factor: &Factor| self.issuers.iter().any(|issuer| is_of(factor, issuer));
        let opens = |factor: &Factor| factor.kind == FactorKind::Passkey || known(factor);
        if account.password.is_none() && !left.iter().any(opens) {
            return Err(AuthError::LastWayIn);
        }
        if !account.password.is_none() {
            // Not in the place of a last way in: this is none, and a store that counts could take it for one.
            let note = self.factor(who.user, issuer, String::new(), None)?;
            self.stores.factors.attach(&note).await?;
        }
        for factor in gone {
            self.detach(&account, factor.id).await?;
        }
        self.note("provider.untied", caller, Some(who.user), issuer).await;
        self.notify(Some(caller), &account.user.email, Notice::FactorChanged)
            .await;
        Ok(())
    }

    /// Of racers who take away the last two ways in of an account without a password, one is told no.
    async fn detach(&self, account: &Account, id: FactorId) -> Result<(), AuthError> {
        let factors = &self.stores.factors;
        if !account.password.is_none() {
            factors.detach(account.user.id, id).await?;
            return Ok(());
        }
        match factors.detach_but_last(account.user.id, id, &WAYS_IN).await? {
            Detached::Last => Err(AuthError::LastWayIn),
            Detached::Detached | Detached::Gone => Ok(()),
        }
    }

    /// The ties of somebody's account, oldest first.
    pub async fn ties(&self, who: &Identity) -> Result<Vec<Tie>, AuthError> {
        let factors = self.stores.factors.of_user(who.user).await?;
        let ties = factors
            .into_iter()
            .filter(|factor| factor.kind == FactorKind::Provider && factor.link.is_some());
        let tie = |factor: Factor| Tie {
            issuer: String::from_utf8_lossy(&factor.sealed).into_owned(),
            label: factor.label,
        };
        Ok(ties.map(tie).collect())
    }

    async fn tied(&self, vouched: &Vouched) -> Result<Option<User>, AuthError> {
        let Some(id) = self.stores.factors.linked(&link(vouched)).await? else {
            return Ok(None);
        };
        let account = self.stores.accounts.find(id).await?;
        Ok(account.map(|account| account.user))
    }

    /// Somebody whom the provider vouches for and nobody here is tied to.
    async fn receive(&self, caller: &Caller, vouched: &Vouched, registers: bool) -> Result<User, AuthError> {
        let email = vouched.email.clone().ok_or(Federated::NoAddress)?;
        if let Some(account) = self.stores.accounts.find_by_email(&email).await? {
            return self.recognise(caller, account.user, vouched).await;
        }
        if !registers {
            return Err(AuthError::RegistrationClosed);
        }
        self.stores.sessions.ping().await?;
        let account = self.newcomer(email, vouched)?;
        let factor = self.tie_of(account.user.id, vouched)?;
        match self.stores.factors.found(&account, &[factor]).await? {
            Attached::Attached => {
                self.note("account.created", caller, Some(account.user.id), &vouched.provider)
                    .await;
                Ok(account.user)
            }
            // Two answers at once: the other one made the account.
            Attached::LinkTaken => self.tied(vouched).await?.ok_or(Federated::TiedElsewhere.into()),
            _ => Err(Federated::TieFirst.into()),
        }
    }

    fn newcomer(&self, email: Email, vouched: &Vouched) -> Result<Account, AuthError> {
        let now = self.clock.now();
        let roles = vouched.roles.as_ref().unwrap_or(&self.default_roles);
        let user = User {
            id: UserId(secret::uuid_v7(now)?),
            email,
            roles: roles.clone(),
            created_at: now,
            disabled_at: None,
            epoch: Epoch::default(),
            confirmation: Confirmation::Confirmed,
        };
        Ok(Account {
            user,
            password: PasswordHash::none(),
        })
    }

    /// The account of the same address is the same person's when the address was proved here too. Who has anything beside a password, a second factor or
    /// a provider, signs in with that first: another provider's word alone must not get round it.
    async fn recognise(&self, caller: &Caller, user: User, vouched: &Vouched) -> Result<User, AuthError> {
        let factors = self.stores.factors.of_user(user.id).await?;
        if user.confirmation != Confirmation::Confirmed || !factors.is_empty() || user.disabled_at.is_some() {
            return Err(Federated::TieFirst.into());
        }
        self.attach(caller, &self.tie_of(user.id, vouched)?, vouched).await?;
        Ok(user)
    }

    async fn attach(&self, caller: &Caller, factor: &Factor, vouched: &Vouched) -> Result<(), AuthError> {
        match self.stores.factors.attach(factor).await? {
            Attached::Attached => {
                self.note("provider.tied", caller, Some(factor.user), &vouched.issuer)
                    .await;
                self.notify_user(Some(caller), factor.user, Notice::FactorChanged).await;
                Ok(())
            }
            Attached::NoUser => Err(AuthError::SessionOver { dead: true }),
            _ => match self.tied(vouched).await? {
                Some(user) if user.id == factor.user => Ok(()),
                _ => Err(Federated::TiedElsewhere.into()),
            },
        }
    }

    async fn with_their_roles(&self, caller: &Caller, user: User, vouched: &Vouched) -> Result<User, AuthError> {
        let Some(roles) = vouched.roles.as_ref().filter(|roles| **roles != user.roles) else {
            return Ok(user);
        };
        let changed = self.stores.accounts.set_roles(user.id, roles).await?;
        self.note("account.roles_changed", caller, Some(user.id), &vouched.provider)
            .await;
        changed.ok_or(AuthError::InvalidCredentials)
    }

    fn tie_of(&self, user: UserId, vouched: &Vouched) -> Result<Factor, AuthError> {
        let label = vouched.email.as_ref().map(ToString::to_string).unwrap_or_default();
        self.factor(user, &vouched.issuer, label, Some(link(vouched)))
    }

    fn factor(&self, user: UserId, issuer: &str, label: String, link: Option<Link>) -> Result<Factor, AuthError> {
        let now = self.clock.now();
        Ok(Factor {
            id: FactorId(secret::uuid_v7(now)?),
            user,
            kind: FactorKind::Provider,
            label,
            // Whose word it is, which is no secret; of whom, only the link says.
            sealed: issuer.as_bytes().to_vec(),
            link,
            counter: 0,
            created_at: now,
            used_at: None,
        })
    }

    async fn note(&self, what: &'static str, caller: &Caller, user: Option<UserId>, detail: &str) {
        self.telemetry.audit.record(Event {
            what,
            caller: Some(caller),
            user,
            session: None,
            detail,
        });
        self.telemetry.audit.written().await;
    }
}

/// Issuer and subject, so put together that no other two give the same.
fn link(vouched: &Vouched) -> Link {
    let length = u64::try_from(vouched.issuer.len()).unwrap_or(u64::MAX).to_be_bytes();
    let both = [length.as_slice(), vouched.issuer.as_bytes(), vouched.subject.as_bytes()].concat();
    let mut link = [0; 32];
    link.copy_from_slice(digest(&SHA256, &both).as_ref());
    Link(link)
}

fn is_of(factor: &Factor, issuer: &str) -> bool {
    factor.kind == FactorKind::Provider && factor.sealed == issuer.as_bytes()
}

/// Stores keep no name under which a browser comes back.
fn errand_key(name: &str) -> String {
    format!("errand:{}", URL_SAFE_NO_PAD.encode(digest(&SHA256, name.as_bytes())))
}

impl From<Federated> for AuthError {
    fn from(why: Federated) -> Self {
        Self::Federated(why)
    }
}

#[cfg(test)]
mod tests;
