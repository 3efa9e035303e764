//! An account that an operator makes for somebody else: nobody knows its password until a link has set one.

use super::links::{Errand, Holder, INVITED_FOR};
use super::{Auth, AuthError};
use crate::mail::Facts;
use crate::mail::letter::Says;
use crate::model::credential::Password;
use crate::model::secret;
use crate::model::user::{Confirmation, Email, Role, User};

/// Somebody is invited.
#[derive(Clone, Debug)]
pub struct Invited {
    /// The account.
    pub user: User,
    /// Where its password is set, below `auth.base_path`; `None`: a letter says it.
    pub path: Option<String>,
}

impl Auth {
    /// Makes an account without a password that anybody could give, and a link that sets one. Somebody who was invited before and has not come gets
    /// another link, and the roles as they are named now; the former link is over.
    pub async fn invite(&self, email: &str, roles: Vec<Role>) -> Result<Invited, AuthError> {
        let email: Email = email.parse().map_err(|_| AuthError::InvalidEmail)?;
        let known = self.stores.accounts.find_by_email(&email).await?;
        let user = match known.map(|account| account.user) {
            None => {
                let nobodys = Password::new(uuid::Uuid::from_bytes(secret::random()?).to_string());
                let hash = self.hasher.hash(nobodys).await?;
                self.add_account(None, email.clone(), hash, roles, Confirmation::Pending)
                    .await?
            }
            Some(user) if user.confirmation == Confirmation::Pending => {
                let changed = self.stores.accounts.set_roles(user.id, &roles).await?;
                changed.ok_or(AuthError::NotFound)?
            }
            Some(_) => return Err(AuthError::EmailTaken),
        };
        let account = self.stores.accounts.find(user.id).await?.ok_or(AuthError::NotFound)?;
        let errand = Errand::Reset(Holder::of(&account));
        let path = format!("/reset?token={}", self.links.issue(errand, INVITED_FOR).await?);
        self.record("account.invited", None, Some(user.id), None).await;
        let Some(mail) = &self.mail else {
            return Ok(Invited { user, path: Some(path) });
        };
        let facts = Facts {
            path: &path,
            good_for: Some(INVITED_FOR),
            origin: None,
        };
        mail.write(&email, Says::Invite, facts).await?;
        Ok(Invited { user, path: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::world::{World, caller, password};

    #[tokio::test]
    async fn somebody_who_is_invited_takes_nobody_in_before_their_link_was_used() {
        let world = World::new().await;
        let auth = &world.auth;
        let invited = auth.invite("ada@example.com", Vec::new()).await.unwrap();
        let path = invited.path.unwrap();
        let token = path.strip_prefix("/reset?token=").unwrap();
        // As if somebody had found its password out.
        let account = world.stores.accounts.find(invited.user.id).await.unwrap().unwrap();
        let known = world.hasher.hash(password()).await.unwrap();
        let accounts = &world.stores.accounts;
        assert!(
            accounts
                .rehash_password(invited.user.id, &account.password, &known)
                .await
                .unwrap()
        );
        let early = auth.login(&caller(), "ada@example.com", password()).await;
        assert!(matches!(early, Err(AuthError::InvalidCredentials)));
        assert!(
            accounts
                .rehash_password(invited.user.id, &known, &account.password)
                .await
                .unwrap()
        );

        world.clock.advance(INVITED_FOR / 2);
        auth.reset_password(&caller(), token, password()).await.unwrap();
        auth.login(&caller(), "ada@example.com", password())
            .await
            .map(|_| ())
            .unwrap();
        let again = auth.invite("ada@example.com", Vec::new()).await;
        assert!(matches!(again, Err(AuthError::EmailTaken)));
    }
}
