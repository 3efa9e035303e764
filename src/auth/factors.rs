//! What somebody has beside their password: seeing it, taking it away, and who may change it.
//!
//! A session that was left open somewhere must not be enough to lock its owner out, so whoever changes a factor has signed in within the last ten
//! minutes, and with two factors where the account has two.

use std::time::Duration;

use super::notice::Notice;
use super::{Auth, AuthError};
use crate::model::caller::Caller;
use crate::model::factor::{Factor, FactorKind};
use crate::model::identity::Identity;
use crate::model::proof;
use crate::model::session::Session;
use crate::model::user::{User, UserId};

/// How long ago a sign-in may be to count as recent.
pub const RECENT: Duration = Duration::from_secs(10 * 60);

/// What opens an account that has no password.
pub(super) const WAYS_IN: [FactorKind; 2] = [FactorKind::Passkey, FactorKind::Provider];

impl Auth {
    /// The account's factors, oldest first; what they keep is sealed.
    pub async fn factors(&self, who: &Identity) -> Result<Vec<Factor>, AuthError> {
        Ok(self.stores.factors.of_user(who.user).await?)
    }

    /// Takes the authenticator app away, and the recovery codes with the last second factor.
    pub async fn remove_totp(&self, caller: &Caller, who: &Identity) -> Result<(), AuthError> {
        self.recent(who).await?;
        let factors = self.stores.factors.of_user(who.user).await?;
        let app = factors.iter().find(|factor| factor.kind == FactorKind::Totp);
        let app = app.ok_or(AuthError::NotFound)?;
        self.stores.factors.detach(who.user, app.id).await?;
        self.factor_changed(caller, who, "totp.removed").await;
        self.drop_idle_codes(who.user).await
    }

    /// Recovery codes stand in for a second factor; without one they go.
    pub(super) async fn drop_idle_codes(&self, user: UserId) -> Result<(), AuthError> {
        if !self.has_second_factor(user).await? {
            self.stores.factors.replace(user, FactorKind::Recovery, &[]).await?;
        }
        Ok(())
    }

    /// Whether a sign-in to the account takes two steps.
    pub(super) async fn has_second_factor(&self, user: UserId) -> Result<bool, AuthError> {
        let factors = self.stores.factors.of_user(user).await?;
        Ok(factors.iter().any(is_second))
    }

    /// Who it is, if they have signed in recently enough to change how they sign in.
    pub(super) async fn recent(&self, who: &Identity) -> Result<(User, Session), AuthError> {
        let (user, session) = self.me(who).await?;
        let is_recent = self.clock.now().since(session.auth_time) <= RECENT;
        let needs_two = self.lacks_second_factor(&session).await?;
        if is_recent && !needs_two {
            return Ok((user, session));
        }
        Err(AuthError::NotRecent { needs_two })
    }

    /// Takes a new factor away again, and the recovery codes that came with it, unless the session that added it still lives: whoever ended it looks through
    /// the factors afterwards, and must not miss one that was on its way.
    pub(super) async fn keep_if_live(&self, who: &Identity, factor: &Factor) -> Result<(), AuthError> {
        let outcome = self.me(who).await;
        if outcome.is_err() {
            self.stores.factors.detach(factor.user, factor.id).await?;
            self.drop_idle_codes(factor.user).await?;
        }
        outcome.map(|_| ())
    }

    /// Who it is, if their session has shown two factors or their account has no second one. A session that was opened before there was one must not take
    /// the account over, or away, with the password alone.
    pub(super) async fn with_every_factor(&self, who: &Identity) -> Result<(User, Session), AuthError> {
        let (user, session) = self.me(who).await?;
        match self.lacks_second_factor(&session).await? {
            true => Err(AuthError::NotRecent { needs_two: true }),
            false => Ok((user, session)),
        }
    }

    async fn lacks_second_factor(&self, session: &Session) -> Result<bool, AuthError> {
        Ok(!proof::is_multi(&session.amr) && self.has_second_factor(session.user).await?)
    }

    /// The same as `recent`, for a page that would rather ask before than be refused afterwards.
    pub async fn must_be_recent(&self, who: &Identity) -> Result<(), AuthError> {
        self.recent(who).await.map(|_| ())
    }

