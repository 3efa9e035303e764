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
        let waiting = self.links.recall(&email).await?;
        // A link ends the one before it, so none is made that no letter brings: a stranger who asks too often would end the owner's.
        let errand = if may_write { waiting } else { Errand::Nothing };
        let says = match errand {
            Errand::Register { .. } => Says::Confirm,
            _ => Says::Nothing,
        };
        let token = self.links.issue(errand, CONFIRM_WITHIN).await?;
        let facts = Facts {
            path: &format!("/confirm?token={token}"),
            good_for: Some(CONFIRM_WITHIN),
            origin: Some(caller.ip),
        };
        mail.write(&email, says, facts).await?;
        self.record("confirm.resent", Some(caller), None, None).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::world::{World, caller_at, password};

    const ADA: &str = "ada@example.com";

    #[tokio::test]
    async fn who_asks_for_more_letters_than_are_sent_does_not_end_the_link_of_the_last_one() {
        let world = World::new().await;
        let auth = world.with_letters();
        for host in 1..=10 {
            auth.resend(&caller_at(&format!("198.51.100.{host}")), ADA)
                .await
                .unwrap();
        }
        let hash = world.hasher.hash(password()).await.unwrap();
        let owners = Errand::Register {
            email: ADA.parse().unwrap(),
            password: hash.as_str().to_owned(),
        };
        let token = auth.links.issue(owners.clone(), CONFIRM_WITHIN).await.unwrap();
        let stranger = caller_at("203.0.113.1");
        auth.resend(&stranger, ADA).await.unwrap();
        assert_eq!(auth.links.read(Place::Confirm, &token).await.unwrap(), owners);
        auth.register(&stranger, ADA, password()).await.unwrap();
        assert_eq!(auth.links.read(Place::Confirm, &token).await.unwrap(), owners);
    }
}
