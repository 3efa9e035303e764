//! A person's passkeys under the names that they gave them: seeing, renaming and removing them.

use super::kept::Kept;
use crate::auth::factors::WAYS_IN;
use crate::auth::{Auth, AuthError};
use crate::model::caller::Caller;
use crate::model::clock::Timestamp;
use crate::model::factor::{Factor, FactorId, FactorKind};
use crate::model::identity::Identity;
use crate::store::factors::Detached;

/// Letters of a name at most.
pub const LONGEST_NAME: usize = 64;

/// What a passkey without a name is called.
const NAMELESS: &str = "Passkey";

/// A passkey as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passkey {
    /// Its name among ours.
    pub id: FactorId,
    /// What its owner calls it.
    pub name: String,
    /// Whether its owner's other devices may have it too.
    pub synced: bool,
    /// Whether it signs in alone; if not, it is good as a second step only.
    pub signs_in_alone: bool,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was used last.
    pub used_at: Option<Timestamp>,
}

impl Passkey {
    pub(super) fn of(factor: Factor, kept: &Kept) -> Self {
        Self {
            id: factor.id,
            name: factor.label,
            synced: kept.synced,
            signs_in_alone: factor.link.is_some(),
            created_at: factor.created_at,
            used_at: factor.used_at,
        }
    }
}

/// A name, trimmed; one that nobody could read is refused.
pub(super) fn judge(name: &str) -> Result<String, AuthError> {
    if name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(AuthError::BadName);
    }
    let name = name.trim();
    Ok(if name.is_empty() { NAMELESS } else { name }.to_owned())
}

impl Auth {
    /// The person's passkeys, oldest first.
    pub async fn passkeys_of(&self, who: &Identity) -> Result<Vec<Passkey>, AuthError> {
        let factors = self.passkey_factors(who).await?;
        let passkey = |factor: Factor| Kept::open(&self.vault, &factor).map(|kept| Passkey::of(factor, &kept));
        factors.into_iter().map(passkey).collect()
    }

    /// Calls a passkey something else.
    pub async fn rename_passkey(
        &self,
        caller: &Caller,
        who: &Identity,
        id: FactorId,
        name: &str,
    ) -> Result<(), AuthError> {
        let name = judge(name)?;
        self.passkey_factor(who, id).await?;
        if !self.stores.factors.rename(who.user, id, &name).await? {
            return Err(AuthError::NotFound);
        }
        self.factor_changed(caller, who, "passkey.renamed").await;
        Ok(())
    }

    /// Takes a passkey away, unless nobody could sign in to the account without it.
    pub async fn remove_passkey(&self, caller: &Caller, who: &Identity, id: FactorId) -> Result<(), AuthError> {
        self.recent(who).await?;
        self.passkey_factor(who, id).await?;
        let account = self.stores.accounts.find(who.user).await?;
        let account = account.ok_or(AuthError::SessionOver { dead: true })?;
        let factors = &self.stores.factors;
        let detached = match account.password.is_none() {
            true => factors.detach_but_last(who.user, id, &WAYS_IN).await?,
            false if factors.detach(who.user, id).await? => Detached::Detached,
            false => Detached::Gone,
        };
        match detached {
            Detached::Detached => {}
            Detached::Last => return Err(AuthError::LastWayIn),
            Detached::Gone => return Err(AuthError::NotFound),
        }
        self.factor_changed(caller, who, "passkey.removed").await;
        self.drop_idle_codes(who.user).await
    }

    /// One of their own passkeys.
    async fn passkey_factor(&self, who: &Identity, id: FactorId) -> Result<Factor, AuthError> {
        let factors = self.passkey_factors(who).await?;
        let found = factors.into_iter().find(|factor| factor.id == id);
        found.ok_or(AuthError::NotFound)
    }

    pub(super) async fn passkey_factors(&self, who: &Identity) -> Result<Vec<Factor>, AuthError> {
        let mut factors = self.stores.factors.of_user(who.user).await?;
        factors.retain(|factor| factor.kind == FactorKind::Passkey);
        Ok(factors)
    }
}
