//! Taking an account away.

use super::{Auth, AuthError};
use crate::model::caller::Caller;
use crate::model::credential::Password;
use crate::model::identity::Identity;

impl Auth {
    /// Takes the account away for good. Once it is gone, asking again only ends what may be left of its sessions.
    pub async fn delete_account(&self, caller: &Caller, who: &Identity, password: Password) -> Result<(), AuthError> {
        let moment = self.clock.now();
        if let Some(account) = self.stores.accounts.find(who.user).await? {
            // Asked before anything is changed: should the sessions store be away, nothing is spent.
            self.stores.sessions.find(who.session).await?;
            self.prove(caller, &account, password).await?;
            self.stores.accounts.remove(who.user).await?;
            self.record("account.deleted", Some(caller), Some(who.user), Some(who.session));
        }
        self.end_sessions(who.user, moment).await?;
        Ok(())
    }
}
