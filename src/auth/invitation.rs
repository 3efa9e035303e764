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
