//! What shows that a file was changed or put in another's place: time, length and inode, so that an atomic rename is seen as well.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A file's state at one look; equal stamps mean the same content. A file that is not there has one too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp(Option<(u64, u64, u64, i64, i64)>);

impl Stamp {
    /// Looks at the file behind a path, through symbolic links (secret mounts swap a link).
    pub fn of(path: &Path) -> Self {
        let facts = std::fs::metadata(path).ok();
        Self(facts.map(|file| (file.dev(), file.ino(), file.len(), file.mtime(), file.mtime_nsec())))
    }
}
