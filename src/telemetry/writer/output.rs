//! Where a log's lines end up.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::config::LogTarget;

/// Standard output, or a file and its name.
pub(super) enum Output {
    Stdout,
    File(File, PathBuf),
}

impl Output {
    /// Opens the target; `None` for nowhere.
    pub(super) fn open(target: &LogTarget) -> io::Result<Option<Self>> {
        Ok(match target {
            LogTarget::Off => None,
            LogTarget::Stdout => Some(Self::Stdout),
            LogTarget::File(path) => Some(Self::File(append_to(path)?, path.clone())),
        })
    }

    /// Opens a file by its name anew; keeps the old one when that fails.
    pub(super) fn reopen(&mut self) {
        let Self::File(file, path) = self else { return };
        match append_to(path) {
            Ok(opened) => *file = opened,
            Err(error) => {
                tracing::error!(log.target = %path.display(), %error, "log file could not be opened again; the old one stays in use");
            }
        }
    }

    /// Writes what follows `from` and moves `from` along, so that a broken write is taken up where it broke.
    pub(super) fn write(&mut self, bytes: &[u8], from: &mut usize) -> io::Result<()> {
        while let Some(rest) = bytes.get(*from..).filter(|rest| !rest.is_empty()) {
            let outcome = match self {
                Self::Stdout => io::stdout().write_all(rest).map(|()| rest.len()),
                Self::File(file, _) => file.write(rest),
            };
            match outcome {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => *from += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        match self {
            Self::Stdout => io::stdout().flush(),
            Self::File(..) => Ok(()),
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Stdout => "stdout".to_owned(),
            Self::File(_, path) => path.display().to_string(),
        }
    }
}

/// Opens a log file, readable by its owner and group only: it names people and addresses.
fn append_to(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}