    /// Writes down that somebody changed how they sign in, and tells the owner.
    pub(super) async fn factor_changed(&self, caller: &Caller, who: &Identity, what: &'static str) {
        self.record(what, Some(caller), Some(who.user), Some(who.session)).await;
        self.notify_user(Some(caller), who.user, Notice::FactorChanged).await;
    }
}

/// Whether a factor makes a sign-in take two steps.
fn is_second(factor: &Factor) -> bool {
    matches!(factor.kind, FactorKind::Totp | FactorKind::Passkey)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::world::{App, World, caller, password};
    use crate::model::clock::Clock as _;
    use crate::model::credential::Password;

    #[track_caller]
    fn wants<T>(outcome: Result<T, AuthError>, two: bool) {
        match outcome {
            Err(AuthError::NotRecent { needs_two }) => assert_eq!(needs_two, two),
            _ => panic!("let through, or refused for another reason"),
        }
    }

    #[tokio::test]
    async fn whoever_changes_a_factor_has_signed_in_within_ten_minutes() {
        let world = World::new().await;
        let who = world.signed_in().await.access.identity;
        let app = App::reading(&world.auth.begin_totp(&who, "Gateward").await.unwrap().uri);
        world.clock.advance(RECENT + Duration::from_secs(1));
        wants(world.auth.begin_totp(&who, "Gateward").await, false);
        let code = app.code(world.clock.now());
        wants(world.auth.confirm_totp(&caller(), &who, &code).await, false);
        wants(world.auth.remove_totp(&caller(), &who).await, false);
        wants(world.auth.renew_recovery_codes(&caller(), &who).await, false);
    }

    #[tokio::test]
    async fn a_session_of_one_factor_changes_none_of_an_account_with_two() {
        let world = World::new().await;
        let elsewhere = world.signed_in().await.access.identity;
        let who = world.again().await.access.identity;
        let app = App::reading(&world.auth.begin_totp(&who, "Gateward").await.unwrap().uri);
        let code = app.code(world.clock.now());
        world.auth.confirm_totp(&caller(), &who, &code).await.unwrap();
        wants(world.auth.remove_totp(&caller(), &elsewhere).await, true);
        wants(world.auth.renew_recovery_codes(&caller(), &elsewhere).await, true);
        wants(world.auth.begin_totp(&elsewhere, "Gateward").await, true);
    }

    #[tokio::test]
    async fn a_session_of_one_factor_takes_no_account_of_two_over_nor_away_with_the_password() {
        let world = World::new().await;
        world.with_app().await;
        let (older, new) = (world.older_session().await.access.identity, "another long pass phrase");
        let auth = world.with_letters();
        let new = Password::new(new.into());
        wants(auth.change_password(&caller(), &older, password(), new).await, true);
        let to = "eve@example.com";
        wants(auth.ask_to_move(&caller(), &older, to, password()).await, true);
        wants(auth.delete_account(&caller(), &older, password()).await, true);
        assert!(world.auth.find_user("ada@example.com").await.is_ok());
    }

    #[tokio::test]
    async fn an_app_does_not_count_before_its_first_right_code() {
        let world = World::new().await;
        let who = world.signed_in().await.access.identity;
        world.auth.begin_totp(&who, "Gateward").await.unwrap();
        let wrong = world.auth.confirm_totp(&caller(), &who, "000000").await;
        assert!(matches!(wrong, Err(AuthError::WrongCode)));
        assert!(world.auth.factors(&who).await.unwrap().is_empty());
        world.again().await;
    }

    #[tokio::test]
    async fn what_a_store_holds_of_an_app_and_of_recovery_codes_is_not_what_opens() {
        let world = World::new().await;
        let (signed_in, app, codes) = world.with_app().await;
        let factors = world.auth.factors(&signed_in.access.identity).await.unwrap();
        assert_eq!(factors.len(), 11);
        let secret = app.secret();
        for factor in factors {
            let holds = |what: &[u8]| factor.sealed.windows(what.len()).any(|part| part == what);
            assert!(!holds(&secret), "{factor:?}");
            assert!(
                codes
                    .iter()
                    .all(|code| !holds(code.as_bytes()) && !holds(code.replace('-', "").as_bytes()))
            );
        }
    }
}
