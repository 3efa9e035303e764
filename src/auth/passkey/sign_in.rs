//! A passkey is used: to sign in with it alone, or as the second step after another factor.
//!
//! Alone it names its owner by itself, so nobody says beforehand who they are and no answer tells who has one: a passkey that is unknown, somebody else's,
//! badly signed or of a disabled account is refused in the same words after the same steps. A counter that does not move forward is a sign of a copied key
//! (§6.1.1): that use is refused, logged and written down, and the other ways in stay open.

use uuid::Uuid;

use super::Refused;
use super::authenticator_data::Verification;
use super::challenge::{Challenge, Purpose};
use super::client_data::ClientData;
use super::kept::Kept;
use super::proof::{Used, used};
use crate::auth::entry::Entered;
use crate::auth::login::may_enter;
use crate::auth::second_step::{Shown, Taken};
use crate::auth::{Auth, AuthError, SignedIn};
use crate::model::caller::Caller;
use crate::model::factor::{Factor, FactorKind};
use crate::model::proof::Proof;
use crate::model::user::{User, UserId};
use crate::store::factors::Advance;

/// A key is held, and a person was there: all that is known without attestation.
const HELD: [&str; 2] = ["pop", "user"];
/// Where the authenticator has verified that person, that makes two factors.
const ALONE: [&str; 3] = ["pop", "user", "mfa"];

/// What a browser needs to ask for a passkey.
#[derive(Clone, Debug)]
pub struct Question {
    /// To be signed.
    pub challenge: Challenge,
    /// Whose passkeys are asked for.
    pub rp_id: String,
    /// The passkeys that may answer, and how they are reached; none where any may.
    pub allowed: Vec<Known>,
}

/// A passkey as browsers know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The credential's id.
    pub id: Vec<u8>,
    /// How its authenticator is reached.
    pub transports: Vec<String>,
}

impl Known {
    pub(super) fn of(kept: Kept) -> Self {
        Self {
            id: kept.id,
            transports: kept.transports,
        }
    }
}

/// Who a response claims to be of, and what it is judged by.
struct Claimed {
    owner: Option<(User, Factor)>,
    kept: Kept,
}

impl Auth {
    /// A challenge for somebody who is still to say who they are. `browser`: the name that we gave to theirs.
    pub async fn ask_for_passkey(&self, caller: &Caller, browser: Option<&str>) -> Result<Question, AuthError> {
        let asked = self.throttle.admit_question(caller).await;
        self.paced(asked).await?;
        let passkeys = self.passkeys()?;
        Ok(Question {
            challenge: passkeys.challenges.give(Purpose::SignIn(browser)).await?,
            rp_id: passkeys.party.id.clone(),
            allowed: Vec::new(),
        })
    }

    /// Signs in with a passkey alone.
    pub async fn enter_with_passkey(
        &self,
        caller: &Caller,
        browser: Option<&str>,
        response: &Used,
    ) -> Result<SignedIn, AuthError> {
        let outcome = self.try_passkey(caller, browser, response).await;
        let outcome = self.paced(outcome).await;
        self.telemetry.metrics.login(match &outcome {
            Ok(_) => "succeeded",
            Err(AuthError::InvalidCredentials) => "refused",
            Err(AuthError::RateLimited { .. }) => "limited",
            Err(_) => "failed",
        });
        outcome
    }

    async fn try_passkey(
        &self,
        caller: &Caller,
        browser: Option<&str>,
        response: &Used,
    ) -> Result<SignedIn, AuthError> {
        self.throttle.admit_source(caller).await?;
        let claimed = self.claimed(response).await?;
        let whose = claimed.owner.as_ref().map(|(user, _)| user.id);
        let purpose = Purpose::SignIn(browser);
        let count = self
            .judge_used(purpose, response, &claimed.kept, Verification::Required)
            .await?;
        let came = match (count, claimed.owner) {
            (Ok(count), Some((user, factor))) => self.count(caller, &factor, count).await?.then_some(user),
            (Ok(_), None) => None,
            (Err(Refused(why)), _) => {
                tracing::debug!(why, "a passkey was refused");
                None
            }
        };
        let Some(user) = came else {
            self.record("login.refused", Some(caller), whose, None).await;
            return Err(AuthError::InvalidCredentials);
        };
        match self.proven(caller, user, Proof::of(&ALONE)).await? {
            Entered::SignedIn(signed_in) => Ok(*signed_in),
            Entered::SecondStep(_) => Err(AuthError::Internal("a passkey alone was not enough".to_owned())),
        }
    }

