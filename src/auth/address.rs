//! Another address for an account: asked for with the password, told to the old address, and done when a letter to the new one is answered (`confirm`).
//!
//! Whether the new address has an account is told to its owner alone.

use super::links::{CONFIRM_WITHIN, Errand, Holder};
use super::notice::Notice;
use super::throttle::AccountKey;
use super::{Auth, AuthError};
use crate::mail::Facts;
use crate::mail::letter::Says;
use crate::model::caller::Caller;
use crate::model::credential::Password;
use crate::model::identity::Identity;
use crate::model::user::Email;

impl Auth {
    /// Asks the owner of another address whether the account is theirs.
    pub async fn ask_to_move(
        &self,
        caller: &Caller,
        who: &Identity,
        email: &str,
        password: Password,
    ) -> Result<(), AuthError> {
        let mail = self.mail()?;
        let to: Email = email.parse().map_err(|_| AuthError::InvalidEmail)?;
        let account = self.stores.accounts.find(who.user).await?;
        let account = account.ok_or(AuthError::InvalidCredentials)?;
        self.with_every_factor(who).await?;
        // The page behind the link asks for the password once more, so there must be one.
        self.prove_by_password(caller, &account, password).await?;

        let taken = self.stores.accounts.find_by_email(&to).await?.is_some();
        let may_write = self.throttle.may_write(caller, &AccountKey::of(&to), None).await;
        let errand = match taken {
            true => Errand::Nothing,
            false => Errand::Move {
                holder: Holder::of(&account),
                to: to.clone(),
            },
        };
        let token = self.links.issue(errand, CONFIRM_WITHIN).await?;
        let (says, path) = match taken {
            true => (Says::Attempt, "/forgot".to_owned()),
            false => (Says::Move, format!("/confirm?token={token}")),
        };
        let facts = Facts {
            path: &path,
            good_for: Some(CONFIRM_WITHIN),
            origin: Some(caller.ip),
        };
        mail.write(&to, if may_write { says } else { Says::Nothing }, facts)
            .await?;
        let (user, session) = (Some(who.user), Some(who.session));
        self.record("account.move_asked", Some(caller), user, session).await;
        self.notify(Some(caller), &account.user.email, Notice::EmailChanged)
            .await;
        Ok(())
    }
}
