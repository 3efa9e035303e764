//! The second step of a sign-in: between a right first factor and a session.
//!
//! Whoever proved the first factor gets an opaque token of 256 bits, good for five minutes and for nothing but this step; the store keeps what was
//! proved, sealed, under its hash. Five codes may be tried with it. So that endless beginnings give no endless guesses, codes are counted for the account as well.
//!
//! The order of the last moments matters: the session is opened first, then the token and the code are spent, each in one step of its store. So of any
//! number that bring the same code one gets in, and when a store fails nothing was spent and nobody has seen the session's tokens.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::devices::Device;
use super::passkey::Used;
use super::step_up::Raised;
use super::throttle::AccountKey;
use super::{Auth, AuthError, SignedIn};
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::factor::{Factor, FactorId, FactorKind};
use crate::model::proof::Proof;
use crate::model::secret;
use crate::model::session::{Amr, SessionId};
use crate::model::user::{Epoch, User, UserId};
use crate::store::factors::Advance;

/// How long the second step may take.
pub(super) const LIFE: Duration = Duration::from_secs(5 * 60);

/// What is asked for next.
#[derive(Clone)]
pub struct SecondStep {
    /// Stands for what was proved so far. To be kept like a password.
    pub token: String,
    /// The ways to go on.
    pub methods: Vec<FactorKind>,
    /// For how long.
    pub expires_in: Duration,
}

/// What comes of it.
pub enum Completed {
    /// Somebody is in.
    SignedIn(Box<SignedIn>),
    /// Somebody who was in has proved more.
    Raised(Box<Raised>),
}

