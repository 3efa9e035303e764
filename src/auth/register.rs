//! Making an account.
//!
//! That an address is taken has to be said as long as no mail can tell its owner instead; the limits make asking for many slow, and the answer comes
//! after the same hash as any other. Who is unique is the store's index's to say, not a look-up's before.

use super::throttle::{AccountKey, Door};
use super::{Auth, AuthError};
use crate::model::caller::Caller;
use crate::model::credential::{Account, Password};
use crate::model::secret;
use crate::model::user::{Confirmation, Email, Epoch, Role, User, UserId};
use crate::store::accounts::Added;

impl Auth {
    /// Makes an account.
    pub async fn register(&self, caller: &Caller, email: &str, password: Password) -> Result<User, AuthError> {
        let outcome = self.try_register(caller, email, password).await;
        self.paced(outcome).await
    }

    async fn try_register(&self, caller: &Caller, email: &str, password: Password) -> Result<User, AuthError> {
        if !self.registration {
            return Err(AuthError::RegistrationClosed);
        }
        let key = AccountKey::of_typed(email);
        if let Err(refusal) = self.throttle.admit(caller, &key, Door::Register, None).await {
            self.record("register.limited", Some(caller), None, None).await;
            return Err(refusal);
        }
        let email: Email = email.parse().map_err(|_| AuthError::InvalidEmail)?;
        // Whoever registers signs in next. An account that could not do so would only meet `email_taken` when its owner tries again.
        self.stores.sessions.ping().await?;
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
            confirmation: Confirmation::default(),
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
