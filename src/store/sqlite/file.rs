//! One SQLite file and this process's connections to it: some readers, one writer, watchers for followers.
//!
//! A writing connection that failed, or whose caller gave up, is closed instead of being used again: closing rolls back whatever it had begun, so no
//! half-done transaction can reach the next caller. Opening a new one costs less than a millisecond.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex as BriefLock, PoisonError};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard, Notify};
use tokio::time::{Instant, sleep};

use super::disk::Disk;
use super::readers::Readers;
use super::{Query, failed, primary_code};
use crate::model::secret;
use crate::store::StoreError;

/// Every step of the schema, oldest first. Each script sets `user_version` to its number; a landed script is never changed.
const MIGRATIONS: [&str; 2] = [
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_factors.sql"),
];

/// SQLITE_BUSY (sqlite.org/rescode.html): somebody else holds the lock.
const BUSY: i32 = 5;

/// The file, opened.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    options: SqliteConnectOptions,
    readers: Readers,
    writer: Mutex<Option<SqliteConnection>>,
    watchers: BriefLock<Vec<SqliteConnection>>,
    /// Told after each revocation that this process wrote.
    pub(super) news: Notify,
    /// What durable changes wait for.
    pub(super) disk: Disk,
    /// How long a call may take in all.
    pub(super) limit: Duration,
}

/// Makes the file and its folder where they are missing, for the owner's eyes only, and gives the file's one true name.
///
/// An existing file is not even opened: closing it again would take away the locks that another connection of this process holds on it
/// (sqlite.org/howtocorrupt.html §2.2). SQLite gives its side files the permissions of the main one.
pub(super) fn make(path: &Path) -> io::Result<PathBuf> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => path.canonicalize(),
    }
}

impl DatabaseFile {
    /// Opens the file that `make` made, and brings its schema up to date.
    pub(super) async fn open(path: &Path, limit: Duration, store: &'static str) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .foreign_keys(true)
            // Shorter than a whole call, so that "somebody holds the lock" is said as such, before the caller's limit hides it.
            .busy_timeout(limit.saturating_mul(3) / 4)
            .synchronous(SqliteSynchronous::Normal)
            .disable_statement_logging();
        let unavailable = |error| failed(store, error);
        let mut first = connect_in_wal(&options, limit).await.map_err(unavailable)?;
        migrate(&mut first, store).await?;
        Ok(Self {
            readers: Readers::of(&options),
            options,
            writer: Mutex::new(Some(first)),
            watchers: BriefLock::default(),
            news: Notify::new(),
            disk: Disk::of(path),
            limit,
        })
    }

    pub(super) fn readers(&self) -> &Readers {
        &self.readers
    }

    /// Waits for this process's turn to write. Turns are taken in order of asking.
    pub(super) async fn turn(&self) -> Result<Turn<'_>, sqlx::Error> {
        let mut writer = self.writer.lock().await;
        let connection = match writer.take() {
            Some(connection) => connection,
            None => connect(&self.options).await?,
        };
        Ok(Turn { writer, connection })
    }

    /// A connection for one follower alone, since `PRAGMA data_version` means something only beside an earlier answer of the same connection.
    pub(super) async fn watcher(&self) -> Result<SqliteConnection, sqlx::Error> {
        let kept = self.watchers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match kept {
            Some(connection) => Ok(connection),
            None => connect(&self.options.clone().pragma("query_only", "ON")).await,
        }
    }

    /// Keeps a watcher for the next follower.
    pub(super) fn keep_watcher(&self, connection: SqliteConnection) {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.push(connection);
    }
}

/// The right to write, with a connection. Unless it is given back by `keep`, the connection is closed.
pub(super) struct Turn<'a> {
    writer: MutexGuard<'a, Option<SqliteConnection>>,
    connection: SqliteConnection,
}

impl Turn<'_> {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    pub(super) async fn execute(&mut self, statement: Query<'_>) -> Result<u64, sqlx::Error> {
        Ok(statement.execute(&mut self.connection).await?.rows_affected())
    }

    /// Ends the turn; the connection is sound and may be used again.
    pub(super) fn keep(mut self) {
        *self.writer = Some(self.connection);
    }
}

/// Connects, on a thread of the runtime: the connection's own thread then begins with that one's priority, and does not take CPU from requests on
/// their way through.
pub(super) async fn connect(options: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    let options = options.clone();
    tokio::spawn(async move { options.connect().await })
        .await
        .unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

/// Connects and switches the file to WAL. SQLite does not wait for the lock that the very first switch needs, so two processes that make the file at
/// the same time would trip over each other: we wait instead.
async fn connect_in_wal(options: &SqliteConnectOptions, patience: Duration) -> Result<SqliteConnection, sqlx::Error> {
    let options = options.clone().journal_mode(SqliteJournalMode::Wal);
    let deadline = Instant::now() + patience;
    let mut connection = loop {
        match connect(&options).await {
            Err(error) if primary_code(&error) == Some(BUSY) && Instant::now() < deadline => {
                sleep(Duration::from_millis(5)).await;
            }
            outcome => break outcome?,
        }
    };
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut connection)
        .await?;
    if mode != "wal" {
        let why = "the file system cannot hold a write-ahead log; keep the file on a local disk";
        return Err(io::Error::other(why).into());
    }
    Ok(connection)
}

/// Brings the schema up to date in one transaction, so that processes that start together do it once.
async fn migrate(connection: &mut SqliteConnection, store: &'static str) -> Result<(), StoreError> {
    if version(connection, store).await? == MIGRATIONS.len() {
        return Ok(());
    }
    let unavailable = |error| failed(store, error);
    run(connection, "BEGIN IMMEDIATE").await.map_err(unavailable)?;
    let done = version(connection, store).await?;
    for script in MIGRATIONS.iter().skip(done) {
        run(connection, script).await.map_err(unavailable)?;
    }
    if done == 0 {
        name_stream(connection).await.map_err(unavailable)?;
    }
    run(connection, "COMMIT").await.map_err(unavailable)
}

async fn run(connection: &mut SqliteConnection, script: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(script).execute(connection).await.map(|_| ())
}

/// How many migrations the file has been through.
async fn version(connection: &mut SqliteConnection, store: &'static str) -> Result<usize, StoreError> {
    let found: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(connection)
        .await
        .map_err(|error| failed(store, error))?;
    match usize::try_from(found) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(StoreError::Damaged {
            store,
            what: format!(
                "the file's schema is version {found}, and this program knows versions up to {}; run the newer program",
                MIGRATIONS.len()
            ),
        }),
    }
}

async fn name_stream(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let id: [u8; 16] = secret::random().map_err(|error| sqlx::Error::Io(io::Error::other(error)))?;
    let insert = sqlx::query("INSERT INTO stream (id) VALUES (?1)").bind(id.to_vec());
    insert.execute(connection).await.map(|_| ())
}
