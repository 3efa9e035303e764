//! A forgotten password: a letter with a link, and the new password that the link sets.
//!
//! Asking is answered alike for every address, after the same steps. A link is good for the account as it was when it was asked for: once the password is
//! another, whoever changed it, the link is over. A new password ends every session and every token, leaves second factors as they are, and signs nobody
//! in: who reads somebody's letters is not yet them where more is asked for.

use super::links::{Errand, Holder, Place, RESET_WITHIN};
use super::notice::Notice;
use super::throttle::{AccountKey, Door};
use super::{Auth, AuthError};
use crate::mail::Facts;
use crate::mail::letter::Says;
use crate::model::caller::Caller;
use crate::model::credential::{Account, Password};
use crate::model::user::Email;

impl Auth {
    /// Sends a link that sets a new password, if the address has an account.
    pub async fn forgot(&self, caller: &Caller, email: &str) -> Result<(), AuthError> {
        let outcome = self.try_forgot(caller, email).await;
        self.paced(outcome).await
    }

    async fn try_forgot(&self, caller: &Caller, email: &str) -> Result<(), AuthError> {
        let mail = self.mail()?;
        let key = AccountKey::of_typed(email);
        if let Err(refusal) = self.throttle.admit(caller, &key, Door::Letter, None).await {
            self.record("password.forgot_limited", Some(caller), None, None).await;
            return Err(refusal);
        }
        let email: Email = email.parse().map_err(|_| AuthError::InvalidEmail)?;
        let found = self.stores.accounts.find_by_email(&email).await?;
        let account = found.filter(|account| account.user.disabled_at.is_none());
        let may_write = self.throttle.may_write(caller, &key).await;
        let (errand, says) = match &account {
            Some(account) if may_write => (Errand::Reset(Holder::of(account)), Says::Reset),
            _ => (Errand::Nothing, Says::Nothing),
        };
        let token = self.links.issue(errand, RESET_WITHIN).await?;
        let facts = Facts {
            path: &format!("/reset?token={token}"),
            good_for: Some(RESET_WITHIN),
            origin: Some(caller.ip),
        };
        mail.write(&email, says, facts).await?;
        let whose = account.map(|account| account.user.id);
        self.record("password.forgotten", Some(caller), whose, None).await;
        Ok(())
    }

    /// Whether a link that sets a password is still good.
    pub async fn may_reset(&self, token: &str) -> Result<(), AuthError> {
        self.held_by_link(token).await.map(|_| ())
    }

    /// Sets the password of the account that a link is for. That its owner reads the letters of its address is known from then on.
    pub async fn reset_password(&self, caller: &Caller, token: &str, new: Password) -> Result<(), AuthError> {
        let outcome = self.try_reset(caller, token, new).await;
        self.paced(outcome).await
    }

    async fn try_reset(&self, caller: &Caller, token: &str, new: Password) -> Result<(), AuthError> {
        let key = AccountKey::of_typed(token);
        self.throttle.admit(caller, &key, Door::Link, None).await?;
        let account = self.held_by_link(token).await?;
        self.strength.check(&new, &account.user.email)?;
        // Asked before the link is spent.
        self.stores.sessions.ping().await?;
        let hash = self.hasher.hash(new).await?;
        self.links.redeem(Place::Reset, token).await?;

        let (user, moment) = (account.user.id, self.clock.now());
        let accounts = &self.stores.accounts;
        let changed = accounts.change_password(user, &account.password, &hash).await?;
        changed.ok_or(AuthError::LinkOver)?;
        accounts.confirm(user, &account.user.email).await?;
        self.record("password.reset", Some(caller), Some(user), None).await;
        self.notify(Some(caller), &account.user.email, Notice::PasswordChanged)
            .await;
        self.end_sessions(user, moment).await?;
        Ok(())
    }

    async fn held_by_link(&self, token: &str) -> Result<Account, AuthError> {
        let Errand::Reset(holder) = self.links.read(Place::Reset, token).await? else {
            return Err(AuthError::LinkOver);
        };
        let account = self.stores.accounts.find(holder.user()).await?;
        account.filter(|account| holder.is(account)).ok_or(AuthError::LinkOver)
    }
}
