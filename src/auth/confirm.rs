//! An address is confirmed by whoever reads its letters *and* knows the password.
//!
//! The link alone would not do. Somebody could register, or move an account to, an address that is not theirs, and wait for its owner to click: the owner
//! would have confirmed an account that another one has the password of. So the page behind the link asks for it.

use super::links::{CONFIRM_WITHIN, Errand, Holder, Place};
use super::notice::Notice;
use super::throttle::{AccountKey, Door};
use super::{Auth, AuthError};
use crate::mail::Facts;
use crate::mail::letter::Says;
use crate::model::caller::Caller;
use crate::model::credential::{Password, PasswordHash};
use crate::model::user::{Confirmation, Email, User};
use crate::store::accounts::Moved;

/// What was confirmed.
#[derive(Clone, Debug)]
pub enum Confirmed {
    /// There is an account now.
    Account(User),
    /// The account is reached at another address from now on.
    Moved(User),
}

impl Auth {
    /// Uses a link that confirms an address.
    pub async fn confirm(&self, caller: &Caller, token: &str, password: Password) -> Result<Confirmed, AuthError> {
        let outcome = self.try_confirm(caller, token, password).await;
        self.paced(outcome).await
    }

    async fn try_confirm(&self, caller: &Caller, token: &str, password: Password) -> Result<Confirmed, AuthError> {
        let key = AccountKey::of_typed(token);
        self.throttle.admit(caller, &key, Door::Link, None).await?;
        match self.links.read(Place::Confirm, token).await? {
            Errand::Register { email, password: hash } => {
                self.knows(caller, password, &PasswordHash::new(hash)).await?;
                self.finish_registration(caller, token, email).await
            }
            Errand::Move { holder, to } => self.finish_move(caller, token, password, &holder, &to).await,
            Errand::Reset(_) | Errand::Nothing => Err(AuthError::LinkOver),
        }
    }

    async fn knows(&self, caller: &Caller, password: Password, hash: &PasswordHash) -> Result<(), AuthError> {
        if !self.strength.is_too_long(&password) && self.hasher.verify(password, Some(hash)).await?.matches {
            return Ok(());
        }
        self.record("confirm.refused", Some(caller), None, None).await;
        Err(AuthError::InvalidCredentials)
    }

    async fn finish_registration(&self, caller: &Caller, token: &str, email: Email) -> Result<Confirmed, AuthError> {
        if !self.registration {
            return Err(AuthError::RegistrationClosed);
        }
        // Asked before the link is spent: whoever confirms signs in next.
        self.stores.sessions.ping().await?;
        let Errand::Register { password, .. } = self.links.redeem(Place::Confirm, token).await? else {
            return Err(AuthError::LinkOver);
        };
        let (password, roles) = (PasswordHash::new(password), self.default_roles.clone());
        self.add_account(Some(caller), email, password, roles, Confirmation::Confirmed)
            .await
            .map(Confirmed::Account)
    }

    async fn finish_move(
        &self,
        caller: &Caller,
        token: &str,
        password: Password,
        holder: &Holder,
        to: &Email,
    ) -> Result<Confirmed, AuthError> {
        let account = self.stores.accounts.find(holder.user()).await?;
        let mut account = account
            .filter(|account| holder.is(account))
            .ok_or(AuthError::LinkOver)?;
        // Who has no password cannot show that the account is theirs, and never gets here by asking.
        self.prove_by_password(caller, &account, password).await?;
        self.links.redeem(Place::Confirm, token).await?;
        let from = account.user.email.clone();
        match self.stores.accounts.change_email(holder.user(), &from, to).await? {
            Moved::Moved => {}
            Moved::EmailTaken => return Err(AuthError::EmailTaken),
            Moved::Gone => return Err(AuthError::LinkOver),
        }
        self.record("account.email_changed", Some(caller), Some(holder.user()), None)
            .await;
        self.notify(Some(caller), &from, Notice::EmailChanged).await;
        account.user.email = to.clone();
        account.user.confirmation = Confirmation::Confirmed;
        Ok(Confirmed::Moved(account.user))
    }

    /// Sends the letter of a registration once more, with a new link. Whether there is one waiting is not told.
    pub async fn resend(&self, caller: &Caller, email: &str) -> Result<(), AuthError> {
        let outcome = self.try_resend(caller, email).await;
        self.paced(outcome).await
    }

    async fn try_resend(&self, caller: &Caller, email: &str) -> Result<(), AuthError> {
        let mail = self.mail()?;
        let key = AccountKey::of_typed(email);
        self.throttle.admit(caller, &key, Door::Letter, None).await?;
        let email: Email = email.parse().map_err(|_| AuthError::InvalidEmail)?;
        let may_write = self.throttle.may_write(caller, &key, None).await;
        let errand = self.links.recall(&email).await?;
        let waits = matches!(errand, Errand::Register { .. });
        let token = self.links.issue(errand, CONFIRM_WITHIN).await?;
        let facts = Facts {
            path: &format!("/confirm?token={token}"),
            good_for: Some(CONFIRM_WITHIN),
            origin: Some(caller.ip),
        };
        let says = if waits && may_write {
            Says::Confirm
        } else {
            Says::Nothing
        };
        mail.write(&email, says, facts).await?;
        self.record("confirm.resent", Some(caller), None, None).await;
        Ok(())
    }
}
