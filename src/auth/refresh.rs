//! A refresh token becomes its successor.
//!
//! The access token is signed before the refresh token is spent, so a failure to sign spends nothing; the rotation is one step in the store. What the
//! caller gets is always the token of the generation that the session then stands at, so that racers and repeats hold the same one.
//!
//! When may a browser lose its cookies over a refresh? Only when the session that its token names is certainly over: ended before or by this very call,
//! out of time, of an earlier epoch, of a user who is gone or disabled. A token whose MAC is not genuine, or whose nonce is another than its session's,
//! says nothing about the session that the browser is in, so it takes nothing away.

use super::{Auth, AuthError, SignedIn};
use crate::config::OnReuse;
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::session::Session;
use crate::model::user::User;
use crate::store::ephemeral::Revoked;
use crate::store::sessions::{Rotate, Rotation};
use crate::token::refresh::Presented;

/// How a refresh ended, in the words of `gateward_refresh_total`.
struct Told<T> {
    word: &'static str,
    result: Result<T, AuthError>,
}

impl Auth {
    /// Exchanges a refresh token for its successor and a new access token.
    pub async fn refresh(&self, caller: &Caller, refresh_token: &str) -> Result<SignedIn, AuthError> {
        let Told { word, result } = match self.tokens.read_refresh(refresh_token) {
            Some(presented) => self.exchange(caller, &presented).await?,
            None => over("unknown", false),
        };
        self.metrics.refresh(word);
        result
    }

    async fn exchange(&self, caller: &Caller, presented: &Presented) -> Result<Told<SignedIn>, AuthError> {
        let Some(session) = self.stores.sessions.find(presented.session).await? else {
            return Ok(over("unknown", true));
        };
        if session.nonce_hash != presented.nonce_hash {
            return Ok(over("unknown", false));
        }
        let Some(user) = self.entitled(&session).await? else {
            self.close(Some(caller), session.id).await?;
            return Ok(over("expired", true));
        };
        let now = self.clock.now();
        let access = self.tokens.issue(&user, &self.as_renewed(session, now))?;
        let request = Rotate {
            id: presented.session,
            nonce_hash: presented.nonce_hash,
            presented: presented.generation,
            now,
            reuse_window: self.lifetimes.reuse_window,
            idle: self.lifetimes.idle,
        };
        let (word, session) = match self.stores.sessions.rotate(&request).await? {
            Rotation::Rotated(session) => ("rotated", session),
            Rotation::Repeated(session) => ("repeated", session),
            Rotation::Replaced(session) => ("replaced", session),
            Rotation::Reused(session) => {
                self.end_reused(caller, &session).await;
                return Ok(over("reused", true));
            }
            Rotation::Expired => return Ok(over("expired", true)),
            // It was there a moment ago and its nonce was right: it has just been ended.
            Rotation::Unknown => return Ok(over("unknown", true)),
        };
        let refresh = presented.successor(session.current);
        let signed_in = SignedIn {
            user,
            session,
            access,
            refresh,
        };
        Ok(Told {
            word,
            result: Ok(signed_in),
        })
    }

    /// The user behind a session, read anew, if they may still use it.
    async fn entitled(&self, session: &Session) -> Result<Option<User>, AuthError> {
        let account = self.stores.accounts.find(session.user).await?;
        let user = account.map(|account| account.user);
        Ok(user.filter(|user| user.disabled_at.is_none() && user.epoch == session.epoch))
    }

    /// The session as it stands once it is rotated: an access token must not be cut short by the idle limit that this very refresh moves.
    fn as_renewed(&self, session: Session, now: Timestamp) -> Session {
        Session {
            last_used_at: now,
            idle_expires_at: now.plus(self.lifetimes.idle).min(session.expires_at),
            ..session
        }
    }

    /// The store has ended the session in the step that found the reuse; now its access tokens end, and where the settings say so, all the user's
    /// sessions. The answer is the same should that fail: it cannot be asked for again, so it is logged as an error.
    async fn end_reused(&self, caller: &Caller, session: &Session) {
        self.record("refresh.reused", Some(caller), Some(session.user), Some(session.id));
        let revoked = self.tokens.revoke(&[Revoked::Session(session.id)]).await;
        let ended = match self.lifetimes.on_reuse {
            OnReuse::Family => Ok(0),
            OnReuse::User => self.end_user(session.user).await,
        };
        if let Err(error) = revoked.map_err(AuthError::from).and(ended) {
            tracing::error!(%error, session.id = %session.id, "a refresh token was used again, but not all that it opened could be ended");
        }
    }
}

fn over<T>(word: &'static str, dead: bool) -> Told<T> {
    Told {
        word,
        result: Err(AuthError::SessionOver { dead }),
    }
}
