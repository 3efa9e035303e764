//! Ending sessions: one's own present one, all of them.
//!
//! Access tokens are revoked before the session is ended: should the second step fail, the person is told, and doing it again does all of it.

use super::{Auth, AuthError};
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::identity::Identity;
use crate::model::session::SessionId;
use crate::model::user::UserId;
use crate::store::ephemeral::Revoked;
use crate::token::refresh::Presented;

impl Auth {
    /// Ends the session that either token belongs to (the access token may have expired). Already over, or no token at all: fine as well.
    pub async fn logout(&self, caller: &Caller, access: Option<&str>, refresh: Option<&str>) -> Result<(), AuthError> {
        let access = access.and_then(|token| self.tokens.read_expired(token).ok());
        let by_access = access.map(|identity| identity.session);
        let presented = refresh.and_then(|token| self.tokens.read_refresh(token));
        let by_refresh = presented.filter(|presented| by_access != Some(presented.session));

        let first = match by_access {
            Some(id) => self.close(Some(caller), id).await,
            None => Ok(()),
        };
        let second = match by_refresh {
            Some(presented) => self.close_presented(caller, &presented).await,
            None => Ok(()),
        };
        first.and(second)
    }

    /// Ends every session of the user.
    pub async fn logout_all(&self, caller: &Caller, who: &Identity) -> Result<(), AuthError> {
        self.end_user(who.user).await?;
        self.record("session.ended_all", Some(caller), Some(who.user), Some(who.session))
            .await;
        Ok(())
    }

    /// Ends a session and the access tokens of it.
    pub(super) async fn close(&self, caller: Option<&Caller>, id: SessionId) -> Result<(), AuthError> {
        self.tokens.revoke(&[Revoked::Session(id)]).await?;
        if let Some(session) = self.stores.sessions.end(id).await? {
            self.record("session.ended", caller, Some(session.user), Some(id)).await;
        }
        Ok(())
    }

    /// A genuine MAC is not all: the nonce must be the session's too, so that a leak of the secret alone ends nothing.
    async fn close_presented(&self, caller: &Caller, presented: &Presented) -> Result<(), AuthError> {
        let session = self.stores.sessions.find(presented.session).await?;
        match session {
            Some(session) if session.nonce_hash == presented.nonce_hash => self.close(Some(caller), session.id).await,
            _ => Ok(()),
        }
    }

    /// Begins a new epoch of the user and ends all that belongs to earlier ones.
    pub(super) async fn end_user(&self, user: UserId) -> Result<usize, AuthError> {
        // Taken before the epoch begins: a session opened after it carries a later moment in its id, and is not concerned.
        let moment = self.clock.now();
        self.stores.accounts.begin_epoch(user).await?;
        self.end_sessions(user, moment).await
    }

    /// Ends the sessions of a user whose epoch (or account) ended at or after `moment`, and their access tokens. Those opened while that was under way
    /// are not covered by the moment, so they are named one by one.
    pub(super) async fn end_sessions(&self, user: UserId, moment: Timestamp) -> Result<usize, AuthError> {
        self.tokens.revoke(&[Revoked::User(user, moment)]).await?;
        let ended = self.stores.sessions.end_all(user, None).await?;
        let late = ended.iter().copied().filter(|id| id.opened_at() > moment);
        self.revoke_sessions(late).await?;
        Ok(ended.len())
    }

    /// Ends the access tokens of sessions that are over.
    pub(super) async fn revoke_sessions(&self, ids: impl Iterator<Item = SessionId>) -> Result<(), AuthError> {
        let revoked: Vec<Revoked> = ids.map(Revoked::Session).collect();
        if revoked.is_empty() {
            return Ok(());
        }
        Ok(self.tokens.revoke(&revoked).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::SignedIn;
    use crate::auth::world::{World, caller};
    use crate::config::RevocationMode;

    async fn is_over(world: &World, signed_in: &SignedIn) -> bool {
        let kept = world.stores.sessions.find(signed_in.session.id).await.unwrap();
        let verdict = world.tokens.verify(&signed_in.access.jwt, RevocationMode::Strict).await;
        assert_eq!(
            kept.is_none(),
            verdict.is_err(),
            "a session and its tokens end together"
        );
        kept.is_none()
    }

    #[tokio::test]
    async fn either_token_ends_the_session_and_its_access_tokens() {
        let world = World::new().await;
        let first = world.signed_in().await;
        let second = world.again().await;
        world
            .auth
            .logout(&caller(), Some(&first.access.jwt), None)
            .await
            .unwrap();
        assert!(is_over(&world, &first).await && !is_over(&world, &second).await);
        world
            .auth
            .logout(&caller(), None, Some(second.refresh.expose()))
            .await
            .unwrap();
        assert!(is_over(&world, &second).await);
    }

    #[tokio::test]
    async fn an_expired_access_token_signs_out() {
        let world = World::new().await;
        let first = world.signed_in().await;
        world.clock.advance(std::time::Duration::from_secs(3600));
        world
            .auth
            .logout(&caller(), Some(&first.access.jwt), None)
            .await
            .unwrap();
        assert!(is_over(&world, &first).await);
    }

    #[tokio::test]
    async fn signing_out_works_when_already_signed_out_and_with_nothing_genuine() {
        let world = World::new().await;
        let first = world.signed_in().await;
        for _ in 0..2 {
            let (access, refresh) = (Some(first.access.jwt.as_str()), Some(first.refresh.expose()));
            world.auth.logout(&caller(), access, refresh).await.unwrap();
        }
        world.auth.logout(&caller(), None, None).await.unwrap();
        world.auth.logout(&caller(), Some("x"), Some("y")).await.unwrap();
    }

    #[tokio::test]
    async fn a_sign_out_that_failed_can_be_asked_for_again() {
        let world = World::new().await;
        let first = world.signed_in().await;
        world.sessions.set_down(true);
        let failed = world.auth.logout(&caller(), Some(&first.access.jwt), None).await;
        assert!(matches!(failed, Err(AuthError::Store(_))));
        world.sessions.set_down(false);
        world
            .auth
            .logout(&caller(), Some(&first.access.jwt), None)
            .await
            .unwrap();
        assert!(is_over(&world, &first).await);
    }

    #[tokio::test]
    async fn a_global_sign_out_ends_every_session_and_none_that_is_opened_later() {
        let world = World::new().await;
        let first = world.signed_in().await;
        let second = world.again().await;
        world.auth.logout_all(&caller(), &first.access.identity).await.unwrap();
        assert!(is_over(&world, &first).await && is_over(&world, &second).await);
        world.clock.advance(std::time::Duration::from_millis(1));
        assert!(!is_over(&world, &world.again().await).await);
    }
}
