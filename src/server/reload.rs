//! When to read the configuration again: on SIGHUP, and when its file has changed. What a reload does is `app`'s.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::stamp::Stamp;

/// How often the file is looked at. Polling sees what notification misses: mounts swapped underneath, network file systems.
const EVERY: Duration = Duration::from_secs(1);

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

    /// Waits for the next cause.
    pub async fn next(&mut self) -> Cause {
        let mut looks = tokio::time::interval(EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = self.hangup.recv() => {
                    self.seen = Stamp::of(&self.file);
                    return Cause::Signal;
                }
                _ = looks.tick() => {
                    let now = Stamp::of(&self.file);
                    // A file that is gone is in the middle of being replaced.
                    if now != self.seen && now != Stamp::default() {
                        self.seen = now;
                        return Cause::File;
                    }
                }
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
