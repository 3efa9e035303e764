//! A refresh token becomes its successor.
//!
//! The access token is signed before the refresh token is spent, so a failure to sign spends nothing; the rotation is one step in the store. What the
//! caller gets is always the token of the generation that the session then stands at, so that racers and repeats hold the same one.
//!
//! When may a browser lose its cookies over a refresh? Only when the session that its token names is certainly over: ended before or by this very call,
//! out of time, of an earlier epoch, of a user who is gone or disabled. A token whose MAC is not genuine, or whose nonce is another than its session's,
//! says nothing about the session that the browser is in, so it takes nothing away.

use super::notice::Notice;
use super::{Auth, AuthError, SignedIn};
use crate::config::OnReuse;
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::credential::Account;
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
        self.telemetry.metrics.refresh(word);
        result
    }

    async fn exchange(&self, caller: &Caller, presented: &Presented) -> Result<Told<SignedIn>, AuthError> {
        let Some((session, account)) = self.stores.find_pair(presented.session).await? else {
            return Ok(over("unknown", true));
        };
        if session.nonce_hash != presented.nonce_hash {
            return Ok(over("unknown", false));
        }
        // A store that lost its last writes brings back what was ended; what is known to have ended stays so.
        if self.tokens.has_ended(session.id) {
            self.close(Some(caller), session.id).await?;
            return Ok(over("unknown", true));
        }
        let Some(user) = entitled(account, &session) else {
            self.close(Some(caller), session.id).await?;
            return Ok(over("expired", true));
        };
        let now = self.clock.now();
        // Without a whole second left there is no token to be made (RFC 7519 §2: dates in seconds).
        if session.is_over(now) || session.expires_at.as_secs() <= now.as_secs() {
            self.close(Some(caller), session.id).await?;
            return Ok(over("expired", true));
        }
        let access = self.tokens.issue(&user, &self.as_renewed(session.clone(), now))?;
        let request = Rotate {
            id: presented.session,
            nonce_hash: presented.nonce_hash,
            presented: presented.generation,
            now,
            reuse_window: self.lifetimes.reuse_window,
            idle: self.lifetimes.idle,
        };
        let (word, session) = match self.stores.sessions.rotate_seen(&request, session).await? {
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
            device: None,
        };
        Ok(Told {
            word,
            result: Ok(signed_in),
        })
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
        let written = self.record("refresh.reused", Some(caller), Some(session.user), Some(session.id));
        let revoked = self.tokens.revoke(&[Revoked::Session(session.id)]).await;
        let ended = match self.lifetimes.on_reuse {
            OnReuse::Family => Ok(0),
            OnReuse::User => self.end_user(session.user).await,
        };
        if let Err(error) = revoked.map_err(AuthError::from).and(ended) {
            tracing::error!(%error, session.id = %session.id, "a refresh token was used again, but not all that it opened could be ended");
        }
        self.notify_user(Some(caller), session.user, Notice::SessionsEndedByReuse)
            .await;
        written.await;
    }
}

/// The user behind a session, if they may still use it.
fn entitled(account: Option<Account>, session: &Session) -> Option<User> {
    let user = account.map(|account| account.user);
    user.filter(|user| session.is_open_to(user))
}

