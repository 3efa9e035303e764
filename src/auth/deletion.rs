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
            self.prove(caller, who, &account, password).await?;
            self.stores.accounts.remove(who.user).await?;
            self.record("account.deleted", Some(caller), Some(who.user), Some(who.session))
                .await;
        }
        self.end_sessions(who.user, moment).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::world::{World, caller, password};

    #[tokio::test]
    async fn a_deleted_account_is_gone_with_its_sessions_and_only_by_its_password() {
        let world = World::new().await;
        let here = world.signed_in().await;
        let who = &here.access.identity;
        let wrong = world
            .auth
            .delete_account(&caller(), who, Password::new("not the right one".into()))
            .await;
        assert!(matches!(wrong, Err(AuthError::InvalidCredentials)));

        world.auth.delete_account(&caller(), who, password()).await.unwrap();
        assert!(matches!(
            world.auth.find_user("ada@example.com").await,
            Err(AuthError::NotFound)
        ));
        assert_eq!(world.stores.sessions.find(here.session.id).await.unwrap(), None);
        world.auth.delete_account(&caller(), who, password()).await.unwrap();
    }
}
