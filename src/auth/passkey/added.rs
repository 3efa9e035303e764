//! A passkey is added, by somebody who has signed in a short time ago.

use uuid::Uuid;

use super::authenticator_data::Verification;
use super::challenge::{Challenge, Purpose};
use super::client_data::ClientData;
use super::kept::Kept;
use super::named::Passkey;
use super::proof::{Made, made};
use super::public_key::ALGORITHMS;
use super::sign_in::Known;
use super::{Refused, named};
use crate::auth::{Auth, AuthError};
use crate::model::caller::Caller;
use crate::model::factor::{Factor, FactorId, FactorKind};
use crate::model::identity::Identity;
use crate::model::secret;
use crate::model::user::User;
use crate::store::factors::Attached;

/// How many passkeys an account has at most: more than anybody has devices, and few enough for a list. Two added at once may make it one more.
const MOST: usize = 20;

/// What a browser needs to have a passkey made.
#[derive(Clone, Debug)]
pub struct Creation {
    /// To be signed.
    pub challenge: Challenge,
    /// To whom it will belong.
    pub rp_id: String,
    /// For whom it is; its handle is the id.
    pub user: User,
    /// The algorithms that are taken, the one liked best first.
    pub algorithms: [i64; 3],
    /// What the person has already, so that no authenticator makes a second one.
    pub known: Vec<Known>,
}

/// What came of adding one.
#[derive(Debug)]
pub struct Added {
    /// The passkey.
    pub passkey: Passkey,
    /// New recovery codes, where the account had no second factor before.
    pub recovery_codes: Option<Vec<String>>,
}

impl Auth {
    /// Begins to add a passkey.
    pub async fn begin_passkey(&self, who: &Identity) -> Result<Creation, AuthError> {
        let passkeys = self.passkeys()?;
        let (user, _) = self.recent(who).await?;
        let factors = self.passkey_factors(who).await?;
        if factors.len() >= MOST {
            return Err(AuthError::TooManyPasskeys);
        }
        let known: Result<Vec<Known>, AuthError> = factors
            .iter()
            .map(|factor| Kept::open(&self.vault, factor).map(Known::of))
            .collect();
        Ok(Creation {
            challenge: passkeys.challenges.give(Purpose::Add(who.session)).await?,
            rp_id: passkeys.party.id.clone(),
            user,
            algorithms: ALGORITHMS,
            known: known?,
        })
    }

    /// Adds the passkey that was made.
    pub async fn add_passkey(
        &self,
        caller: &Caller,
        who: &Identity,
        name: &str,
        response: &Made,
    ) -> Result<Added, AuthError> {
        let name = named::judge(name)?;
        self.recent(who).await?;
        if self.passkey_factors(who).await?.len() >= MOST {
            return Err(AuthError::TooManyPasskeys);
        }
        let (kept, count) = match self.judge_made(who, response).await? {
            Ok(made) => made,
            Err(Refused(why)) => {
                tracing::debug!(why, user.id = %who.user, "a new passkey was refused");
                self.record("passkey.refused", Some(caller), Some(who.user), Some(who.session))
                    .await;
                return Err(AuthError::PasskeyRefused);
            }
        };
        let factor = self.factor_of(who, name, &kept, count)?;
        let recovery_codes = match self.has_second_factor(who.user).await? {
            true => None,
            false => Some(self.put_recovery_codes(who.user).await?),
        };
        match self.stores.factors.attach(&factor).await? {
            Attached::Attached => {}
            Attached::LinkTaken | Attached::There => return Err(AuthError::PasskeyTaken),
            Attached::NoUser | Attached::EmailTaken => return Err(AuthError::SessionOver { dead: true }),
        }
        self.keep_if_live(who, &factor).await?;
        self.factor_changed(caller, who, "passkey.added").await;
        Ok(Added {
            passkey: Passkey::of(factor, &kept),
            recovery_codes,
        })
    }

    async fn judge_made(&self, who: &Identity, response: &Made) -> Result<Result<(Kept, u32), Refused>, AuthError> {
        let passkeys = self.passkeys()?;
        let client = match ClientData::read(&response.client_data) {
            Ok(client) => client,
            Err(refused) => return Ok(Err(refused)),
        };
        // It is to be good for signing in alone, so its authenticator must be able to verify its person.
        let verdict = made(&passkeys.party, &client, response, Verification::Required);
        if !passkeys
            .challenges
            .take(Purpose::Add(who.session), &client.challenge)
            .await?
        {
            return Ok(Err(Refused("a challenge that was not given, or is spent")));
        }
        Ok(verdict)
    }

    /// The record of §7.1 step 27. That no account has the credential yet (step 26) is the store's index's to say.
    fn factor_of(&self, who: &Identity, name: String, kept: &Kept, count: u32) -> Result<Factor, AuthError> {
        let now = self.clock.now();
        let id: Uuid = secret::uuid_v7(now)?;
        let id = FactorId(id);
        Ok(Factor {
            id,
            user: who.user,
            kind: FactorKind::Passkey,
            label: name,
            sealed: kept.seal(&self.vault, who.user, id)?,
            link: Some(self.passkeys()?.party.link(&kept.id)),
            counter: count.into(),
            created_at: now,
            used_at: None,
        })
    }
}
