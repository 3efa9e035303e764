//! `[store]`: a store for each need, and one password for each server, and for those who know where a server is.

use std::path::PathBuf;

use super::Folder;
use super::secrets::secret;
use crate::config::file;
use crate::config::read::{Reader, Written};
use crate::config::servers::{self, RedisForm, ServerPassword};
use crate::config::values::{FilePath, StoreAt};
use crate::config::{Store, StoreUrl};

pub(super) fn store(reader: &mut Reader, file: &file::Store, folder: &Folder<'_>) -> Store {
    let ca_file = file.ca_file.as_ref().map(|written| folder.file(&written.value));
    let accounts = url(
        reader,
        &file.accounts,
        file.accounts_password_file.as_ref(),
        ca_file.as_ref(),
        folder,
    );
    let mut sessions = url(
        reader,
        &file.sessions,
        file.sessions_password_file.as_ref(),
        ca_file.as_ref(),
        folder,
    );
    sentinel_password(reader, file, &mut sessions, folder);
    if matches!(accounts, StoreUrl::Redis(_)) {
        reader.mistake(
            &file.accounts.place,
            "must outlive everything; accounts are kept in `sqlite://` or `postgres://`",
        );
    }
    if matches!(sessions, StoreUrl::Postgres(_)) {
        reader.mistake(
            &file.sessions.place,
            "is asked on every sign-in and renewal; sessions are kept in `sqlite://` or `redis://`",
        );
    }
    authorities_are_readable(reader, file.ca_file.as_ref(), ca_file.as_ref());
    Store {
        accounts,
        sessions,
        secret_file: folder.file(&file.secret_file.value),
        connect_timeout: file.connect_timeout.value.0,
        timeout: file.timeout.value.0,
        max_staleness: file.max_staleness.value.0,
    }
}

fn url(
    reader: &mut Reader,
    at: &Written<StoreAt>,
    password_file: Option<&Written<FilePath>>,
    ca_file: Option<&PathBuf>,
    folder: &Folder<'_>,
) -> StoreUrl {
    let mut url = match &at.value {
        StoreAt::File(path) => StoreUrl::Sqlite(folder.join(path)),
        StoreAt::Postgres(server) => StoreUrl::Postgres(server.clone()),
        StoreAt::Redis(server) => StoreUrl::Redis(server.clone()),
    };
    let slot = match &mut url {
        StoreUrl::Sqlite(_) => None,
        StoreUrl::Postgres(server) => {
            server.ca_file = ca_file.cloned();
            Some(&mut server.password)
        }
        StoreUrl::Redis(server) => {
            server.ca_file = ca_file.cloned();
            Some(&mut server.password)
        }
    };
    if let Some(written) = password_file
        && !(slot.is_none() && at.broken)
    {
        let needless = "is a password for a file, which needs none; take it out";
        fill(reader, written, slot, needless, folder);
    }
    url
}

fn sentinel_password(reader: &mut Reader, file: &file::Store, sessions: &mut StoreUrl, folder: &Folder<'_>) {
    let Some(written) = &file.sentinel_password_file else {
        return;
    };
    let slot = match sessions {
        StoreUrl::Redis(servers::Redis {
            form: RedisForm::Sentinel { login, .. },
            ..
        }) => Some(&mut login.password),
        _ => None,
    };
    if slot.is_none() && file.sessions.broken {
        return;
    }
    let needless = "is a password for sentinels, but store.sessions names none; take it out";
    fill(reader, written, slot, needless, folder);
}

/// Puts the password of a file where there is none yet.
pub(super) fn fill(
    reader: &mut Reader,
    written: &Written<FilePath>,
    slot: Option<&mut Option<ServerPassword>>,
    needless: &str,
    folder: &Folder<'_>,
) {
    match slot {
        None => reader.mistake(&written.place, needless),
        Some(Some(_)) => reader.mistake(
            &written.place,
            "stands beside a password in the URL; keep one of the two",
        ),
        Some(slot) => *slot = secret(reader, written, folder),
    }
}

pub(super) fn authorities_are_readable(
    reader: &mut Reader,
    written: Option<&Written<FilePath>>,
    path: Option<&PathBuf>,
) {
    let (Some(written), Some(path)) = (written, path) else {
        return;
    };
    if let Err(wrong) = super::upstreams::authorities(path) {
        reader.mistake(&written.place, wrong);
    }
}
