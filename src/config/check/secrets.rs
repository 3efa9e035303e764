//! Secrets that stand in files of their own.

use super::Folder;
use crate::config::read::{Reader, Written};
use crate::config::servers::ServerPassword;
use crate::config::values::FilePath;

/// The secret in a file; `None` after noting why there is none.
pub(super) fn secret(reader: &mut Reader, written: &Written<FilePath>, folder: &Folder<'_>) -> Option<ServerPassword> {
    let path = folder.file(&written.value);
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()));
    let secret = text.and_then(|text| match text.trim_end_matches(['\r', '\n']) {
        "" => Err("is empty".to_owned()),
        secret => Ok(ServerPassword::new(secret.to_owned())),
    });
    secret.map_err(|wrong| reader.mistake(&written.place, wrong)).ok()
}
