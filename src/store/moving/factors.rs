//! Factors of a move: they go with their accounts, and nothing that was used or taken away at the target comes back.
//!
//! Of an app and of recovery codes an account has one set at a time: the one that was made later counts, as a whole. Passkeys and sign-ins at providers
//! are merged one by one. A counter only moves forward. What is no newer than what a finished run has seen, and is not at the target, was taken away there.
//! The target remembers by name what a run brought: what the source no longer has was taken away there, and goes at the target too.

use super::{MARK, Move};
use crate::model::clock::Timestamp;
use crate::model::credential::Account;
use crate::model::factor::{Factor, FactorKind};
use crate::store::StoreError;
use crate::store::factors::Attached;

/// Kinds of which there is one set at a time.
const SETS: [FactorKind; 2] = [FactorKind::Totp, FactorKind::Recovery];

impl Move<'_> {
    /// Adds an account with its factors. `false`: its address, or one of its passkeys, is another account's there. A sign-in at a provider that leads to another account there stays behind.
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
        self.note_brought(factors).await?;
        Ok(true)
    }

    /// Brings an account's factors up to date.
    pub(super) async fn merge(
        &self,
        account: &Account,
        factors: &[Factor],
        done: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let user = account.user.id;
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
        self.take_away(account, factors, &known).await?;
        self.note_brought(factors).await
    }

    /// What a run brought and the source has no more: a stolen passkey that was removed there must not open the account here.
    async fn take_away(&self, account: &Account, factors: &[Factor], known: &[Factor]) -> Result<(), StoreError> {
        for gone in known.iter().filter(|known| is_by_name(known)) {
            let stands = factors.iter().any(|factor| factor.id == gone.id);
            if stands || !self.to.ephemeral.remembers(&mark(gone), self.now).await? {
                continue;
            }
            if account.password.is_none() {
                let ways = [FactorKind::Passkey, FactorKind::Provider];
                self.to.factors.detach_but_last(gone.user, gone.id, &ways).await?;
            } else {
                self.to.factors.detach(gone.user, gone.id).await?;
            }
        }
        Ok(())
    }

    async fn note_brought(&self, factors: &[Factor]) -> Result<(), StoreError> {
        for factor in factors.iter().filter(|factor| is_by_name(factor)) {
            self.to.ephemeral.remember(&mark(factor), self.now.plus(MARK)).await?;
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

/// Recovery codes open nothing by themselves, and are too many to be remembered.
fn is_by_name(factor: &Factor) -> bool {
    factor.kind != FactorKind::Recovery
}

/// The name under which the target remembers that a run brought a factor.
fn mark(factor: &Factor) -> String {
    format!("copied:factor:{}", factor.id)
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
