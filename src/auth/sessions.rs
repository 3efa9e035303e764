//! A person's own sessions: seeing them, ending one of them.

use super::{Auth, AuthError, lives};
use crate::model::caller::Caller;
use crate::model::identity::Identity;
use crate::model::session::{Session, SessionId};

impl Auth {
    /// The user's sessions, newest first.
    pub async fn sessions(&self, who: &Identity) -> Result<Vec<Session>, AuthError> {
        let account = self.stores.accounts.find(who.user).await?;
        let user = account.ok_or(AuthError::SessionOver { dead: true })?.user;
        let now = self.clock.now();
        let mut sessions = self.stores.sessions.of_user(who.user, now).await?;
        sessions.retain(|session| lives(session, &user, now));
        Ok(sessions)
    }

    /// Ends one of the user's own sessions.
    pub async fn end_session(&self, caller: &Caller, who: &Identity, id: SessionId) -> Result<(), AuthError> {
        let session = self.stores.sessions.find(id).await?;
        if session.is_none_or(|session| session.user != who.user) {
            return Err(AuthError::NotFound);
        }
        self.close(Some(caller), id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::world::{World, caller};

    #[tokio::test]
    async fn one_sees_and_ends_ones_own_sessions_only() {
        let world = World::new().await;
        let (here, there) = (world.signed_in().await, world.again().await);
        world.register_as("ben@example.com").await;
        let ben = world.signed_in_as("ben@example.com").await;
        let (ada, ben) = (&here.access.identity, &ben.access.identity);

        assert_eq!(world.auth.sessions(ada).await.unwrap().len(), 2);
        let foreign = world.auth.end_session(&caller(), ben, there.session.id).await;
        assert!(matches!(foreign, Err(AuthError::NotFound)));
        world.auth.end_session(&caller(), ada, there.session.id).await.unwrap();
        let again = world.auth.end_session(&caller(), ada, there.session.id).await;
        assert!(matches!(again, Err(AuthError::NotFound)));
        let left: Vec<_> = world
            .auth
            .sessions(ada)
            .await
            .unwrap()
            .into_iter()
            .map(|s| s.id)
            .collect();
        assert_eq!(left, [here.session.id]);
    }

    #[tokio::test]
    async fn a_session_of_an_earlier_epoch_is_not_listed_though_the_store_still_holds_it() {
        let world = World::new().await;
        let here = world.signed_in().await;
        world.stores.accounts.begin_epoch(here.user.id).await.unwrap();
        assert!(world.auth.sessions(&here.access.identity).await.unwrap().is_empty());
        assert!(world.auth.me(&here.access.identity).await.is_err());
    }
}
