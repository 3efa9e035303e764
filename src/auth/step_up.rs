//! Step-up: somebody who is signed in proves more, or once more, and their session goes on with it.
//!
//! Only what is missing is asked for: the second factor where the account has one, the password otherwise. The session keeps its name and its refresh
//! token; its record says from then on when and how the person proved themselves, and so does every access token made from it.

use std::time::Duration;

use super::second_step::SecondStep;
use super::{Auth, AuthError, lives};
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::credential::Password;
use crate::model::identity::Identity;
use crate::model::proof::Proof;
use crate::model::session::{Session, SessionId};
use crate::model::user::User;
use crate::token::AccessToken;

/// What is wanted of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Two factors.
    pub two: bool,
    /// A proof that is no older.
    pub max_age: Option<Duration>,
}

impl Wanted {
    /// A proof here and now, of whatever the account asks for.
    pub const ONCE_MORE: Self = Self {
        two: false,
        max_age: Some(Duration::ZERO),
    };
}

/// A session after a step-up.
#[derive(Clone)]
pub struct Raised {
    /// Whose.
    pub user: User,
    /// The session as it stands.
    pub session: Session,
    /// An access token that says so.
    pub access: AccessToken,
}

/// What has to be done for it.
pub enum Missing {
    /// Nothing: the session says so already, and so does this token of it.
    Nothing(Box<Raised>),
    /// The second factor.
    SecondStep(SecondStep),
    /// The password.
    Password,
    /// A second factor that the account does not have.
    Factor,
    /// A sign-in anew, of whatever kind: there is no password to ask for.
    SignIn,
}

impl Auth {
    /// What a session lacks of what is wanted; begins the second step, if that is it.
    pub async fn missing(&self, who: &Identity, wanted: Wanted) -> Result<Missing, AuthError> {
        let (user, session) = self.me(who).await?;
        let proof = Proof::remembered(session.amr.clone());
        // As a token says it, in whole seconds: else what the gate finds too old is new enough here, and a person goes round between the two.
        let told = Timestamp::from_secs(session.auth_time.as_secs());
        let age = self.clock.now().since(told);
        if (proof.is_multi() || !wanted.two) && wanted.max_age.is_none_or(|most| age < most) {
            let access = self.tokens.issue(&user, &session)?;
            return Ok(Missing::Nothing(Box::new(Raised { user, session, access })));
        }
        if let Some(step) = self.second_step_of(&user, &proof, Some(session.id)).await? {
            return Ok(Missing::SecondStep(step));
        }
        if wanted.two {
            return Ok(Missing::Factor);
        }
        let has_password = self.has_password(who).await?;
        Ok(if has_password {
            Missing::Password
        } else {
            Missing::SignIn
        })
    }

    /// The password once more. An account with a second factor is asked for that as well.
    pub async fn prove_again(
        &self,
        caller: &Caller,
        who: &Identity,
        password: Password,
    ) -> Result<Result<Raised, SecondStep>, AuthError> {
        let account = self.stores.accounts.find(who.user).await?;
        let account = account.ok_or(AuthError::SessionOver { dead: true })?;
        // Asked before anything is counted: should the sessions store be away, nothing is spent.
        let (user, session) = self.me(who).await?;
        // A recent sign-in proves nothing anew: who has no password signs in again.
        self.prove_by_password(caller, &account, password).await?;
        let proof = Proof::remembered(session.amr).and(&["pwd"]);
        if let Some(step) = self.second_step_of(&user, &proof, Some(session.id)).await? {
            return Ok(Err(step));
        }
        self.raise(caller, user, session.id, proof).await.map(Ok)
    }

