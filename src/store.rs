//! The promises that stores make, and the one place that picks who keeps them.
//!
//! One method is one atomic promise, named for what it means, so that no transaction leaks out: a backend keeps it its own way (a transaction, a
//! script). Absence is `None`, never an error. `tests/it/store_contract.rs` holds every backend to the same words.

pub mod accounts;
pub mod ephemeral;
pub mod sessions;
pub(crate) mod sqlite;

use std::sync::Arc;

use crate::config;
use crate::telemetry::Metrics;
use accounts::AccountStore;
use ephemeral::EphemeralStore;
use sessions::SessionStore;

/// A store did not do what it was asked to. Nothing was changed unless `Unanswered`.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or its breaker is open.
    #[error("the {store} store cannot be reached")]
    Unavailable {
        /// `accounts` or `sessions`
        store: &'static str,
        /// What the driver said.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// It did not answer within the time limit; the change may have been made.
    #[error("the {store} store did not answer in time")]
    Unanswered {
        /// `accounts` or `sessions`
        store: &'static str,
    },
    /// It holds something that this version cannot read.
    #[error("the {store} store holds a damaged record: {what}")]
    Damaged {
        /// `accounts` or `sessions`
        store: &'static str,
        /// Which record, without its secret parts.
        what: String,
    },
}

/// All stores, opened and migrated.
#[derive(Clone, Debug)]
pub struct Stores {
    /// Users and signing keys.
    pub accounts: Arc<dyn AccountStore>,
    /// Sign-ins.
    pub sessions: Arc<dyn SessionStore>,
    /// Facts that pass: revocations, counters.
    pub ephemeral: Arc<dyn EphemeralStore>,
}

impl Stores {
    /// Opens what the settings name, making and migrating an embedded file as needed.
    ///
    /// # Errors
    /// When a store cannot be reached or is of a newer version.
    pub async fn open(settings: &config::Store, metrics: &Metrics) -> Result<Self, StoreError> {
        let _ = (settings, metrics);
        todo!()
    }
}
