//! What is kept for ever: users and the keys that sign for them.

use async_trait::async_trait;

use super::StoreError;
use crate::config::Algorithm;
use crate::model::clock::Timestamp;
use crate::model::credential::{Account, PasswordHash};
use crate::model::user::{Email, Epoch, Role, User, UserId};

/// What came of adding an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is there now.
    Added,
    /// The address has an account already; nothing was changed.
    EmailTaken,
}

/// What came of giving an account another address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It is reached there now.
    Moved,
    /// The new address has an account already; nothing was changed.
    EmailTaken,
    /// No such user, or their address is no longer the old one; nothing was changed.
    Gone,
}

/// A signing key at rest. Its private half is sealed with the installation's secret; a store never sees it open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// RFC 7638 thumbprint; the `kid`.
    pub kid: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// PKCS#8, sealed.
    pub sealed: Vec<u8>,
    /// When it was made and so first published.
    pub created_at: Timestamp,
    /// From when on it signs.
    pub active_from: Timestamp,
    /// Until when tokens signed by it may live: set when its successor is planned.
    pub retires_at: Option<Timestamp>,
    /// When it was revoked; its tokens are refused from then on.
    pub revoked_at: Option<Timestamp>,
}

/// Users and signing keys.
#[async_trait]
pub trait AccountStore: Send + Sync + std::fmt::Debug {
    /// Adds an account, unless its address has one. Uniqueness is the index's work, so racers cannot both win.
    async fn add(&self, account: &Account) -> Result<Added, StoreError>;
    /// The account of an address.
    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError>;
    /// The account of an id.
    async fn find(&self, id: UserId) -> Result<Option<Account>, StoreError>;
    /// Users by id, at most `limit`, those after `after`.
    async fn list(&self, after: Option<UserId>, limit: u32) -> Result<Vec<User>, StoreError>;
    /// Accounts by id, at most `limit`, those after `after`, with what proves who they are: for a move to another store.
    async fn accounts(&self, after: Option<UserId>, limit: u32) -> Result<Vec<Account>, StoreError>;
    /// How many accounts there are.
    async fn tally(&self) -> Result<u64, StoreError>;
    /// Puts an account as another store has it in the place of the one of its id and address, if that one is still of the epoch `seen`. `false`: it
    /// is not, or not there.
    async fn replace(&self, account: &Account, seen: Epoch) -> Result<bool, StoreError>;
    /// Replaces the roles. `None`: no such user.
    async fn set_roles(&self, id: UserId, roles: &[Role]) -> Result<Option<User>, StoreError>;
    /// Disables (and begins a new epoch) or enables. `None`: no such user.
    async fn set_disabled(&self, id: UserId, since: Option<Timestamp>) -> Result<Option<User>, StoreError>;
    /// Puts `to` in place of `from` and begins a new epoch, which it returns. `None`: no such user, or the password is no longer `from`.
    async fn change_password(
        &self,
        id: UserId,
        from: &PasswordHash,
        to: &PasswordHash,
    ) -> Result<Option<Epoch>, StoreError>;
    /// Puts a stronger hash of the same password in place of `from`; the epoch stays. `false`: it was no longer `from`.
    async fn rehash_password(&self, id: UserId, from: &PasswordHash, to: &PasswordHash) -> Result<bool, StoreError>;
    /// Notes that the address `email` is known to be the user's. `false`: no such user, or their address is another one by now.
    async fn confirm(&self, id: UserId, email: &Email) -> Result<bool, StoreError>;
    /// Puts the address `to`, known to be the user's, in place of `from`. Of racers for an address one gets it.
    async fn change_email(&self, id: UserId, from: &Email, to: &Email) -> Result<Moved, StoreError>;
    /// Begins a new epoch, so that every session of the user is over. `None`: no such user.
    async fn begin_epoch(&self, id: UserId) -> Result<Option<Epoch>, StoreError>;
    /// Takes the account away, and all its factors. `false`: there was none.
    async fn remove(&self, id: UserId) -> Result<bool, StoreError>;

    /// All signing keys that are still kept, in the order they were added: nodes' clocks may differ, that order does not.
    async fn keys(&self) -> Result<Vec<StoredKey>, StoreError>;
    /// Adds a key and lets its predecessor (the key named by `after`) retire at `predecessor_retires_at`, in one step, if `after` is still the newest
    /// key that is not revoked (`None`: there is no such key). So of several nodes that want to rotate, one does. `false`: another was faster, or the
    /// key is there already. Without `predecessor_retires_at` the predecessor stays as it is.
    async fn add_key(
        &self,
        key: &StoredKey,
        after: Option<&str>,
        predecessor_retires_at: Option<Timestamp>,
    ) -> Result<bool, StoreError>;
    /// Marks a key as revoked. `false`: no such key, or revoked before.
    async fn revoke_key(&self, kid: &str, at: Timestamp) -> Result<bool, StoreError>;
    /// Takes keys away that retired, or were revoked, before `moment`.
    async fn purge_keys(&self, moment: Timestamp) -> Result<u64, StoreError>;
    /// A cheap question that shows whether the store answers.
    async fn ping(&self) -> Result<(), StoreError>;
}
