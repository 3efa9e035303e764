//! What an operator does to accounts and sessions from the command line.
//!
//! It works on the stores from a process of its own; running gateways learn of what it ends through the revocation feed, and of everything else when
//! they next read the account.

use super::{Auth, AuthError};
use crate::model::credential::Password;
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
        self.record("account.roles_changed", None, Some(user.id), None);
        changed.ok_or(AuthError::NotFound)
    }

    /// Keeps a user from signing in and ends all their sessions.
    pub async fn disable(&self, who: &str) -> Result<User, AuthError> {
        let user = self.find_user(who).await?;
        let moment = self.clock.now();
        let disabled = self.stores.accounts.set_disabled(user.id, Some(moment)).await?;
        self.record("account.disabled", None, Some(user.id), None);
        self.end_sessions(user.id, moment).await?;
        disabled.ok_or(AuthError::NotFound)
    }

    /// Lets a user sign in again.
    pub async fn enable(&self, who: &str) -> Result<User, AuthError> {
        let user = self.find_user(who).await?;
        let enabled = self.stores.accounts.set_disabled(user.id, None).await?;
        self.record("account.enabled", None, Some(user.id), None);
        enabled.ok_or(AuthError::NotFound)
    }

    /// Takes an account away, and its sessions.
    pub async fn remove_user(&self, who: &str) -> Result<User, AuthError> {
        let user = self.find_user(who).await?;
        let moment = self.clock.now();
        self.stores.accounts.remove(user.id).await?;
        self.record("account.deleted", None, Some(user.id), None);
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
        self.record("session.ended_all", None, Some(user.id), None);
        Ok(ended)
    }
}
