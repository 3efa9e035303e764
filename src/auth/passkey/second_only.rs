//! A passkey that no longer signs in alone, and stays good as a second step.
//!
//! What finds an account by a passkey is its link; without it the passkey counts for whoever has given the password before.

use super::kept::Kept;
use crate::auth::{Auth, AuthError};
use crate::model::caller::Caller;
use crate::model::factor::{Factor, FactorId};
use crate::model::secret;
use crate::store::factors::Attached;

impl Auth {
    /// Takes its link from a passkey. One that cannot be read signs nobody in, and is left as it is.
    pub(in crate::auth) async fn make_second_only(&self, caller: &Caller, passkey: &Factor) -> Result<(), AuthError> {
        let Ok(kept) = Kept::open(&self.vault, passkey) else {
            return Ok(());
        };
        let id = FactorId(secret::uuid_v7(self.clock.now())?);
        let without = Factor {
            id,
            sealed: kept.seal(&self.vault, passkey.user, id)?,
            link: None,
            ..passkey.clone()
        };
        // In this order, so that there is no moment without a second step.
        if self.stores.factors.attach(&without).await? == Attached::Attached {
            self.stores.factors.detach(passkey.user, passkey.id).await?;
            self.record("passkey.second_step_only", Some(caller), Some(passkey.user), None)
                .await;
        }
        Ok(())
    }
}
