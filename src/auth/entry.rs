//! The one way in. Whatever somebody proved first, a password, a passkey, a sign-in elsewhere, ends at `proven`, which lets them in or asks for the
//! second factor that their account has.

use std::time::Duration;

use super::devices::Device;
use super::notice::Notice;
use super::second_step::SecondStep;
use super::throttle::AccountKey;
use super::{Auth, AuthError, SignedIn};
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::proof::Proof;
use crate::model::secret;
use crate::model::session::{Generation, Session, SessionId};
use crate::model::user::User;
use crate::store::ephemeral::Revoked;

/// How long an account is so new that every device is.
const NEW_FOR: Duration = Duration::from_secs(60 * 60);

/// What comes of a first factor.
pub enum Entered {
    /// They are in.
    SignedIn(Box<SignedIn>),
    /// Their account has a second factor, which they are asked for.
    SecondStep(SecondStep),
}

impl Entered {
    /// Who is in, if somebody is.
    pub fn signed_in(self) -> Option<SignedIn> {
        match self {
            Self::SignedIn(signed_in) => Some(*signed_in),
            Self::SecondStep(_) => None,
        }
    }
}

impl Auth {
    /// Lets somebody in who has proved that an account is theirs, or asks for its second factor. A proof that is two factors by itself suffices.
    pub(super) async fn proven(&self, caller: &Caller, user: User, proof: Proof) -> Result<Entered, AuthError> {
        self.proven_at(caller, user, proof, self.clock.now()).await
    }

    /// The same for a proof that may be older: a provider remembers people.
    pub(super) async fn proven_at(
        &self,
        caller: &Caller,
        user: User,
        proof: Proof,
        at: Timestamp,
    ) -> Result<Entered, AuthError> {
        if !proof.is_multi()
            && let Some(step) = self.second_step_of(&user, &proof, None).await?
        {
            self.record("login.second_step", Some(caller), Some(user.id), None)
                .await;
            return Ok(Entered::SecondStep(step));
        }
        let signed_in = self.open_session(caller, user, proof, at).await?;
        let signed_in = self.welcome(caller, signed_in).await?;
        Ok(Entered::SignedIn(Box::new(signed_in)))
    }

    /// What is remembered of a sign-in that is complete, here and in the browser.
    pub(super) async fn welcome(&self, caller: &Caller, signed_in: SignedIn) -> Result<SignedIn, AuthError> {
        let (user, session, now) = (&signed_in.user, signed_in.session.id, self.clock.now());
        let account = AccountKey::of(&user.email);
        let device = match self.known_device(caller, &account) {
            Some(known) => known,
            None => {
                self.tell_of_new_device(caller, user, &account).await;
                Device::named(now)?
            }
        };
        let word = self.vault.devices.word(device, &account, now);
        self.throttle.remember(caller, &account).await;
        self.record("login.succeeded", Some(caller), Some(user.id), Some(session))
            .await;
        Ok(SignedIn {
            device: Some(word),
            ..signed_in
        })
    }

    /// Whoever made the account a moment ago need not be told of their first sign-ins.
    async fn tell_of_new_device(&self, caller: &Caller, user: &User, account: &AccountKey) {
        let is_new = self.clock.now().since(user.created_at) < NEW_FOR;
        if self.mail.is_some() && !is_new && !self.throttle.knows(caller, account).await {
            self.notify(Some(caller), &user.email, Notice::NewDevice).await;
        }
    }

    /// Opens a session for somebody who has proved themselves at a moment, and makes its first tokens.
    ///
    /// The tokens are made before the session is kept, so that a failure to sign leaves nothing behind. The account is read again afterwards: a password
    /// change, a global sign-out or a disabling that came in between has either begun the epoch by now, or will find the session and end it.
    pub(super) async fn open_session(
        &self,
        caller: &Caller,
        user: User,
        proof: Proof,
        at: Timestamp,
    ) -> Result<SignedIn, AuthError> {
        let now = self.clock.now();
        let id = SessionId(secret::uuid_v7(now)?);
        let (refresh, nonce_hash) = self.tokens.first_refresh_token(id)?;
        let expires_at = now.plus(self.lifetimes.absolute);
        let session = Session {
            id,
            user: user.id,
            epoch: user.epoch,
            created_at: now,
            last_used_at: now,
            expires_at,
            idle_expires_at: now.plus(self.lifetimes.idle).min(expires_at),
            auth_time: at,
            amr: proof.into_amr(),
            ip: Some(caller.ip),
            user_agent: caller.user_agent.to_string(),
            nonce_hash,
            current: Generation::FIRST,
            previous: None,
            rotated_at: now,
        };
        let access = self.tokens.issue(&user, &session)?;
        let stands = self.stores.open_pair(&session).await?;
        if !stands.is_some_and(|account| super::lives(&session, &account.user, now)) {
            self.stores.sessions.end(id).await?;
            self.tokens.revoke(&[Revoked::Session(id)]).await?;
            return Err(AuthError::InvalidCredentials);
        }
        Ok(SignedIn {
            user,
            session,
            access,
            refresh,
            device: None,
        })
    }

    /// Takes back a session whose tokens nobody has seen. Best effort: what is left of it nobody can use.
    pub(super) async fn take_back(&self, unseen: &SignedIn) {
        if let Err(error) = self.stores.sessions.end(unseen.session.id).await {
            tracing::warn!(%error, session.id = %unseen.session.id, "a session that was not given out could not be ended");
        }
    }
}
