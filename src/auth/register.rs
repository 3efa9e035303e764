//! Making an account.
//!
//! That an address is taken has to be said as long as no mail can tell its owner instead; the limits make asking for many slow, and the answer comes
//! after the same hash as any other. Who is unique is the store's index's to say, not a look-up's before.

use super::throttle::{AccountKey, Door};
use super::{Auth, AuthError};
use crate::model::caller::Caller;
use crate::model::credential::{Account, Password};
use crate::model::secret;
use crate::model::user::{Email, Epoch, Role, User, UserId};
use crate::store::accounts::Added;

impl Auth {
    /// Makes an account.
    pub async fn register(&self, caller: &Caller, email: &str, password: Password) -> Result<User, AuthError> {
        if !self.registration {
            return Err(AuthError::RegistrationClosed);
        }
        let key = AccountKey::of_typed(email);
        if let Err(refusal) = self.throttle.admit(caller, &key, Door::Register).await {
            self.record("register.limited", Some(caller), None, None);
            return Err(refusal);
        }
        let email: Email = email.parse().map_err(|_| AuthError::InvalidEmail)?;
        self.make_account(Some(caller), email, password, self.default_roles.clone())
            .await
    }

    pub(super) async fn make_account(
        &self,
        caller: Option<&Caller>,
        email: Email,
        password: Password,
        roles: Vec<Role>,
    ) -> Result<User, AuthError> {
        self.strength.check(&password, &email)?;
        let password = self.hasher.hash(password).await?;
        let now = self.clock.now();
        let user = User {
            id: UserId(secret::uuid_v7(now)?),
            email,
            roles,
            created_at: now,
            disabled_at: None,
            epoch: Epoch::default(),
        };
        let account = Account { user, password };
        match self.stores.accounts.add(&account).await? {
            Added::Added => {
                self.record("account.created", caller, Some(account.user.id), None);
                Ok(account.user)
            }
            Added::EmailTaken => Err(AuthError::EmailTaken),
        }
    }
}
