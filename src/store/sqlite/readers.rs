//! Connections that only read, each lent to one question at a time.
//!
//! sqlx's own pool pings a connection that comes back, from a task made for it: a second trip to the connection's thread for every question. Here a
//! connection whose question was answered to the end is put back as it is, and any other is closed, as the writer's is.

use std::sync::{Mutex, PoisonError};

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::file::connect;

/// More than there are cores, since a reader may wait for the disk.
const MOST: usize = 4;

/// The readers of one file.
#[derive(Debug)]
pub(super) struct Readers {
    options: SqliteConnectOptions,
    free: Semaphore,
    idle: Mutex<Vec<SqliteConnection>>,
}

/// One of them. Unless it is given back by `keep`, the connection is closed.
pub(super) struct Reader<'a> {
    readers: &'a Readers,
    connection: SqliteConnection,
    /// Last, so that whoever waits for it finds the connection put back.
    _place: SemaphorePermit<'a>,
}

impl Readers {
    /// None are connected yet.
    pub(super) fn of(options: &SqliteConnectOptions) -> Self {
        Self {
            options: options.clone().pragma("query_only", "ON"),
            free: Semaphore::new(MOST),
            idle: Mutex::default(),
        }
    }

    /// A reader, as soon as one is free.
    pub(super) async fn lend(&self) -> Result<Reader<'_>, sqlx::Error> {
        let place = self.free.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match kept {
            Some(connection) => connection,
            None => connect(&self.options).await?,
        };
        Ok(Reader {
            readers: self,
            connection,
            _place: place,
        })
    }
}

impl Reader<'_> {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// The question was answered to the end; the connection is sound and may be used again.
    pub(super) fn keep(self) {
        let mut idle = self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(self.connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readers(folder: &tempfile::TempDir) -> Readers {
        let file = SqliteConnectOptions::new().filename(folder.path().join("db"));
        Readers::of(&file.create_if_missing(true))
    }

    #[tokio::test]
    async fn a_reader_that_was_kept_is_lent_again_and_one_that_was_dropped_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder);
        readers.lend().await.unwrap().keep();
        assert_eq!(readers.idle.lock().unwrap().len(), 1);
        drop(readers.lend().await.unwrap());
        assert!(readers.idle.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn whoever_comes_too_many_waits_for_one_to_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder);
        let mut lent = Vec::new();
        for _ in 0..MOST {
            lent.push(readers.lend().await.unwrap());
        }
        let mut waits = Box::pin(readers.lend());
        assert!(futures_util::poll!(&mut waits).is_pending());
        lent.pop().unwrap().keep();
        waits.await.unwrap();
    }

    #[tokio::test]
    async fn a_reader_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder);
        let mut reader = readers.lend().await.unwrap();
        let made = sqlx::query("CREATE TABLE t (a)").execute(reader.connection()).await;
        assert!(made.is_err());
    }
}
