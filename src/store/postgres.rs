//! Accounts and signing keys in PostgreSQL, or in an engine that speaks its protocol.
//!
//! Every question names the id or the address that its table is keyed by, so tables may be partitioned or sharded by them; only the operator's listing
//! and moving look everywhere. An account and its address change in one transaction: where they lie on different machines, the engine's own two-phase commit keeps
//! them together.
//!
//! A call waits `connect_timeout` for a connection and the server ends a statement by itself after `timeout`. After a failure the server is left alone
//! for a moment, and then one call tries while the others are refused at once. A server that is not there at the start is waited for.

mod accounts;
mod columns;
mod factors;
mod loan;
mod outbox;
mod schema;

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};

use super::StoreError;
use super::breaker::Breaker;
use crate::config;
use crate::config::servers::{self, ServerTls};
use columns::{FromColumns, Unreadable};
use loan::Loan;

/// One statement with its values.
type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, PgArguments>;

/// A connection unused for so long is closed.
const IDLE: Duration = Duration::from_secs(300);
/// A connection is made anew after so long, so that a server that took over gets its share.
const LIFE: Duration = Duration::from_secs(1800);

/// Between two attempts to bring the schema up to date.
const RETRY: Duration = Duration::from_millis(500);

/// PostgreSQL, opened and migrated.
#[derive(Clone, Debug)]
pub(super) struct Postgres {
    pool: PgPool,
    breaker: Arc<Breaker>,
    /// The schema is up to date.
    migrated: Arc<AtomicBool>,
    store: &'static str,
}

impl Postgres {
    /// Connects for the store called `store`, and brings the schema up to date. `patient`: a server that cannot be reached is tried again by a task of
    /// its own, and every call is refused until then.
    pub(super) async fn open(
        server: &servers::Postgres,
        settings: &config::Store,
        store: &'static str,
        patient: bool,
    ) -> Result<Self, StoreError> {
        let options = options(server, settings).map_err(|error| StoreError::Unavailable {
            store,
            source: Some(Box::new(error)),
        })?;
        let breaker = Arc::new(Breaker::new());
        let pool = pool(server, settings, &breaker).connect_lazy_with(options);
        let postgres = Self {
            pool,
            breaker,
            migrated: Arc::default(),
            store,
        };
        match schema::migrate(&postgres.pool).await {
            Err(fault) if patient && fault.is_of_the_network() => {
                tracing::warn!(error = %fault.of(store), "the server does not answer; it is tried again until it does");
                tokio::spawn(postgres.clone().migrate_later());
            }
            outcome => {
                outcome.map_err(|fault| fault.of(store))?;
                postgres.migrated.store(true, Ordering::Release);
            }
        }
        Ok(postgres)
    }

    async fn migrate_later(self) {
        let mut last = String::new();
        loop {
            tokio::time::sleep(RETRY).await;
            let Err(fault) = schema::migrate(&self.pool).await else {
                break;
            };
            let error = fault.of(self.store).to_string();
            if error != last {
                tracing::warn!(%error, "the schema cannot be brought up to date yet");
                last = error;
            }
        }
        self.migrated.store(true, Ordering::Release);
        tracing::info!(store = self.store, "the server answers");
    }

    /// All rows of a statement.
    async fn fetch<T: FromColumns>(&self, statement: Query<'_>) -> Result<Vec<T>, StoreError> {
        self.guarded(async {
            let mut loan = self.borrow().await?;
            let found = fetch(&mut loan, statement).await?;
            loan.give_back();
            Ok(found)
        })
        .await
    }

    /// The first row of a statement.
    async fn fetch_one<T: FromColumns>(&self, statement: Query<'_>) -> Result<Option<T>, StoreError> {
        Ok(self.fetch(statement).await?.into_iter().next())
    }

    /// One statement that changes rows; says how many.
    async fn change(&self, statement: Query<'_>) -> Result<u64, StoreError> {
        self.guarded(async {
            let mut loan = self.borrow().await?;
            let changed = statement.execute(&mut *loan).await?.rows_affected();
            loan.give_back();
            Ok(changed)
        })
        .await
    }

    /// A connection for some work, or for several statements that become true together.
    async fn borrow(&self) -> Result<Loan, Fault> {
        Ok(Loan::of(self.pool.acquire().await?))
    }

