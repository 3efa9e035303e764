//! Letters that are still to be sent. A letter is written in the accounts store before anybody is told that it is on its way, and taken out when a mail
//! server has accepted it: a crash in between loses none.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::StoreError;
use crate::model::clock::Timestamp;

/// A letter that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its name; a UUIDv7.
    pub id: Uuid,
    /// What it says and to whom, sealed: it may hold a link that lets somebody in.
    pub sealed: Vec<u8>,
    /// When it was written.
    pub created_at: Timestamp,
    /// Not before this is it to be sent.
    pub due_at: Timestamp,
    /// How often it was claimed.
    pub attempts: u32,
}

/// The letters of all gateways.
#[async_trait]
pub trait Outbox: Send + Sync + std::fmt::Debug {
    /// Writes a letter. Writing it again changes nothing.
    async fn post(&self, letter: &Letter) -> Result<(), StoreError>;
    /// Some letters that are due, the longest waiting first, at most `limit`. They are the caller's for the time of `lease` and then due again, so that of
    /// any number of gateways one sends each, and a gateway that dies keeps none. An attempt is counted.
    async fn claim(&self, now: Timestamp, lease: Duration, limit: u32) -> Result<Vec<Letter>, StoreError>;
    /// Lets a letter be due at a later moment. `false`: there is no such letter.
    async fn put_off(&self, id: Uuid, until: Timestamp) -> Result<bool, StoreError>;
    /// Takes a letter out: it was sent, or is given up. `false`: there is no such letter.
    async fn take_out(&self, id: Uuid) -> Result<bool, StoreError>;
    /// How many letters wait.
    async fn waiting(&self) -> Result<u64, StoreError>;
}
