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
        self.record("session.ended_all", Some(caller), Some(who.user), Some(who.session));
        Ok(())
    }

    /// Ends a session and the access tokens of it.
    pub(super) async fn close(&self, caller: Option<&Caller>, id: SessionId) -> Result<(), AuthError> {
        self.tokens.revoke(&[Revoked::Session(id)]).await?;
        if let Some(session) = self.stores.sessions.end(id).await? {
            self.record("session.ended", caller, Some(session.user), Some(id));
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