    /// Does some work unless the server is to be left alone.
    async fn guarded<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, StoreError> {
        let left_alone = StoreError::Unavailable {
            store: self.store,
            source: None,
        };
        if !self.migrated.load(Ordering::Acquire) {
            return Err(left_alone);
        }
        let pass = self.breaker.enter().ok_or(left_alone)?;
        let outcome = work.await;
        pass.came_of_it(!outcome.as_ref().is_err_and(Fault::is_of_the_server));
        outcome.map_err(|fault| fault.of(self.store))
    }
}

/// A connection from before a failure is not used again: it may lead to a server that is gone, and finding that out takes a whole limit each time.
fn pool(server: &servers::Postgres, settings: &config::Store, breaker: &Arc<Breaker>) -> PgPoolOptions {
    let breaker = Arc::clone(breaker);
    PgPoolOptions::new()
        .max_connections(server.connections)
        .acquire_timeout(settings.connect_timeout)
        .idle_timeout(IDLE)
        .max_lifetime(LIFE)
        .test_before_acquire(false)
        .before_acquire(move |connection, about| {
            let is_older = breaker.failed_within(about.age);
            Box::pin(async move {
                if is_older {
                    return Ok(false);
                }
                connection.ping().await?;
                Ok(true)
            })
        })
}

/// What the environment of the process says about PostgreSQL (`PGOPTIONS` and others) is not listened to, as far as the driver lets us.
fn options(server: &servers::Postgres, settings: &config::Store) -> std::io::Result<PgConnectOptions> {
    let limit = format!("{}ms", settings.timeout.as_millis().max(1));
    let mut options = PgConnectOptions::new_without_pgpass()
        .host(&server.address.host)
        .port(server.address.port)
        .username(&server.user)
        .password(server.password.as_ref().map_or("", |password| password.expose()))
        .database(&server.database)
        .application_name("gateward")
        .ssl_mode(match server.tls {
            ServerTls::Off => PgSslMode::Disable,
            ServerTls::Verify => PgSslMode::VerifyFull,
        })
        // A gateway that froze in the middle of a change must not keep others from the row.
        .options([
            ("statement_timeout", &limit),
            ("lock_timeout", &limit),
            ("idle_in_transaction_session_timeout", &limit),
        ])
        .disable_statement_logging();
    if let Some(path) = &server.ca_file {
        options = options.ssl_root_cert_from_pem(std::fs::read(path)?);
    }
    Ok(options)
}

/// Why something was not done.
enum Fault {
    Driver(sqlx::Error),
    Unreadable(Unreadable),
}

impl From<Unreadable> for Fault {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable(unreadable)
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

impl Fault {
    /// Whether it says that the server does not answer, rather than what it answered.
    fn is_of_the_server(&self) -> bool {
        matches!(
            self,
            Self::Driver(
                sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed
            )
        )
    }

    /// The same without what the server said, or what was found out about it: a wrong password or certificate does not mend by itself.
    fn is_of_the_network(&self) -> bool {
        match self {
            Self::Driver(sqlx::Error::Io(error)) => !is_distrust(error),
            other => matches!(other, Self::Driver(sqlx::Error::PoolTimedOut)),
        }
    }

    fn of(self, store: &'static str) -> StoreError {
        match self {
            // The connection broke on the way: what was sent may have been done.
            Self::Driver(sqlx::Error::Io(error))
                if error.kind() != ErrorKind::ConnectionRefused && !is_distrust(&error) =>
            {
                StoreError::Unanswered { store }
            }
            Self::Driver(error) => StoreError::Unavailable {
                store,
                source: Some(Box::new(error)),
            },
            Self::Unreadable(Unreadable(what)) => StoreError::Damaged { store, what },
        }
    }
}

/// Whether the server's certificate was not accepted, as the TLS library says it.
fn is_distrust(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::InvalidData
}

async fn fetch<T: FromColumns>(connection: &mut PgConnection, statement: Query<'_>) -> Result<Vec<T>, Fault> {
    let mut rows = statement.fetch(connection);
    let mut found = Vec::new();
    while let Some(row) = rows.try_next().await? {
        found.push(T::from_columns(&row)?);
    }
    Ok(found)
}