    /// Notes a proof in a session, and makes an access token that says so.
    pub(super) async fn raise(
        &self,
        caller: &Caller,
        user: User,
        session: SessionId,
        proof: Proof,
    ) -> Result<Raised, AuthError> {
        let now = self.clock.now();
        let proven = self.stores.sessions.prove(session, now, &proof.into_amr()).await?;
        let session = proven.filter(|session| lives(session, &user, now));
        let session = session.ok_or(AuthError::SessionOver { dead: true })?;
        let access = self.tokens.issue(&user, &session)?;
        self.record("session.proven", Some(caller), Some(user.id), Some(session.id))
            .await;
        Ok(Raised { user, session, access })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::second_step::{Completed, Typed};
    use crate::auth::world::{World, caller, password};
    use crate::model::clock::Clock as _;
    use crate::model::credential::PasswordHash;
    use crate::model::session::Amr;

    const TWO: Wanted = Wanted {
        two: true,
        max_age: None,
    };

    async fn step(world: &World, who: &Identity) -> SecondStep {
        match world.auth.missing(who, TWO).await.unwrap() {
            Missing::SecondStep(step) => step,
            _ => panic!("no second step is asked for"),
        }
    }

    #[tokio::test]
    async fn a_session_is_asked_for_what_it_lacks_and_for_nothing_else() {
        let world = World::new().await;
        let who = world.signed_in().await.access.identity;
        let recent = |secs| Wanted {
            two: false,
            max_age: Some(Duration::from_secs(secs)),
        };
        assert!(matches!(
            world.auth.missing(&who, recent(60)).await,
            Ok(Missing::Nothing(_))
        ));
        world.clock.advance(Duration::from_secs(60));
        assert!(matches!(
            world.auth.missing(&who, recent(60)).await,
            Ok(Missing::Password)
        ));
        assert!(matches!(world.auth.missing(&who, TWO).await, Ok(Missing::Factor)));
    }

    #[tokio::test]
    async fn whoever_has_no_password_proves_nothing_by_one_however_recent_their_sign_in() {
        let world = World::new().await;
        let who = world.signed_in().await.access.identity;
        let accounts = &world.stores.accounts;
        let had = accounts.find(who.user).await.unwrap().unwrap().password;
        assert!(
            accounts
                .rehash_password(who.user, &had, &PasswordHash::none())
                .await
                .unwrap()
        );
        let proven = world.auth.prove_again(&caller(), &who, password()).await;
        assert!(matches!(proven, Err(AuthError::InvalidCredentials)));
    }

    #[tokio::test]
    async fn what_the_gate_finds_too_old_is_asked_for_and_not_sent_back_to_it() {
        let world = World::new().await;
        let who = world.signed_in().await.access.identity;
        let most = Duration::from_secs(60);
        world.clock.advance(most - Duration::from_millis(200));
        assert!(
            world.clock.now().since(who.auth_time) > most,
            "the token has grown too old"
        );
        let wanted = Wanted {
            two: false,
            max_age: Some(most),
        };
        assert!(matches!(world.auth.missing(&who, wanted).await, Ok(Missing::Password)));
    }

    #[tokio::test]
    async fn the_password_once_more_moves_the_session_and_a_wrong_one_does_not() {
        let world = World::new().await;
        let signed_in = world.signed_in().await;
        let who = &signed_in.access.identity;
        world.clock.advance(Duration::from_secs(3600));
        let wrong = Password::new("not the right password".to_owned());
        let refused = world.auth.prove_again(&caller(), who, wrong).await;
        assert!(matches!(refused, Err(AuthError::InvalidCredentials)));
        let stands = world.stores.sessions.find(signed_in.session.id).await.unwrap().unwrap();
        assert_eq!(stands.auth_time, signed_in.session.auth_time);

        let Ok(Ok(raised)) = world.auth.prove_again(&caller(), who, password()).await else {
            panic!("the right password was refused")
        };
        assert_eq!(raised.session.auth_time, world.clock.now());
        assert_eq!(raised.access.identity.session, who.session);
        // A renewal tells the same, and no more.
        world.clock.advance(Duration::from_secs(60));
        let renewed = world.auth.refresh(&caller(), signed_in.refresh.expose()).await.unwrap();
        assert_eq!(renewed.session.auth_time, raised.session.auth_time);
    }

    #[tokio::test]
    async fn a_second_factor_raises_the_session_that_asked_and_no_other() {
        let world = World::new().await;
        let (_, app, codes) = world.with_app().await;
        // Sessions from before: each has shown the password.
        let (here, there) = (world.older_session().await, world.older_session().await);
        world.clock.advance(Duration::from_secs(30));
        let asked = step(&world, &here.access.identity).await;
        let code = app.code(world.clock.now());
        let Ok(Completed::Raised(raised)) = world
            .auth
            .take_second_step(&caller(), &asked.token, Typed::Totp(&code))
            .await
        else {
            panic!("the right code was refused")
        };
        assert_eq!(raised.session.id, here.session.id);
        assert!(raised.access.identity.amr.contains(&Amr("mfa".to_owned())));
        let other = world.stores.sessions.find(there.session.id).await.unwrap().unwrap();
        assert!(!other.amr.contains(&Amr("mfa".to_owned())));
        // A used code raises nothing.
        let asked = step(&world, &there.access.identity).await;
        let used = world
            .auth
            .take_second_step(&caller(), &asked.token, Typed::Totp(&code))
            .await;
        assert!(matches!(used, Err(AuthError::WrongCode)));
        // Nor does a right one, once the session has ended.
        world.auth.end_session_by_id(there.session.id).await.unwrap();
        let over = world
            .auth
            .take_second_step(&caller(), &asked.token, Typed::Recovery(&codes[0]))
            .await;
        assert!(matches!(over, Err(AuthError::StepOver)));
    }
}
