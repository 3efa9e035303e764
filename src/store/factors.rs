//! What users have beside their passwords. It is kept with the accounts, by the same backends, and goes with them.

use async_trait::async_trait;

use super::StoreError;
use crate::model::clock::Timestamp;
use crate::model::credential::Account;
use crate::model::factor::{Factor, FactorId, FactorKind, Link};
use crate::model::user::UserId;

/// What came of adding a factor, or an account with its factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    /// It is there now.
    Attached,
    /// The address of the account has one already; nothing was changed.
    EmailTaken,
    /// Another factor has that link; nothing was changed.
    LinkTaken,
    /// The factor is there already; nothing was changed.
    There,
    /// There is no such user; nothing was changed.
    NoUser,
}

/// What came of moving a factor's counter forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// It was behind, and is there now. Of racers to one place one is told so.
    Advanced,
    /// It was there, or further.
    Behind {
        /// Where it stands.
        stands: u64,
    },
    /// No such factor.
    Gone,
}

/// What came of taking a factor away that may be the last of some kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detached {
    /// It is gone.
    Detached,
    /// The user has no other of these kinds; nothing was changed.
    Last,
    /// There was none.
    Gone,
}

/// Factors.
#[async_trait]
pub trait FactorStore: Send + Sync + std::fmt::Debug {
    /// Adds an account together with its factors: all or none.
    async fn found(&self, account: &Account, factors: &[Factor]) -> Result<Attached, StoreError>;
    /// Adds a factor to a user who is there.
    async fn attach(&self, factor: &Factor) -> Result<Attached, StoreError>;
    /// A user's factors, oldest first.
    async fn of_user(&self, user: UserId) -> Result<Vec<Factor>, StoreError>;
    /// Whose factor has a link.
    async fn linked(&self, link: &Link) -> Result<Option<UserId>, StoreError>;
    /// Moves a counter forward, and notes the use, if it is behind `to`. A passkey that does not count says 0 each time: 0 follows 0.
    async fn advance(&self, user: UserId, id: FactorId, to: u64, now: Timestamp) -> Result<Advance, StoreError>;
    /// Puts these in place of all factors of a kind, in one step. They must be of that user and kind, and without links, and the kind's must be so too.
    /// `false`: no such user.
    async fn replace(&self, user: UserId, kind: FactorKind, by: &[Factor]) -> Result<bool, StoreError>;
    /// Takes a factor away. `false`: there was none.
    async fn detach(&self, user: UserId, id: FactorId) -> Result<bool, StoreError>;
    /// The same, if the user has another factor of these kinds: of racers for the last two, one is told no.
    async fn detach_but_last(&self, user: UserId, id: FactorId, of: &[FactorKind]) -> Result<Detached, StoreError>;
    /// Calls a factor something else. `false`: there is none.
    async fn rename(&self, user: UserId, id: FactorId, label: &str) -> Result<bool, StoreError>;
}
