//! Signing in with a password.
//!
//! An address that has no account, one that is no address, a wrong password, a disabled account and one not yet confirmed get one answer after the same
//! steps: the counters, one look-up, one hash. What follows a right password may take longer; nobody gets there without it. While there is no room for one
//! more hash, nothing is counted or looked up for anybody.

use uuid::Uuid;

use super::entry::Entered;
use super::hashing::{HashError, Verdict};
use super::throttle::{AccountKey, Door};
use super::{Auth, AuthError};
use crate::model::caller::Caller;
use crate::model::credential::{Account, Password};
use crate::model::proof::Proof;
use crate::model::user::{Confirmation, Email, User, UserId};
use crate::store::StoreError;

impl Auth {
    /// Signs in with a password: limits, then always one hash, then the rest.
    ///
    /// An account with a second factor is not in yet; it gets the token of its second step.
    pub async fn login(&self, caller: &Caller, email: &str, password: Password) -> Result<Entered, AuthError> {
        let outcome = self.try_login(caller, email, password).await;
        let outcome = self.paced(outcome).await;
        let (word, event) = match &outcome {
            Ok(Entered::SignedIn(_)) => ("succeeded", None),
            Ok(Entered::SecondStep(_)) => ("second_step", None),
            Err(AuthError::InvalidCredentials) => ("refused", None),
            Err(AuthError::RateLimited { .. }) => ("limited", Some("login.limited")),
            Err(AuthError::Overloaded { .. }) => ("overloaded", None),
            Err(_) => ("failed", None),
        };
        self.telemetry.metrics.login(word);
        if let Some(event) = event {
            self.record(event, Some(caller), None, None).await;
        }
        outcome
    }

    async fn try_login(&self, caller: &Caller, email: &str, password: Password) -> Result<Entered, AuthError> {
        // A flood that fills the queue costs the stores nothing. Nobody's password has been tried by it, so nobody's attempts are used up.
        self.hasher.room()?;
        let key = AccountKey::of_typed(email);
        let device = self.known_device(caller, &key);
        self.throttle.admit(caller, &key, Door::Guess, device).await?;
        // Nobody has such a password, whoever they are: the answer, and the time it takes, depend on the password alone.
        if self.strength.is_too_long(&password) {
            return Err(AuthError::InvalidCredentials);
        }
        let found = self.find_typed(email).await?;
        let verdict = self.compare(caller, found.as_ref(), &password).await?;
        let whose = found.as_ref().map(|account| account.user.id);
        let Some(account) = found.filter(|account| verdict.matches && may_enter(&account.user)) else {
            self.record("login.refused", Some(caller), whose, None).await;
            return Err(AuthError::InvalidCredentials);
        };
        if verdict.outdated {
            self.rehash(&account, password).await;
        }
        self.proven(caller, account.user, Proof::password()).await
    }

    /// One look-up, also for what is no address.
    async fn find_typed(&self, email: &str) -> Result<Option<Account>, StoreError> {
        match email.parse::<Email>() {
            Ok(email) => self.stores.accounts.find_by_email(&email).await,
            Err(_) => self.stores.accounts.find(UserId(Uuid::nil())).await,
        }
    }

    async fn compare(
        &self,
        caller: &Caller,
        found: Option<&Account>,
        password: &Password,
    ) -> Result<Verdict, HashError> {
        let stored = found.map(|account| &account.password);
        let compared = self.hasher.verify_for(&caller.presence, password.clone(), stored);
        match compared.await {
            // Only an operator can mend it; the person gets the answer that a stranger gets.
            Err(HashError::Damaged) => {
                tracing::error!(user.id = ?found.map(|account| account.user.id), "an account's password hash cannot be read");
                Ok(Verdict::default())
            }
            other => other,
        }
    }

    /// Best effort: should it fail, the next sign-in tries again.
    async fn rehash(&self, account: &Account, password: Password) {
        let Ok(stronger) = self.hasher.hash(password).await else {
            return;
        };
        let kept = self
            .stores
            .accounts
            .rehash_password(account.user.id, &account.password, &stronger)
            .await;
        if let Err(error) = kept {
            tracing::warn!(%error, user.id = %account.user.id, "a stronger password hash could not be kept");
        }
    }
}

