//! Making an account.
//!
//! Where letters can be sent, every address gets the same answer after the same work, and what is true stands in a letter to its owner: the account is
//! made when the link in it is used *and* the password that was chosen is given again (`confirm`). Until then nothing stands in the accounts store, so
//! whoever registers somebody else's address takes nothing from them. Where none can be sent, that an address is taken has to be said; the limits make
//! asking for many slow. Who is unique is the store's index's to say, not a look-up's before.

use super::links::{CONFIRM_WITHIN, Errand};
use super::throttle::{AccountKey, Door};
use super::{Auth, AuthError};
use crate::mail::letter::Says;
use crate::mail::{Facts, Mail};
use crate::model::caller::Caller;
use crate::model::credential::{Account, Password, PasswordHash};
use crate::model::secret;
use crate::model::user::{Confirmation, Email, Epoch, Role, User, UserId};
use crate::store::accounts::Added;

/// What came of registering.
#[derive(Clone, Debug)]
pub enum Registered {
    /// There is an account now.
    Made(User),
    /// A letter is on its way to the address, whoever's it is.
    Asked,
}

impl Auth {
    /// Makes an account, or asks the owner of the address.
    pub async fn register(&self, caller: &Caller, email: &str, password: Password) -> Result<Registered, AuthError> {
        let outcome = self.try_register(caller, email, password).await;
        self.paced(outcome).await
    }

    async fn try_register(&self, caller: &Caller, email: &str, password: Password) -> Result<Registered, AuthError> {
        if !self.registration {
            return Err(AuthError::RegistrationClosed);
        }
        let key = AccountKey::of_typed(email);
        if let Err(refusal) = self.throttle.admit(caller, &key, Door::Register, None).await {
            self.record("register.limited", Some(caller), None, None).await;
            return Err(refusal);
        }
        let email: Email = email.parse().map_err(|_| AuthError::InvalidEmail)?;
        if let Some(mail) = &self.mail {
            self.ask_owner(caller, mail, email, password).await?;
            return Ok(Registered::Asked);
        }
        // Whoever registers signs in next. An account that could not do so would only meet `email_taken` when its owner tries again.
        self.stores.sessions.ping().await?;
        let roles = self.default_roles.clone();
        self.make_account(Some(caller), email, password, roles)
            .await
            .map(Registered::Made)
    }

    /// The same steps whether or not the address has an account.
    async fn ask_owner(&self, caller: &Caller, mail: &Mail, email: Email, password: Password) -> Result<(), AuthError> {
        self.strength.check(&password, &email)?;
        let password = self.hasher.hash(password).await?;
        let key = AccountKey::of(&email);
        let known = self.stores.accounts.find_by_email(&email).await?;
        let may_write = self.throttle.may_write(caller, &key, None).await;
        // A link ends the one before it, so none is made that no letter brings: a stranger who asks too often would end the owner's.
        let errand = match &known {
            None if may_write => Errand::Register {
                email: email.clone(),
                password: password.as_str().to_owned(),
            },
            _ => Errand::Nothing,
        };
        let token = self.links.issue(errand, CONFIRM_WITHIN).await?;
        let (says, path) = match &known {
            Some(_) => (Says::Attempt, "/forgot".to_owned()),
            None => (Says::Confirm, format!("/confirm?token={token}")),
        };
        let facts = Facts {
            path: &path,
            good_for: Some(CONFIRM_WITHIN),
            origin: Some(caller.ip),
        };
        mail.write(&email, if may_write { says } else { Says::Nothing }, facts)
            .await?;
        let whose = known.map(|account| account.user.id);
        self.record("register.asked", Some(caller), whose, None).await;
        Ok(())
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
        self.add_account(caller, email, password, roles, Confirmation::Unasked)
            .await
    }

    /// Adds an account whose password is a hash already.
    pub(super) async fn add_account(
        &self,
        caller: Option<&Caller>,
        email: Email,
        password: PasswordHash,
        roles: Vec<Role>,
        confirmation: Confirmation,
    ) -> Result<User, AuthError> {
        let now = self.clock.now();
        let user = User {
            id: UserId(secret::uuid_v7(now)?),
            email,
            roles,
            created_at: now,
            disabled_at: None,
            epoch: Epoch::default(),
            confirmation,
        };
        let account = Account { user, password };
        match self.stores.accounts.add(&account).await? {
            Added::Added => {
                self.record("account.created", caller, Some(account.user.id), None)
                    .await;
                Ok(account.user)
            }
            Added::EmailTaken => Err(AuthError::EmailTaken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::world::{World, caller, password};

    #[tokio::test]
    async fn an_address_has_one_account_however_it_is_spelled_and_that_is_told_after_a_hash() {
        let world = World::new().await;
        assert_eq!(
            world.register_as("Ada@Example.COM").await.email.as_str(),
            "ada@example.com"
        );
        let before = world.hasher.hashed();
        let again = world.auth.register(&caller(), "ada@example.com", password()).await;
        assert!(matches!(again, Err(AuthError::EmailTaken)));
        assert_eq!(world.hasher.hashed(), before + 1);
    }

    #[tokio::test]
    async fn racers_for_one_address_make_one_account() {
        let world = World::new().await;
        let caller = caller();
        let racers = (0..5).map(|_| world.auth.register(&caller, "ada@example.com", password()));
        let outcomes = futures_util::future::join_all(racers).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert_eq!(world.auth.users().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_is_no_address_or_too_weak_is_refused_without_a_hash_and_counts() {
        let world = World::new().await;
        let no_address = world.auth.register(&caller(), "nonsense", password()).await;
        assert!(matches!(no_address, Err(AuthError::InvalidEmail)));
        for _ in 1..=world.limits.per_account_ip.count {
            let weak = world
                .auth
                .register(&caller(), "ada@example.com", Password::new("short".into()))
                .await;
            assert!(matches!(weak, Err(AuthError::WeakPassword(_))));
        }
        let limited = world.auth.register(&caller(), "ada@example.com", password()).await;
        assert!(matches!(limited, Err(AuthError::RateLimited { .. })));
        assert_eq!(world.hasher.hashed(), 0);
    }
}
