//! A password is changed, or asked for again.

use super::notice::Notice;
use super::throttle::{AccountKey, Door};
use super::{Auth, AuthError};
use crate::model::caller::Caller;
use crate::model::credential::{Account, Password};
use crate::model::identity::Identity;

impl Auth {
    /// Changes the password; every other session ends.
    pub async fn change_password(
        &self,
        caller: &Caller,
        who: &Identity,
        current: Password,
        new: Password,
    ) -> Result<(), AuthError> {
        let account = self.stores.accounts.find(who.user).await?;
        let account = account.ok_or(AuthError::InvalidCredentials)?;
        self.strength.check(&new, &account.user.email)?;
        // Asked before anything is changed: should the sessions store be away, nothing is spent.
        let (_, session) = self.me(who).await?;
        self.prove(caller, who, &account, current).await?;

        let hash = self.hasher.hash(new).await?;
        let changed = self
            .stores
            .accounts
            .change_password(who.user, &account.password, &hash)
            .await?;
        // Somebody else changed it in between; the password that was just proved is no longer the one.
        let epoch = changed.ok_or(AuthError::InvalidCredentials)?;
        self.record("password.changed", Some(caller), Some(who.user), Some(who.session))
            .await;

        self.notify(Some(caller), &account.user.email, Notice::PasswordChanged)
            .await;

        self.stores.sessions.move_to_epoch(session.id, epoch).await?;
        let ended = self.stores.sessions.end_all(who.user, Some(session.id)).await?;
        self.revoke_sessions(ended.into_iter()).await
    }

    /// Whether somebody's account has a password at all.
    pub async fn has_password(&self, who: &Identity) -> Result<bool, AuthError> {
        let account = self.stores.accounts.find(who.user).await?;
        Ok(account.is_some_and(|account| !account.password.is_none()))
    }

    /// Asks a signed-in person for their password again, under the limits of every other guess. Who has none must have signed in a short time ago; a
    /// session must have shown a second factor if the account has one.
    pub(super) async fn prove(
        &self,
        caller: &Caller,
        who: &Identity,
        account: &Account,
        password: Password,
    ) -> Result<(), AuthError> {
        if account.password.is_none() && account.user.disabled_at.is_none() {
            return self.recent(who).await.map(drop);
        }
        self.with_every_factor(who).await?;
        self.prove_by_password(caller, account, password).await
    }

    /// The same where nothing else will do.
    pub(super) async fn prove_by_password(
        &self,
        caller: &Caller,
        account: &Account,
        password: Password,
    ) -> Result<(), AuthError> {
        let outcome = self.try_to_prove(caller, account, password).await;
        self.paced(outcome).await
    }

    async fn try_to_prove(&self, caller: &Caller, account: &Account, password: Password) -> Result<(), AuthError> {
        let key = AccountKey::of(&account.user.email);
        let device = self.known_device(caller, &key);
        if let Err(refusal) = self.throttle.admit(caller, &key, Door::Guess, device).await {
            self.record("password.limited", Some(caller), Some(account.user.id), None)
                .await;
            return Err(refusal);
        }
        if self.strength.is_too_long(&password) {
            return Err(AuthError::InvalidCredentials);
        }
        let verdict = self.hasher.verify(password, Some(&account.password)).await?;
        if verdict.matches && account.user.disabled_at.is_none() {
            return Ok(());
        }
        self.record("password.refused", Some(caller), Some(account.user.id), None)
            .await;
        Err(AuthError::InvalidCredentials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::world::{World, caller, password};

    const NEW: &str = "a quite different long sentence";

    #[tokio::test]
    async fn a_changed_password_counts_and_ends_the_other_sessions() {
        let world = World::new().await;
        let (here, there) = (world.signed_in().await, world.again().await);
        let new = Password::new(NEW.to_owned());
        let who = &here.access.identity;
        world
            .auth
            .change_password(&caller(), who, password(), new.clone())
            .await
            .unwrap();

        let ended = world.auth.refresh(&caller(), there.refresh.expose()).await;
        assert!(matches!(ended, Err(AuthError::SessionOver { dead: true })));
        world
            .auth
            .refresh(&caller(), here.refresh.expose())
            .await
            .map(|_| ())
            .unwrap();
        let old = world.auth.login(&caller(), "ada@example.com", password()).await;
        assert!(matches!(old, Err(AuthError::InvalidCredentials)));
        world
            .auth
            .login(&caller(), "ada@example.com", new)
            .await
            .map(|_| ())
            .unwrap();
    }

    #[tokio::test]
    async fn a_change_needs_the_current_password_a_good_new_one_and_both_stores() {
        let world = World::new().await;
        let here = world.signed_in().await;
        let who = &here.access.identity;
        let new = || Password::new(NEW.to_owned());
        let wrong = world.auth.change_password(&caller(), who, new(), new()).await;
        assert!(matches!(wrong, Err(AuthError::InvalidCredentials)));
        let weak = world
            .auth
            .change_password(&caller(), who, password(), Password::new("short".into()))
            .await;
        assert!(matches!(weak, Err(AuthError::WeakPassword(_))));
        world.sessions.set_down(true);
        let failed = world.auth.change_password(&caller(), who, password(), new()).await;
        assert!(matches!(failed, Err(AuthError::Store(_))));
        world.sessions.set_down(false);
        world
            .auth
            .login(&caller(), "ada@example.com", password())
            .await
            .map(|_| ())
            .unwrap();
    }

    #[tokio::test]
    async fn guessing_at_the_password_change_counts_like_guessing_at_the_door() {
        let world = World::new().await;
        let here = world.signed_in().await;
        let guess = || Password::new("not the right password".to_owned());
        loop {
            match world
                .auth
                .change_password(&caller(), &here.access.identity, guess(), password())
                .await
            {
                Err(AuthError::InvalidCredentials) => {}
                Err(AuthError::RateLimited { .. }) => break,
                other => panic!("{other:?}"),
            }
        }
        let refused = world.auth.login(&caller(), "ada@example.com", password()).await;
        assert!(matches!(refused, Err(AuthError::RateLimited { .. })));
    }
}