/// Not while disabled, nor before a letter to the address was answered.
pub(super) fn may_enter(user: &User) -> bool {
    user.disabled_at.is_none() && user.confirmation != Confirmation::Pending
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::world::{PASSWORD, QUEUE, World, caller, caller_at};
    use crate::model::session::Amr;

    async fn login(world: &World, email: &str, password: &str) -> Result<Entered, AuthError> {
        world
            .auth
            .login(&caller(), email, Password::new(password.to_owned()))
            .await
    }

    #[tokio::test]
    async fn a_right_password_opens_a_session() {
        let world = World::new().await;
        let signed_in = world.signed_in().await;
        let session = world.stores.sessions.find(signed_in.session.id).await.unwrap().unwrap();
        assert_eq!(session, signed_in.session);
        assert_eq!(signed_in.access.identity.session, session.id);
        assert_eq!(signed_in.access.identity.amr, [Amr("pwd".to_owned())]);
        assert_eq!((session.ip, session.user_agent.as_str()), (Some(caller().ip), "test"));
    }

    #[tokio::test]
    async fn every_refused_sign_in_costs_one_hash_and_the_same_store_calls() {
        let world = World::new().await;
        world.register().await;
        world.register_as("off@example.com").await;
        world.auth.disable("off@example.com").await.unwrap();
        let mut costs = Vec::new();
        for (email, password) in [
            ("ada@example.com", "not the right password"),
            ("nobody@example.com", "not the right password"),
            ("no address at all", "not the right password"),
            ("off@example.com", PASSWORD),
            ("off@example.com", "not the right password"),
        ] {
            let before = (world.hasher.hashed(), world.ephemeral.calls(), world.sessions.calls());
            let outcome = login(&world, email, password).await;
            assert!(matches!(outcome, Err(AuthError::InvalidCredentials)), "{email}");
            let after = (world.hasher.hashed(), world.ephemeral.calls(), world.sessions.calls());
            costs.push((after.0 - before.0, after.1 - before.1, after.2 - before.2));
        }
        assert!(costs.iter().all(|cost| *cost == costs[0] && cost.0 == 1), "{costs:?}");
    }

    #[tokio::test]
    async fn a_password_beyond_the_longest_is_refused_without_a_hash() {
        let world = World::new().await;
        world.register().await;
        let before = world.hasher.hashed();
        for email in ["ada@example.com", "nobody@example.com"] {
            let outcome = login(&world, email, &"x".repeat(257)).await;
            assert!(matches!(outcome, Err(AuthError::InvalidCredentials)));
        }
        assert_eq!(world.hasher.hashed(), before);
    }

    #[tokio::test]
    async fn limits_come_before_the_hash() {
        let world = World::new().await;
        world.register().await;
        for _ in 0..world.limits.per_account_ip.count {
            login(&world, "ada@example.com", "not the right password")
                .await
                .map(|_| ())
                .unwrap_err();
        }
        let before = world.hasher.hashed();
        let outcome = login(&world, "ada@example.com", PASSWORD).await;
        assert!(matches!(outcome, Err(AuthError::RateLimited { .. })));
        assert_eq!(world.hasher.hashed(), before);
    }

    #[tokio::test]
    async fn while_the_hashing_queue_is_full_the_stores_are_left_alone_and_no_attempt_is_used_up() {
        let world = World::new().await;
        world.register().await;
        let asleep = world.asleep();
        let password = || Password::new(PASSWORD.to_owned());
        let mut queue: Vec<_> = (0..QUEUE).map(|_| Box::pin(asleep.hasher.hash(password()))).collect();
        for job in &mut queue {
            let _ = futures_util::poll!(job);
        }
        let before = world.ephemeral.calls();
        for _ in 0..=world.limits.per_account_ip.count {
            let outcome = asleep.login(&caller(), "ada@example.com", password()).await;
            assert!(matches!(outcome, Err(AuthError::Overloaded { .. })));
        }
        assert_eq!(world.ephemeral.calls(), before);
        drop(queue);
        assert!(login(&world, "ada@example.com", PASSWORD).await.is_ok());
    }

    #[tokio::test]
    async fn refusals_of_a_flood_come_one_after_the_other() {
        let world = World::new().await;
        world.register().await;
        let begun = std::time::Instant::now();
        let tries = (0..world.limits.per_account_ip.count + 60).map(|_| login(&world, "ada@example.com", "wrong"));
        let outcomes = futures_util::future::join_all(tries).await;
        let limited = |outcome: &&Result<Entered, AuthError>| matches!(outcome, Err(AuthError::RateLimited { .. }));
        assert_eq!(outcomes.iter().filter(limited).count(), 60);
        assert!(begun.elapsed() >= std::time::Duration::from_millis(500));
    }

    #[tokio::test]
    async fn a_victim_gets_in_from_where_they_signed_in_before() {
        let world = World::new().await;
        world.signed_in().await;
        for number in 0..world.limits.per_account.count + 1 {
            let ip = format!("198.51.{}.{}", number / 250, number % 250);
            let guess = Password::new("not the right password".to_owned());
            world
                .auth
                .login(&caller_at(&ip), "ada@example.com", guess)
                .await
                .map(|_| ())
                .unwrap_err();
        }
        let stranger = caller_at("203.0.113.9");
        let elsewhere = world
            .auth
            .login(&stranger, "ada@example.com", Password::new(PASSWORD.to_owned()));
        assert!(matches!(elsewhere.await, Err(AuthError::RateLimited { .. })));
        assert!(login(&world, "ada@example.com", PASSWORD).await.is_ok());
    }

    #[tokio::test]
    async fn without_the_sessions_store_nobody_signs_in() {
        let world = World::new().await;
        world.register().await;
        world.sessions.set_down(true);
        assert!(matches!(
            login(&world, "ada@example.com", PASSWORD).await,
            Err(AuthError::Store(_))
        ));
    }

    #[tokio::test]
    async fn a_hash_is_made_anew_when_the_settings_grew() {
        let world = World::new().await;
        let user = world.register().await;
        let before = world.stores.accounts.find(user.id).await.unwrap().unwrap().password;
        let stronger = world.with_memory(128);
        stronger
            .login(&caller(), "ada@example.com", Password::new(PASSWORD.to_owned()))
            .await
            .map(|_| ())
            .unwrap();
        let after = world.stores.accounts.find(user.id).await.unwrap().unwrap();
        assert!(before != after.password && after.password.as_str().contains("m=128"));
        assert_eq!(after.user.epoch, user.epoch, "nobody is signed out by it");
        assert!(login(&world, "ada@example.com", PASSWORD).await.is_ok());
    }
}