    /// §7.2 step 6, for somebody who was not identified before. An unknown passkey costs the same look-ups and the same signature.
    async fn claimed(&self, response: &Used) -> Result<Claimed, AuthError> {
        let link = self.passkeys()?.party.link(&response.id);
        let user = self.stores.factors.linked(&link).await?.unwrap_or(UserId(Uuid::nil()));
        let factors = self.stores.factors.of_user(user).await?;
        let account = self.stores.accounts.find(user).await?;
        let factor = factors.into_iter().find(|factor| factor.link == Some(link));
        let kept = match &factor {
            Some(factor) => Kept::open(&self.vault, factor)?,
            None => Kept::decoy(),
        };
        let says_so = response.user_handle.as_deref() == Some(user.0.as_bytes());
        let enters = |user: &User| says_so && may_enter(user);
        let user = account.map(|account| account.user).filter(enters);
        Ok(Claimed {
            owner: user.zip(factor),
            kept,
        })
    }

    /// Judges a response, and whether it answers a challenge of ours, which is spent whatever the verdict.
    async fn judge_used(
        &self,
        purpose: Purpose<'_>,
        response: &Used,
        kept: &Kept,
        verification: Verification,
    ) -> Result<Result<u32, Refused>, AuthError> {
        let passkeys = self.passkeys()?;
        let client = match ClientData::read(&response.client_data) {
            Ok(client) => client,
            Err(refused) => return Ok(Err(refused)),
        };
        let verdict = used(&passkeys.party, &client, kept, response, verification);
        if !passkeys.challenges.take(purpose, &client.challenge).await? {
            return Ok(Err(Refused("a challenge that was not given, or is spent")));
        }
        Ok(verdict)
    }

    /// Moves a passkey's counter (§7.2 step 22). `false`: it did not move forward, or the passkey was taken away in between.
    async fn count(&self, caller: &Caller, factor: &Factor, count: u32) -> Result<bool, AuthError> {
        let now = self.clock.now();
        let moved = self
            .stores
            .factors
            .advance(factor.user, factor.id, count.into(), now)
            .await?;
        if let Advance::Behind { stands } = moved {
            self.note_fallen_counter(caller, factor, count, stands).await;
        }
        Ok(moved == Advance::Advanced)
    }

    /// Two hold the key, or the authenticator is broken: an operator should know.
    async fn note_fallen_counter(&self, caller: &Caller, factor: &Factor, said: u32, stands: u64) {
        tracing::warn!(user.id = %factor.user, factor.id = %factor.id, said, stands, "a passkey's counter did not move forward");
        self.record("passkey.counter_fell", Some(caller), Some(factor.user), None)
            .await;
    }

    /// A challenge for the second step of a sign-in.
    pub async fn ask_for_second_passkey(&self, caller: &Caller, token: &str) -> Result<Question, AuthError> {
        let asked = self.throttle.admit_question(caller).await;
        self.paced(asked).await?;
        let passkeys = self.passkeys()?;
        let factors = self.second_step_factors(token).await?;
        let theirs = factors.iter().filter(|factor| factor.kind == FactorKind::Passkey);
        let allowed: Result<Vec<Known>, AuthError> = theirs
            .map(|factor| Kept::open(&self.vault, factor).map(Known::of))
            .collect();
        Ok(Question {
            challenge: passkeys.challenges.give(Purpose::SecondStep(token)).await?,
            rp_id: passkeys.party.id.clone(),
            allowed: allowed?,
        })
    }

    /// Whether a response is of a passkey of whoever takes this second step (§7.2 steps 5 and 6).
    pub(in crate::auth) async fn passkey_shown(
        &self,
        caller: &Caller,
        token: &str,
        taken: &Taken,
        response: &Used,
    ) -> Result<Option<Shown>, AuthError> {
        let theirs = taken.factors.iter().filter(|factor| factor.kind == FactorKind::Passkey);
        // By its id, not by its link, which one that is good for this step only has not.
        let mut opened = theirs.filter_map(|factor| Some((factor, Kept::open(&self.vault, factor).ok()?)));
        let Some((factor, kept)) = opened.find(|(_, kept)| kept.id == response.id) else {
            return Ok(None);
        };
        let handle = response.user_handle.as_deref();
        if handle.is_some_and(|handle| handle != taken.user.id.0.as_bytes()) {
            return Ok(None);
        }
        let purpose = Purpose::SecondStep(token);
        let Ok(count) = self.judge_used(purpose, response, &kept, Verification::Welcome).await? else {
            return Ok(None);
        };
        let counter = u64::from(count);
        if counter <= factor.counter && (counter, factor.counter) != (0, 0) {
            self.note_fallen_counter(caller, factor, count, factor.counter).await;
        }
        Ok(Some(Shown {
            factor: factor.id,
            counter,
            words: &HELD,
        }))
    }
}
