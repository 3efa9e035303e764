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