/// A second factor as it is brought.
#[derive(Clone, Copy)]
pub enum Typed<'a> {
    /// A time-based code.
    Totp(&'a str),
    /// A recovery code.
    Recovery(&'a str),
    /// What a passkey answered.
    Passkey(&'a Used),
}

/// A second factor that was found right, and is still to be spent.
pub(super) struct Shown {
    /// Which one.
    pub(super) factor: FactorId,
    /// What its counter moves to. Of racers to one place, one is let in.
    pub(super) counter: u64,
    /// How it is told (RFC 8176).
    pub(super) words: &'static [&'static str],
}

/// A second step that somebody has come to take, with everything it is judged by.
pub(super) struct Taken {
    key: String,
    pending: Pending,
    pub(super) user: User,
    /// The device that tries, if the account knows it.
    pub(super) device: Option<Device>,
    pub(super) factors: Vec<Factor>,
}

/// What the store keeps of it.
#[derive(Clone, Serialize, Deserialize)]
struct Pending {
    user: UserId,
    epoch: Epoch,
    amr: Vec<Amr>,
    /// The session that goes on with it; without one, a new one begins.
    session: Option<SessionId>,
    /// In milliseconds.
    until: u64,
}

impl Auth {
    /// The second step that an account asks for after such a proof, which a session goes on with or opens with; `None`: it has no second factor.
    pub(super) async fn second_step_of(
        &self,
        user: &User,
        proof: &Proof,
        session: Option<SessionId>,
    ) -> Result<Option<SecondStep>, AuthError> {
        let methods = methods(&self.stores.factors.of_user(user.id).await?);
        if methods.is_empty() {
            return Ok(None);
        }
        let until = self.clock.now().plus(LIFE);
        let pending = Pending {
            user: user.id,
            epoch: user.epoch,
            amr: proof.clone().into_amr(),
            session,
            until: until.as_millis(),
        };
        let token = URL_SAFE_NO_PAD.encode(secret::random::<32>()?);
        self.keep_pending(&key_of(&token), &pending).await?;
        Ok(Some(SecondStep {
            token,
            methods,
            expires_in: LIFE,
        }))
    }

    /// The ways to take a second step, for whoever shows its form once more.
    pub async fn second_step_methods(&self, token: &str) -> Result<Vec<FactorKind>, AuthError> {
        Ok(methods(&self.second_step_factors(token).await?))
    }

    /// What they could be taken with.
    pub(super) async fn second_step_factors(&self, token: &str) -> Result<Vec<Factor>, AuthError> {
        let pending = self.pending(&key_of(token)).await?;
        Ok(self.stores.factors.of_user(pending.user).await?)
    }

    /// Takes the second step with a code.
    pub async fn take_second_step(
        &self,
        caller: &Caller,
        token: &str,
        typed: Typed<'_>,
    ) -> Result<Completed, AuthError> {
        let outcome = self.try_second_step(caller, token, typed).await;
        let outcome = self.paced(outcome).await;
        self.telemetry.metrics.login(match &outcome {
            Ok(_) => "succeeded",
            Err(AuthError::WrongCode | AuthError::StepOver) => "refused",
            Err(AuthError::RateLimited { .. }) => "limited",
            Err(_) => "failed",
        });
        outcome
    }

    async fn try_second_step(&self, caller: &Caller, token: &str, typed: Typed<'_>) -> Result<Completed, AuthError> {
        let taken = self.come_to_second_step(caller, token).await?;
        let shown = match typed {
            Typed::Totp(code) => self.totp_shown(caller, &taken, code).await?,
            Typed::Recovery(code) => self.recovery_shown(&taken, code),
            Typed::Passkey(response) => self.passkey_shown(caller, token, &taken, response).await?,
        };
        match shown {
            Some(shown) => self.complete(caller, taken, shown).await,
            None => Err(self.wrong_code(caller, taken.user.id).await),
        }
    }

    /// Counts one try, and reads what it is judged by. Whatever the second factor is, this comes before it is looked at.
    pub(super) async fn come_to_second_step(&self, caller: &Caller, token: &str) -> Result<Taken, AuthError> {
        self.throttle.admit_source(caller).await?;
        let key = key_of(token);
        let pending = self.pending(&key).await?;
        if self.throttle.admit_to_step(&key).await.is_err() {
            self.stores.ephemeral.take(&key, self.clock.now()).await?;
            return Err(AuthError::StepOver);
        }
        let account = self.stores.accounts.find(pending.user).await?;
        let user = account.map(|account| account.user);
        let user = user.filter(|user| user.epoch == pending.epoch && user.disabled_at.is_none());
        let user = user.ok_or(AuthError::StepOver)?;
        let device = self.known_device(caller, &AccountKey::of(&user.email));
        if let Err(refusal) = self.throttle.admit_code(user.id, device).await {
            self.record("second_step.limited", Some(caller), Some(user.id), None)
                .await;
            return Err(refusal);
        }
        Ok(Taken {
            factors: self.stores.factors.of_user(user.id).await?,
            user,
            device,
            key,
            pending,
        })
    }

    /// Lets somebody in whose second factor is right, unless it was used by now.
    pub(super) async fn complete(&self, caller: &Caller, taken: Taken, shown: Shown) -> Result<Completed, AuthError> {
        let proof = Proof::remembered(taken.pending.amr.clone()).with_second(shown.words);
        match taken.pending.session {
            None => {
                let signed_in = self.complete_sign_in(caller, taken, &shown, proof).await?;
                Ok(Completed::SignedIn(Box::new(signed_in)))
            }
            Some(session) => {
                let raised = self.complete_step_up(caller, taken, &shown, session, proof).await?;
                Ok(Completed::Raised(Box::new(raised)))
            }
        }
    }

    async fn complete_sign_in(
        &self,
        caller: &Caller,
        taken: Taken,
        shown: &Shown,
        proof: Proof,
    ) -> Result<SignedIn, AuthError> {
        let Taken { key, pending, user, .. } = taken;
        let signed_in = self.open_session(caller, user, proof, self.clock.now()).await?;
        match self.spend(&key, &pending, shown).await {
            Ok(true) => self.welcome(caller, signed_in).await,
            Ok(false) => {
                self.take_back(&signed_in).await;
                Err(self.wrong_code(caller, pending.user).await)
            }
            Err(error) => {
                self.take_back(&signed_in).await;
                Err(error)
            }
        }
    }

    /// Here the code is spent first: a session must not be raised by one that was used.
    async fn complete_step_up(
        &self,
        caller: &Caller,
        taken: Taken,
        shown: &Shown,
        session: SessionId,
        proof: Proof,
    ) -> Result<Raised, AuthError> {
        let Taken { key, pending, user, .. } = taken;
        let lives = self.stores.sessions.find(session).await?;
        if !lives.is_some_and(|session| super::lives(&session, &user, self.clock.now())) {
            return Err(AuthError::StepOver);
        }
        if !self.spend(&key, &pending, shown).await? {
            return Err(self.wrong_code(caller, pending.user).await);
        }
        self.raise(caller, user, session, proof).await
    }

    /// Spends token and factor, both or none. `false`: the factor was used before.
    async fn spend(&self, key: &str, pending: &Pending, shown: &Shown) -> Result<bool, AuthError> {
        let now = self.clock.now();
        let taken = self.stores.ephemeral.take(key, now).await?;
        taken.ok_or(AuthError::StepOver)?;
        let factors = &self.stores.factors;
        let moved = factors.advance(pending.user, shown.factor, shown.counter, now).await;
        if matches!(moved, Ok(Advance::Advanced)) {
            return Ok(true);
        }
        // The step is not over for it: another code may still be right.
        if let Err(error) = self.keep_pending(key, pending).await {
            tracing::warn!(%error, "a second step that was not taken could not be put back");
        }
        Ok(moved.map(|_| false)?)
    }

    /// The refusal of a code, written down.
    async fn wrong_code(&self, caller: &Caller, user: UserId) -> AuthError {
        self.record("second_step.refused", Some(caller), Some(user), None).await;
        AuthError::WrongCode
    }

    async fn pending(&self, key: &str) -> Result<Pending, AuthError> {
        let kept = self.stores.ephemeral.peek(key, self.clock.now()).await?;
        let opened = kept.and_then(|kept| self.vault.open_step(key, &kept).ok());
        opened
            .and_then(|opened| serde_json::from_slice(&opened).ok())
            .ok_or(AuthError::StepOver)
    }

    async fn keep_pending(&self, key: &str, pending: &Pending) -> Result<(), AuthError> {
        let value = serde_json::to_vec(pending).unwrap_or_default();
        let sealed = self.vault.seal_step(key, &value)?;
        let until = Timestamp::from_millis(pending.until);
        Ok(self.stores.ephemeral.keep(key, &sealed, until).await?)
    }
}

/// The ways that an account's factors open: none unless one of them is a second factor, and a recovery code stands in for one.
fn methods(factors: &[Factor]) -> Vec<FactorKind> {
    let has = |kind| factors.iter().any(|factor| factor.kind == kind);
    let mut methods: Vec<FactorKind> = [FactorKind::Totp, FactorKind::Passkey]
        .into_iter()
        .filter(|kind| has(*kind))
        .collect();
    let unused = |factor: &Factor| factor.kind == FactorKind::Recovery && factor.counter == 0;
    if !methods.is_empty() && factors.iter().any(unused) {
        methods.push(FactorKind::Recovery);
    }
    methods
}

/// Under which name the store keeps it: whoever reads the store finds no token.
fn key_of(token: &str) -> String {
    let hash = digest(&SHA256, token.as_bytes());
    format!("step:{}", URL_SAFE_NO_PAD.encode(hash))
}

#[cfg(test)]
mod tests;
