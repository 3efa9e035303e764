//! A session and the account behind it, which a refresh reads together, and of which a sign-in keeps the one and reads the other.
//!
//! Where one file keeps both, that is one call: a trip to SQLite's thread costs about as much as a sixth of a signature. Elsewhere it is two.

use async_trait::async_trait;

use super::{StoreError, Stores};
use crate::model::credential::Account;
use crate::model::session::{Session, SessionId};

/// A session, whether or not its time is over, and the account of its user, if there is one.
pub type Pair = (Session, Option<Account>);

/// A backend that keeps sessions and accounts.
#[async_trait]
pub trait PairStore: Send + Sync + std::fmt::Debug {
    /// Both as they stand at one moment. `None`: no such session.
    async fn find_pair(&self, id: SessionId) -> Result<Option<Pair>, StoreError>;
    /// Keeps a new session, then reads the account of its user. `None`: there is no such user.
    async fn open_pair(&self, session: &Session) -> Result<Option<Account>, StoreError>;
}

impl Stores {
    /// A session and the account behind it. `None`: no such session.
    ///
    /// # Errors
    /// When a store that is asked does not answer.
    pub async fn find_pair(&self, id: SessionId) -> Result<Option<Pair>, StoreError> {
        if let Some(pairs) = &self.pairs {
            return pairs.find_pair(id).await;
        }
        let Some(session) = self.sessions.find(id).await? else {
            return Ok(None);
        };
        let account = self.accounts.find(session.user).await?;
        Ok(Some((session, account)))
    }

    /// Keeps a new session, then reads the account of its user as it stands once the session can be found. `None`: there is no such user.
    ///
    /// # Errors
    /// When a store that is asked does not answer. The session may have been kept by then.
    pub async fn open_pair(&self, session: &Session) -> Result<Option<Account>, StoreError> {
        if let Some(pairs) = &self.pairs {
            return pairs.open_pair(session).await;
        }
        self.sessions.open(session).await?;
        self.accounts.find(session.user).await
    }
}
