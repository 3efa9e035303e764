//! The embedded store: one SQLite file that keeps all three promises for any number of processes on one machine.
//!
//! The file is in WAL mode: what is acknowledged survives kill -9, and the power too unless its `Durability` says otherwise. Writers of one process take
//! turns in memory; another process (the command line) is waited for by SQLite's own busy handler. Multi-statement promises run under `BEGIN IMMEDIATE`,
//! so none of them fails half-way for want of the lock.

mod accounts;
mod columns;
mod disk;
mod ephemeral;
mod factors;
mod file;
mod outbox;
mod readers;
mod sessions;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::SqliteExecutor;
use sqlx::sqlite::SqliteArguments;

use super::StoreError;
use columns::{FromColumns, Unreadable};
use file::{DatabaseFile, Turn};

/// One statement with its values.
type Query<'q> = sqlx::query::Query<'q, sqlx::Sqlite, SqliteArguments>;

/// Whether a change must outlive a power failure once it is acknowledged. Every change outlives the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Durability {
    /// It must: the answer waits for the disk.
    Synced,
    /// It may be lost with the power (as may every other such change of the last seconds), and costs no wait.
    Lax,
}

/// The SQLite files of this process. Stores that name the same file share it.
#[derive(Debug)]
pub(super) struct Files {
    limit: Duration,
    opened: Vec<(PathBuf, Arc<DatabaseFile>)>,
}

impl Files {
    /// None yet. `limit` is how long a call may take in all.
    pub(super) fn new(limit: Duration) -> Self {
        let opened = Vec::new();
        Self { limit, opened }
    }

    /// The file at `path`, made and migrated as needed, for the store called `store`.
    pub(super) async fn open(&mut self, path: &Path, store: &'static str) -> Result<Sqlite, StoreError> {
        let path = file::make(path).map_err(|error| failed(store, error.into()))?;
        let known = self.opened.iter().find(|(opened, _)| *opened == path);
        let file = match known {
            Some((_, file)) => Arc::clone(file),
            None => {
                let file = Arc::new(DatabaseFile::open(&path, self.limit, store).await?);
                self.opened.push((path, Arc::clone(&file)));
                file
            }
        };
        Ok(Sqlite { file, store })
    }
}

/// One store's use of a file. Any of its methods may be dropped half-way: what then was begun is rolled back, or was done.
#[derive(Clone, Debug)]
pub(super) struct Sqlite {
    file: Arc<DatabaseFile>,
    store: &'static str,
}

impl Sqlite {
    /// All rows of a question.
    async fn read<T: FromColumns>(&self, question: Query<'_>) -> Result<Vec<T>, StoreError> {
        let reader = self.file.readers().lend().await;
        let mut reader = reader.map_err(|error| self.failed(error))?;
        let rows = fetch(reader.connection(), question)
            .await
            .map_err(|error| error.of(self.store))?;
        reader.keep();
        Ok(rows)
    }

    /// The first row of a question.
    async fn read_one<T: FromColumns>(&self, question: Query<'_>) -> Result<Option<T>, StoreError> {
        Ok(self.read(question).await?.into_iter().next())
    }

    /// The answer to `SELECT count(*)`.
    async fn count_rows(&self, question: Query<'_>) -> Result<u64, StoreError> {
        let count = self.read_one::<i64>(question).await?.unwrap_or_default();
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// One statement that changes rows; says how many.
    async fn change(&self, durability: Durability, statement: Query<'_>) -> Result<u64, StoreError> {
        let mut turn = self.turn().await?;
        let changed = turn.execute(statement).await.map_err(|error| self.failed(error))?;
        turn.keep();
        if changed > 0 {
            self.endure(durability).await?;
        }
        Ok(changed)
    }

    /// One statement that changes rows and returns them (`RETURNING`). Changes nothing when one of them cannot be read.
    async fn change_returning<T: FromColumns>(
        &self,
        durability: Durability,
        statement: Query<'_>,
    ) -> Result<Vec<T>, StoreError> {
        let mut change = self.begin().await?;
        let rows = change.fetch(statement).await?;
        change.commit().await?;
        if !rows.is_empty() {
            self.endure(durability).await?;
        }
        Ok(rows)
    }

    /// Statements that change rows and commit by themselves, with all that they return: one trip to the connection's thread, where a transaction from here
    /// takes three. When a row cannot be read, what they have committed until then stays.
    async fn in_one_trip<T: FromColumns>(&self, statements: Query<'_>) -> Result<Vec<T>, StoreError> {
        let mut turn = self.turn().await?;
        let rows = fetch(turn.connection(), statements)
            .await
            .map_err(|error| error.of(self.store))?;
        turn.keep();
        Ok(rows)
    }

    /// Begins several statements that become true together; whoever commits them sees to their durability.
    async fn begin(&self) -> Result<Change<'_>, StoreError> {
        let mut turn = self.turn().await?;
        let begun = turn.execute(sqlx::query("BEGIN IMMEDIATE")).await;
        begun.map_err(|error| self.failed(error))?;
        let store = self.store;
        Ok(Change { turn, store })
    }

