//! Factors of a move: they go with their accounts, and nothing that was used or taken away at the target comes back.
//!
//! Of an app and of recovery codes an account has one set at a time: the one that was made later counts, as a whole. Passkeys and sign-ins at providers
//! are merged one by one. A counter only moves forward. What is no newer than what a finished run has seen, and is not at the target, was taken away there.

use super::Move;
use crate::model::clock::Timestamp;
use crate::model::credential::Account;
use crate::model::factor::{Factor, FactorKind};
use crate::model::user::UserId;
use crate::store::StoreError;
use crate::store::factors::Attached;

/// Kinds of which there is one set at a time.
const SETS: [FactorKind; 2] = [FactorKind::Totp, FactorKind::Recovery];

impl Move<'_> {
    /// Adds an account with its factors. `false`: its address is taken. A sign-in at a provider that leads to another account there stays behind.
    ///
    /// Second factors come in one step with the account: were the run cut off in between, its password alone would open it.
    pub(super) async fn found(&self, account: &Account, factors: &[Factor]) -> Result<bool, StoreError> {
        let (ties, own): (Vec<Factor>, Vec<Factor>) = factors.iter().cloned().partition(is_tie);
        if self.to.factors.found(account, &own).await? != Attached::Attached {
            return Ok(false);
        }
        for factor in &ties {
            self.attach(factor).await?;
        }
        Ok(true)
    }

    /// Brings an account's factors up to date.
    pub(super) async fn merge(
        &self,
        user: UserId,
        factors: &[Factor],
        done: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        if factors.is_empty() {
            return Ok(());
        }
        let known = self.to.factors.of_user(user).await?;
        let gone = |made: Timestamp| done.is_some_and(|last| made <= last);
        for kind in SETS {
            let (here, there) = (of_kind(factors, kind), of_kind(&known, kind));
            let Some(made) = newest(&here) else { continue };
            let is_later = match newest(&there) {
                Some(known) => made > known,
                None => !gone(made),
            };
            if is_later {
                let here: Vec<Factor> = here.into_iter().cloned().collect();
                self.to.factors.replace(user, kind, &here).await?;
            }
        }
        for factor in factors {
            match known.iter().find(|known| known.id == factor.id) {
                Some(known) if factor.counter > known.counter => {
                    let used = factor.used_at.unwrap_or(self.now);
                    self.to.factors.advance(user, factor.id, factor.counter, used).await?;
                }
                Some(_) => {}
                None if SETS.contains(&factor.kind) || gone(factor.created_at) => {}
                None => self.attach(factor).await?,
            }
        }
        Ok(())
    }

    async fn attach(&self, factor: &Factor) -> Result<(), StoreError> {
        if self.to.factors.attach(factor).await? == Attached::LinkTaken {
            tracing::warn!(user.id = %factor.user, "a sign-in at a provider leads to another account at the target; it stays there");
        }
        Ok(())
    }
}

/// Whether it is a sign-in at a provider: a way in, and no second factor.
fn is_tie(factor: &Factor) -> bool {
    factor.kind == FactorKind::Provider
}

/// When the newest of any was made.
pub(super) fn newest_of<'f>(factors: impl IntoIterator<Item = &'f Factor>) -> Option<Timestamp> {
    factors.into_iter().map(|factor| factor.created_at).max()
}

fn newest(factors: &[&Factor]) -> Option<Timestamp> {
    newest_of(factors.iter().copied())
}

fn of_kind(factors: &[Factor], kind: FactorKind) -> Vec<&Factor> {
    factors.iter().filter(|factor| factor.kind == kind).collect()
}
