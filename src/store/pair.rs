//! A session and the account behind it, which a refresh reads together.
//!
//! Where one file keeps both, one question finds both: a trip to SQLite's thread costs about as much as a sixth of a signature. Elsewhere the one is asked
//! for after the other.

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
}
