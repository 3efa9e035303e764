//! Waiting for the disk, together.
//!
//! `synchronous = FULL` would sync the write-ahead log inside every commit, one after the other and with the writer's turn held: some milliseconds
//! each, and nobody else writes meanwhile. Instead commits only write (`NORMAL`), and whoever promised durability then waits for one sync of the log
//! that began after its commit; one sync serves all who wait. It is the same sync of the same file, later. A checkpoint in between does no harm:
//! SQLite syncs the log before it copies from it, and the database before it lets go of the log (sqlite.org/wal.html, "Checkpointing").

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

/// The log of one database file.
#[derive(Debug)]
pub(super) struct Disk {
    log: PathBuf,
    /// How many commits have asked.
    asked: AtomicU64,
    /// How many of them are on disk. Held while syncing, so that the others wait in line.
    served: Mutex<u64>,
}

impl Disk {
    /// Of the database at `path`.
    pub(super) fn of(path: &Path) -> Self {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        Self {
            log: log.into(),
            asked: AtomicU64::new(0),
            served: Mutex::new(0),
        }
    }

    /// Returns when everything committed before the call is on disk.
    pub(super) async fn reached(&self) -> io::Result<()> {
        let mine = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut served = self.served.lock().await;
        if *served >= mine {
            return Ok(());
        }
        let asked = self.asked.load(Ordering::SeqCst);
        let log = self.log.clone();
        // The log carries none of SQLite's locks (those are on its two siblings), so opening and closing it takes none away.
        spawn_blocking(move || File::open(log)?.sync_data()).await??;
        *served = asked;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn one_sync_serves_all_who_asked_before_it_began() {
        let folder = tempfile::TempDir::new().unwrap();
        let disk = Arc::new(Disk::of(&folder.path().join("db")));
        std::fs::write(folder.path().join("db-wal"), "frames").unwrap();

        let first_in_line = disk.served.lock().await;
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let disk = Arc::clone(&disk);
                tokio::spawn(async move { disk.reached().await })
            })
            .collect();
        while disk.asked.load(Ordering::SeqCst) < 20 {
            tokio::task::yield_now().await;
        }
        drop(first_in_line);
        let mut waiting = waiting.into_iter();
        waiting.next().unwrap().await.unwrap().unwrap();
        assert_eq!(*disk.served.lock().await, 20);
        for served in waiting {
            served.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn what_could_not_be_synced_is_not_called_safe() {
        let folder = tempfile::TempDir::new().unwrap();
        let disk = Disk::of(&folder.path().join("db"));
        assert!(disk.reached().await.is_err());
        assert!(disk.reached().await.is_err());
        std::fs::write(folder.path().join("db-wal"), "frames").unwrap();
        assert!(disk.reached().await.is_ok());
    }
}