fn over<T>(word: &'static str, dead: bool) -> Told<T> {
    Told {
        word,
        result: Err(AuthError::SessionOver { dead }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::auth::world::{World, caller};
    use crate::config::RevocationMode;
    use crate::token::Rejected;

    const SECOND: Duration = Duration::from_secs(1);

    async fn next(world: &World, token: &SignedIn) -> SignedIn {
        world.auth.refresh(&caller(), token.refresh.expose()).await.unwrap()
    }

    #[track_caller]
    fn is_over<T>(outcome: Result<T, AuthError>, dead: bool) {
        match outcome {
            Err(AuthError::SessionOver { dead: told }) => assert_eq!(told, dead),
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("the session lives"),
        }
    }

    async fn refused(world: &World, token: &SignedIn) {
        is_over(world.auth.refresh(&caller(), token.refresh.expose()).await, true);
    }

    async fn is_revoked(world: &World, token: &SignedIn) -> bool {
        let verdict = world.tokens.verify(&token.access.jwt, RevocationMode::Strict).await;
        matches!(verdict, Err(Rejected::Revoked))
    }

    #[tokio::test]
    async fn a_current_token_rotates_and_the_previous_one_is_answered_with_the_same_successor() {
        let world = World::new().await;
        let first = world.signed_in().await;
        let second = next(&world, &first).await;
        assert_ne!(first.refresh, second.refresh);
        world.clock.advance(19 * SECOND);
        let again = next(&world, &first).await;
        assert!(again.refresh == second.refresh);
        assert_eq!(world.refreshes(), "repeated=1 rotated=1");
    }

    #[tokio::test]
    async fn two_hundred_racers_hold_one_successor() {
        let world = World::new().await;
        let first = world.signed_in().await;
        let racers = (0..200).map(|_| next(&world, &first));
        let successors = futures_util::future::join_all(racers).await;
        assert!(successors.iter().all(|s| s.refresh == successors[0].refresh));
        assert_eq!(world.refreshes(), "repeated=199 rotated=1");
    }

    #[tokio::test]
    async fn the_previous_token_after_the_window_skips_one_and_the_skipped_one_is_reuse() {
        let world = World::new().await;
        let first = world.signed_in().await;
        let skipped = next(&world, &first).await;
        world.clock.advance(21 * SECOND);
        let third = next(&world, &first).await;
        assert_eq!(third.session.current.0, skipped.session.current.0 + 1);
        refused(&world, &skipped).await;
        refused(&world, &third).await;
        assert!(is_revoked(&world, &third).await);
    }

    #[tokio::test]
    async fn a_reused_refresh_token_ends_the_family_and_nothing_else() {
        let world = World::new().await;
        let other = world.signed_in().await;
        let first = world.again().await;
        let second = next(&world, &first).await;
        let third = next(&world, &second).await;
        refused(&world, &first).await;
        refused(&world, &third).await;
        assert!(is_revoked(&world, &third).await && !is_revoked(&world, &other).await);
        next(&world, &other).await;
    }

    #[tokio::test]
    async fn where_the_settings_say_so_a_reuse_ends_all_of_the_users_sessions() {
        let world = World::with(|tokens| tokens.on_reuse = OnReuse::User).await;
        let other = world.signed_in().await;
        let first = world.again().await;
        let second = next(&world, &first).await;
        next(&world, &second).await;
        refused(&world, &first).await;
        assert!(is_revoked(&world, &other).await);
        refused(&world, &other).await;
    }

    #[tokio::test]
    async fn a_token_that_is_not_genuine_ends_nothing_and_clears_nothing() {
        let world = World::new().await;
        let first = world.signed_in().await;
        let mut forged = first.refresh.expose().to_owned();
        forged.replace_range(30..31, if forged.as_bytes()[30] == b'A' { "B" } else { "A" });
        for text in [forged.as_str(), "", "nonsense"] {
            is_over(world.auth.refresh(&caller(), text).await, false);
        }
        next(&world, &first).await;
    }

    #[tokio::test]
    async fn a_store_that_fails_spends_nothing() {
        let world = World::new().await;
        let first = world.signed_in().await;
        world.sessions.set_down(true);
        let failed = world.auth.refresh(&caller(), first.refresh.expose()).await;
        assert!(matches!(failed, Err(AuthError::Store(_))));
        world.sessions.set_down(false);
        next(&world, &first).await;
        assert_eq!(world.refreshes(), "rotated=1");
    }

    #[tokio::test]
    async fn roles_are_read_anew() {
        let world = World::new().await;
        let first = world.signed_in().await;
        world
            .auth
            .set_roles("ada@example.com", &["staff".parse().unwrap()])
            .await
            .unwrap();
        let second = next(&world, &first).await;
        assert_eq!(second.access.identity.roles, ["staff".parse().unwrap()]);
    }

    #[tokio::test]
    async fn a_disabled_user_is_refused_at_once_and_stays_so_when_enabled_again() {
        let world = World::new().await;
        let first = world.signed_in().await;
        world.auth.disable("ada@example.com").await.unwrap();
        assert!(is_revoked(&world, &first).await);
        refused(&world, &first).await;
        world.auth.enable("ada@example.com").await.unwrap();
        refused(&world, &first).await;
    }

    #[tokio::test]
    async fn an_epoch_holds_whatever_the_sessions_store_has_kept() {
        let world = World::new().await;
        let first = world.signed_in().await;
        world.stores.accounts.begin_epoch(first.user.id).await.unwrap();
        refused(&world, &first).await;
        assert_eq!(world.stores.sessions.find(first.session.id).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_session_that_was_ended_stays_so_when_a_store_that_lost_writes_brings_it_back() {
        let world = World::new().await;
        let first = world.signed_in().await;
        world.auth.end_session_by_id(first.session.id).await.unwrap();
        world.stores.sessions.open(&first.session).await.unwrap();
        refused(&world, &first).await;
        assert_eq!(world.stores.sessions.find(first.session.id).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_session_is_over_when_unused_and_at_its_longest_life() {
        let world = World::with(|tokens| tokens.refresh_absolute = 20 * 24 * 3600 * SECOND).await;
        let unused = world.signed_in().await;
        let mut used = world.again().await;
        for _ in 0..19 {
            world.clock.advance(24 * 3600 * SECOND);
            used = next(&world, &used).await;
        }
        refused(&world, &unused).await;
        world.clock.advance(24 * 3600 * SECOND - Duration::from_millis(1));
        refused(&world, &used).await;
        assert!(world.refreshes().starts_with("expired=2"));
    }
}
