//! The promises that stores make, and the one place that picks who keeps them.
//!
//! One method is one atomic promise, named for what it means, so that no transaction leaks out: a backend keeps it its own way (a transaction, a
//! script). Absence is `None`, never an error. `tests/it/store_contract.rs` holds every backend to the same words.

pub mod accounts;
mod breaker;
pub mod ephemeral;
pub mod factors;
pub mod moving;
pub mod outbox;
pub mod pair;
mod postgres;
mod redis;
pub mod sessions;
pub(crate) mod sqlite;
mod watched;

use std::sync::Arc;

use crate::config::{self, StoreUrl};
use crate::telemetry::Metrics;
use accounts::AccountStore;
use ephemeral::EphemeralStore;
use factors::FactorStore;
use outbox::Outbox;
use pair::PairStore;
use sessions::SessionStore;
use watched::{Watch, Watched};

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
    /// What users have beside their passwords.
    pub factors: Arc<dyn FactorStore>,
    /// Letters that are still to be sent.
    pub outbox: Arc<dyn Outbox>,
    /// Sign-ins.
    pub sessions: Arc<dyn SessionStore>,
    /// Facts that pass: revocations, counters.
    pub ephemeral: Arc<dyn EphemeralStore>,
    /// The first two at one go, where they are kept in one place.
    pub pairs: Option<Arc<dyn PairStore>>,
}

/// What metrics and messages call the store of users and keys.
const ACCOUNTS: &str = "accounts";
/// What they call the store of everything else.
const SESSIONS: &str = "sessions";

impl Stores {
    /// Opens what the settings name, making and migrating an embedded file as needed. Each call to what it returns has the settings' time limit and
    /// is counted in `metrics`.
    ///
    /// # Errors
    /// When a store cannot be reached or is of a newer version.
    pub async fn open(settings: &config::Store, metrics: &Arc<Metrics>) -> Result<Self, StoreError> {
        Self::open_with(settings, metrics, false).await
    }

    /// The same for a gateway that starts: a server that cannot be reached is waited for behind its back. Calls are refused until it answers.
    ///
    /// # Errors
    /// When an embedded file is of no use, or a server refuses us (a wrong password, a certificate for another name): nobody's waiting mends that.
    pub async fn open_patiently(settings: &config::Store, metrics: &Arc<Metrics>) -> Result<Self, StoreError> {
        Self::open_with(settings, metrics, true).await
    }

    async fn open_with(settings: &config::Store, metrics: &Arc<Metrics>, patient: bool) -> Result<Self, StoreError> {
        let watch = |store| Watch::new(store, settings.timeout, Arc::clone(metrics));
        let mut files = sqlite::Files::new(settings.timeout);

        let (accounts, factors, outbox): (Arc<dyn AccountStore>, Arc<dyn FactorStore>, Arc<dyn Outbox>) =
            match &settings.accounts {
                StoreUrl::Sqlite(path) => {
                    let watch = watch(ACCOUNTS);
                    let opened = watch.report(files.open(path, ACCOUNTS).await)?;
                    let watched = Arc::new(Watched::new(opened, watch));
                    (watched.clone(), watched.clone(), watched)
                }
                StoreUrl::Postgres(server) => {
                    let watch = watch(ACCOUNTS);
                    let opened = watch.report(postgres::Postgres::open(server, settings, ACCOUNTS, patient).await)?;
                    let watched = Arc::new(Watched::new(opened, watch));
                    (watched.clone(), watched.clone(), watched)
                }
                StoreUrl::Redis(_) => return Err(misplaced(ACCOUNTS)),
            };
        let mut pairs: Option<Arc<dyn PairStore>> = None;
        let (sessions, ephemeral): (Arc<dyn SessionStore>, Arc<dyn EphemeralStore>) = match &settings.sessions {
            StoreUrl::Sqlite(path) => {
                let watch = watch(SESSIONS);
                let opened = watch.report(files.open(path, SESSIONS).await)?;
                let watched = Arc::new(Watched::new(opened, watch));
                if matches!(&settings.accounts, StoreUrl::Sqlite(accounts) if accounts == path) {
                    pairs = Some(watched.clone());
                }
                (watched.clone(), watched)
            }
            StoreUrl::Redis(server) => {
                let watch = watch(SESSIONS);
                let opened = watch.report(redis::Redis::open(server, settings, SESSIONS, patient).await)?;
                let watched = Arc::new(Watched::new(opened, watch));
                (watched.clone(), watched)
            }
            StoreUrl::Postgres(_) => return Err(misplaced(SESSIONS)),
        };
        Ok(Self {
            accounts,
            factors,
            outbox,
            sessions,
            ephemeral,
            pairs,
        })
    }
}

/// A store that cannot be kept there, which `config` says before.
fn misplaced(store: &'static str) -> StoreError {
    StoreError::Unavailable {
        store,
        source: Some("this kind of server cannot keep it".into()),
    }
}
