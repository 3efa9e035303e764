//! A wall clock that a test moves while the gateway runs.
//!
//! libfaketime stands between the real binary and the C library, and reads what to add to the time from a file, at each call anew. Monotonic time (timeouts,
//! timers) and the times of files go on as they are, as on a machine whose clock was set, or that slept.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Shifts the wall clock of whatever process is started with its `environment`.
pub struct WallClock {
    library: PathBuf,
    file: PathBuf,
}

impl WallClock {
    /// A clock that shows the right time; its file is in `dir`.
    #[track_caller]
    pub fn right(dir: &Path) -> Self {
        let clock = Self {
            library: library().expect("libfaketime is there; tests/run installs it"),
            file: dir.join("clock"),
        };
        clock.set_ahead(Duration::ZERO);
        clock
    }

    /// What a process needs to read it.
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("LD_PRELOAD", self.library.clone().into()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.clone().into()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("NO_FAKE_STAT", "1".into()),
        ]
    }

    /// Sets it so far ahead of the right time, from the next look at it on.
    #[track_caller]
    pub fn set_ahead(&self, by: Duration) {
        // Replaced in one step: a file that was just emptied would be read as the right time.
        let next = self.file.with_extension("next");
        std::fs::write(&next, format!("+{}", by.as_secs())).expect("the clock can be written");
        std::fs::rename(&next, &self.file).expect("the clock can be set");
    }
}

/// Debian keeps it in a folder that is named after the processor.
fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok);
    let paths = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    paths.into_iter().find(|path| path.exists())
}