    async fn turn(&self) -> Result<Turn<'_>, StoreError> {
        self.file.turn().await.map_err(|error| self.failed(error))
    }

    /// Returns when what was just committed is as durable as it must be. What is committed stands even when the disk fails, so that is `Unanswered`.
    async fn endure(&self, durability: Durability) -> Result<(), StoreError> {
        if durability == Durability::Lax {
            return Ok(());
        }
        self.file.disk.reached().await.map_err(|error| {
            tracing::error!(store = self.store, %error, "the write-ahead log cannot be synced to disk");
            StoreError::Unanswered { store: self.store }
        })
    }

    /// Touches the file, so that a missing or damaged one shows.
    async fn touch(&self) -> Result<(), StoreError> {
        self.read::<Vec<u8>>(sqlx::query("SELECT id FROM stream"))
            .await
            .map(|_| ())
    }

    fn failed(&self, error: sqlx::Error) -> StoreError {
        failed(self.store, error)
    }
}

/// Several statements that become true together. Dropped before `commit`, none of them does: its connection is closed, and SQLite rolls back.
struct Change<'a> {
    turn: Turn<'a>,
    store: &'static str,
}

impl Change<'_> {
    async fn execute(&mut self, statement: Query<'_>) -> Result<u64, StoreError> {
        let changed = self.turn.execute(statement).await;
        changed.map_err(|error| failed(self.store, error))
    }

    async fn fetch<T: FromColumns>(&mut self, question: Query<'_>) -> Result<Vec<T>, StoreError> {
        let rows = fetch(self.turn.connection(), question).await;
        rows.map_err(|error| error.of(self.store))
    }

    async fn commit(mut self) -> Result<(), StoreError> {
        self.execute(sqlx::query("COMMIT")).await?;
        self.turn.keep();
        Ok(())
    }

    async fn roll_back(mut self) -> Result<(), StoreError> {
        self.execute(sqlx::query("ROLLBACK")).await?;
        self.turn.keep();
        Ok(())
    }
}

/// Why rows did not come.
enum Fault {
    Driver(sqlx::Error),
    Unreadable(Unreadable),
}

impl Fault {
    fn of(self, store: &'static str) -> StoreError {
        match self {
            Self::Driver(error) => failed(store, error),
            Self::Unreadable(Unreadable(what)) => StoreError::Damaged { store, what },
        }
    }
}

/// Reads to the very end, never just the first row: SQLite commits a `RETURNING` statement on its last step, and only then an error would show.
async fn fetch<'c, T: FromColumns>(executor: impl SqliteExecutor<'c>, question: Query<'_>) -> Result<Vec<T>, Fault> {
    let mut rows = question.fetch(executor);
    let mut found = Vec::new();
    while let Some(row) = rows.try_next().await.map_err(Fault::Driver)? {
        found.push(T::from_columns(&row).map_err(Fault::Unreadable)?);
    }
    Ok(found)
}

/// SQLITE_CORRUPT and SQLITE_NOTADB (sqlite.org/rescode.html): the file itself cannot be read.
const UNREADABLE_FILE: [i32; 2] = [11, 26];

fn failed(store: &'static str, error: sqlx::Error) -> StoreError {
    if primary_code(&error).is_some_and(|code| UNREADABLE_FILE.contains(&code)) {
        let what = "the database file".to_owned();
        return StoreError::Damaged { store, what };
    }
    StoreError::Unavailable {
        store,
        source: Some(Box::new(error)),
    }
}

/// SQLite's primary result code: the low byte of the extended one.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    Some(code.parse::<i32>().ok()? & 0xff)
}
