//! What shows that a file was changed or put in another's place: time, length and inode, so that an atomic rename is seen as well.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A file's state at one look; equal stamps mean the same content. A file that is not there has one too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp(Option<Facts>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Facts {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// Looks at the file behind a path, through symbolic links (secret mounts swap a link).
    pub fn of(path: &Path) -> Self {
        let facts = std::fs::metadata(path).ok();
        Self(facts.map(|file| Facts {
            device: file.dev(),
            inode: file.ino(),
            length: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
        }))
    }

    /// Whether there is a file with something in it; while one is being replaced there may be none.
    pub fn is_there(self) -> bool {
        self.0.is_some_and(|facts| facts.length > 0)
    }
}
