//! When to read the configuration again: on SIGHUP, and when its file has changed. What a reload does is `app`'s.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::stamp::Stamp;

/// How often the file is looked at. Polling sees what notification misses: mounts swapped underneath, network file systems.
const EVERY: Duration = Duration::from_secs(1);

/// A file that did not change for so long is whole; who writes on and on is waited for this often.
const SETTLED_AFTER: Duration = Duration::from_millis(50);
const LOOKS: usize = 20;

/// Why to read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// SIGHUP.
    Signal,
    /// The file is another one, or has other content.
    File,
}

/// A watch over one configuration file.
#[derive(Debug)]
pub struct Watch {
    file: PathBuf,
    seen: Stamp,
    hangup: Signal,
}

impl Watch {
    /// Begins to watch. Call it before the file is read for the first time, so that no change falls in between.
    ///
    /// # Errors
    /// When the signal cannot be caught.
    pub fn begin(file: &Path) -> std::io::Result<Self> {
        Ok(Self {
            file: file.to_owned(),
            seen: Stamp::of(file),
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next cause, and until nobody is writing the file any more.
    pub async fn next(&mut self) -> Cause {
        let mut looks = tokio::time::interval(EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let cause = loop {
            tokio::select! {
                _ = self.hangup.recv() => break Cause::Signal,
                _ = looks.tick() => {
                    if self.has_moved() && Stamp::of(&self.file).is_there() {
                        break Cause::File;
                    }
                }
            }
        };
        self.settle().await;
        cause
    }

    /// Whether the file has changed since `next`: what was read of it may be half of one and half of another.
    pub fn has_moved(&self) -> bool {
        Stamp::of(&self.file) != self.seen
    }

    /// An editor that writes in place leaves the file empty for a moment, and half a configuration can be a valid one.
    async fn settle(&mut self) {
        for _ in 0..LOOKS {
            self.seen = Stamp::of(&self.file);
            tokio::time::sleep(SETTLED_AFTER).await;
            if self.seen.is_there() && !self.has_moved() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_renamed_into_place_is_seen() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("gateward.toml");
        std::fs::write(&file, "a = 1").expect("written");
        let mut watch = Watch::begin(&file).expect("watching");
        let beside = dir.path().join("new");
        std::fs::write(&beside, "a = 2").expect("written");
        std::fs::rename(&beside, &file).expect("renamed");
        assert_eq!(watch.next().await, Cause::File);
    }
}
