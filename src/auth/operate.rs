//! What an operator does to accounts and sessions from the command line.
//!
//! It works on the stores from a process of its own; running gateways learn of what it ends through the revocation feed, and of everything else when
//! they next read the account.

use super::{Auth, AuthError};
use crate::model::credential::Password;
use crate::model::factor::{Factor, FactorKind};
use crate::model::session::{Session, SessionId};
use crate::model::user::{Email, Role, User, UserId};

/// Users read from the store at a time.
const PAGE: u32 = 500;

impl Auth {
    /// Makes an account with roles; the password must keep the rules that everybody's must.
    pub async fn add_user(&self, email: &str, password: Password, roles: Vec<Role>) -> Result<User, AuthError> {
        let email: Email = email.parse().map_err(|_| AuthError::InvalidEmail)?;
        self.make_account(None, email, password, roles).await
    }

    /// The user of an address or an id.
    pub async fn find_user(&self, who: &str) -> Result<User, AuthError> {
        let account = match (who.parse(), who.parse::<Email>()) {
            (Ok(id), _) => self.stores.accounts.find(UserId(id)).await?,
            (_, Ok(email)) => self.stores.accounts.find_by_email(&email).await?,
            _ => None,
        };
        account.map(|account| account.user).ok_or(AuthError::NotFound)
    }

    /// The same with what they have beside their password.
    pub async fn user_with_factors(&self, who: &str) -> Result<(User, Vec<Factor>), AuthError> {
        let user = self.find_user(who).await?;
        let factors = self.stores.factors.of_user(user.id).await?;
        Ok((user, factors))
    }

    /// Takes a user's second factors and recovery codes away; their password alone signs them in from then on. Sign-ins at providers stay.
    pub async fn reset_factors(&self, who: &str) -> Result<User, AuthError> {
        let (user, factors) = self.user_with_factors(who).await?;
        for factor in factors.iter().filter(|factor| factor.kind != FactorKind::Provider) {
            self.stores.factors.detach(user.id, factor.id).await?;
        }
        self.record("factors.reset", None, Some(user.id), None).await;
        Ok(user)
    }

    /// All users, oldest first.
    pub async fn users(&self) -> Result<Vec<User>, AuthError> {
        let mut users: Vec<User> = Vec::new();
        loop {
            let after = users.last().map(|user| user.id);
            let page = self.stores.accounts.list(after, PAGE).await?;
            if page.is_empty() {
                return Ok(users);
            }
            users.extend(page);
        }
    }

    /// Replaces a user's roles. Access tokens show it from the next refresh on.
    pub async fn set_roles(&self, who: &str, roles: &[Role]) -> Result<User, AuthError> {
        let user = self.find_user(who).await?;
        let changed = self.stores.accounts.set_roles(user.id, roles).await?;
        self.record("account.roles_changed", None, Some(user.id), None).await;
        changed.ok_or(AuthError::NotFound)
    }

    /// Keeps a user from signing in and ends all their sessions.
    pub async fn disable(&self, who: &str) -> Result<User, AuthError> {
        let user = self.find_user(who).await?;
        let moment = self.clock.now();
        let disabled = self.stores.accounts.set_disabled(user.id, Some(moment)).await?;
        self.record("account.disabled", None, Some(user.id), None).await;
        self.end_sessions(user.id, moment).await?;
        disabled.ok_or(AuthError::NotFound)
    }

    /// Lets a user sign in again.
    pub async fn enable(&self, who: &str) -> Result<User, AuthError> {
        let user = self.find_user(who).await?;
        let enabled = self.stores.accounts.set_disabled(user.id, None).await?;
        self.record("account.enabled", None, Some(user.id), None).await;
        enabled.ok_or(AuthError::NotFound)
    }

    /// Takes an account away, and its sessions.
    pub async fn remove_user(&self, who: &str) -> Result<User, AuthError> {
        let user = self.find_user(who).await?;
        let moment = self.clock.now();
        self.stores.accounts.remove(user.id).await?;
        self.record("account.deleted", None, Some(user.id), None).await;
        self.end_sessions(user.id, moment).await?;
        Ok(user)
    }

    /// The sessions of a user, newest first.
    pub async fn sessions_of(&self, who: &str) -> Result<Vec<Session>, AuthError> {
        let user = self.find_user(who).await?;
        let now = self.clock.now();
        let mut sessions = self.stores.sessions.of_user(user.id, now).await?;
        sessions.retain(|session| super::lives(session, &user, now));
        Ok(sessions)
    }

    /// Ends a session by its id.
    pub async fn end_session_by_id(&self, id: SessionId) -> Result<(), AuthError> {
        if self.stores.sessions.find(id).await?.is_none() {
            return Err(AuthError::NotFound);
        }
        self.close(None, id).await
    }

    /// Ends all sessions of a user; returns how many there were.
    pub async fn end_all_sessions(&self, who: &str) -> Result<usize, AuthError> {
        let user = self.find_user(who).await?;
        let ended = self.end_user(user.id).await?;
        self.record("session.ended_all", None, Some(user.id), None).await;
        Ok(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::world::{World, password};

    #[tokio::test]
    async fn a_user_is_found_by_address_and_by_id() {
        let world = World::new().await;
        let user = world.register().await;
        assert_eq!(world.auth.find_user(" ADA@example.com").await.unwrap(), user);
        assert_eq!(world.auth.find_user(&user.id.to_string()).await.unwrap(), user);
        for nobody in ["", "ben@example.com", "0190-nonsense"] {
            assert!(
                matches!(world.auth.find_user(nobody).await, Err(AuthError::NotFound)),
                "{nobody}"
            );
        }
    }

    #[tokio::test]
    async fn an_operators_password_keeps_everybodys_rules() {
        let world = World::new().await;
        let weak = world
            .auth
            .add_user("ada@example.com", Password::new("short".into()), Vec::new())
            .await;
        assert!(matches!(weak, Err(AuthError::WeakPassword(_))));
        let role: Role = "staff".parse().unwrap();
        let user = world
            .auth
            .add_user("ada@example.com", password(), vec![role.clone()])
            .await
            .unwrap();
        assert_eq!(user.roles, [role]);
    }

    #[tokio::test]
    async fn an_operator_ends_one_session_or_all() {
        let world = World::new().await;
        let first = world.signed_in().await;
        world.again().await;
        world.auth.end_session_by_id(first.session.id).await.unwrap();
        assert!(matches!(
            world.auth.end_session_by_id(first.session.id).await,
            Err(AuthError::NotFound)
        ));
        assert_eq!(world.auth.sessions_of("ada@example.com").await.unwrap().len(), 1);
        assert_eq!(world.auth.end_all_sessions("ada@example.com").await.unwrap(), 1);
        assert!(world.auth.sessions_of("ada@example.com").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_removed_user_is_gone_with_their_sessions() {
        let world = World::new().await;
        let here = world.signed_in().await;
        world.auth.remove_user("ada@example.com").await.unwrap();
        assert!(world.auth.users().await.unwrap().is_empty());
        assert_eq!(world.stores.sessions.find(here.session.id).await.unwrap(), None);
    }
}
