//! The file with the installation's secret: read, or made at the first start of the embedded mode.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::AppError;
use crate::config::{self, StoreUrl};
use crate::model::secret::{self, Secret};

/// The secret that the settings name.
///
/// # Errors
/// When the file cannot be read or made, is no secret, or is missing although there is a store that was sealed with it.
pub fn open(settings: &config::Store) -> Result<Secret, AppError> {
    let path = &settings.secret_file;
    match std::fs::read_to_string(path).map(Zeroizing::new) {
        Ok(text) => {
            warn_if_readable(path);
            parse(&text, path)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => make(settings),
        Err(source) => Err(failed("cannot read", path, source)),
    }
}

/// The secret of an installation that is there already; none is made.
///
/// # Errors
/// When the file is missing, cannot be read, or is no secret.
pub fn existing(settings: &config::Store) -> Result<Secret, AppError> {
    let path = &settings.secret_file;
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|source| failed("cannot read store.secret_file", path, source))?;
    parse(&text, path)
}

fn parse(text: &str, path: &Path) -> Result<Secret, AppError> {
    let bytes = STANDARD.decode(text.trim()).map(Zeroizing::new).ok();
    let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
    bytes.map(Secret::new).ok_or_else(|| {
        AppError::Secret(format!(
            "store.secret_file {} must hold 32 bytes in base64 (`openssl rand -base64 32`)",
            path.display()
        ))
    })
}

/// A new secret beside a store that an old one has sealed would lock everybody out for good, so that is refused.
fn make(settings: &config::Store) -> Result<Secret, AppError> {
    let path = &settings.secret_file;
    let StoreUrl::Sqlite(store) = &settings.accounts else {
        return Err(AppError::Secret(format!(
            "store.secret_file {} is missing; all gateways on one database need the same one: make it once \
             (`openssl rand -base64 32`) and give it to each",
            path.display()
        )));
    };
    if store.exists() {
        return Err(AppError::Secret(format!(
            "store.secret_file {} is missing, but {} exists and its keys were sealed with it; put the file back",
            path.display(),
            store.display()
        )));
    }
    let secret = Secret::new(secret::random()?);
    match write(path, &secret) {
        Ok(()) => {
            tracing::info!(file = %path.display(), "secret made; back it up together with the store");
            Ok(secret)
        }
        // Another process was faster; its secret is the one.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let text = std::fs::read_to_string(path).map_err(|source| failed("cannot read", path, source))?;
            parse(&text, path)
        }
        Err(source) => Err(failed("cannot make", path, source)),
    }
}

/// Written beside and linked into place: whoever sees the file sees the whole of it, and of two processes one wins.
fn write(path: &Path, secret: &Secret) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let text = Zeroizing::new(STANDARD.encode(secret.expose()) + "\n");
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    let linked = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&beside, path));
    std::fs::remove_file(&beside)?;
    linked?;
    File::open(folder)?.sync_all()
}

fn warn_if_readable(path: &Path) {
    let mode = std::fs::metadata(path).map_or(0, |file| file.permissions().mode());
    if mode & 0o077 != 0 {
        tracing::warn!(file = %path.display(), "others may read the secret file; run `chmod 600` on it");
    }
}

fn failed(what: &'static str, path: &Path, source: std::io::Error) -> AppError {
    AppError::File {
        what,
        file: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settings(dir: &Path) -> config::Store {
        config::Store {
            accounts: StoreUrl::Sqlite(dir.join("data/gateward.db")),
            sessions: StoreUrl::Sqlite(dir.join("data/gateward.db")),
            secret_file: dir.join("data/secret.key"),
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            max_staleness: Duration::from_secs(1),
        }
    }

    #[test]
    fn the_secret_is_made_once_and_for_its_owner_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let settings = settings(dir.path());
        let made = open(&settings).expect("made");
        let read = open(&settings).expect("read");
        assert_eq!(made.expose(), read.expose());
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&settings.secret_file), 0o600);
        assert_eq!(mode(&dir.path().join("data")), 0o700);
        assert_eq!(std::fs::read_dir(dir.path().join("data")).expect("listed").count(), 1);
    }

    #[test]
    fn a_lost_secret_beside_a_store_is_not_replaced() {
        let dir = tempfile::tempdir().expect("a directory");
        let settings = settings(dir.path());
        std::fs::create_dir(dir.path().join("data")).expect("made");
        std::fs::write(dir.path().join("data/gateward.db"), "x").expect("written");
        assert!(matches!(open(&settings), Err(AppError::Secret(_))));
        assert!(!settings.secret_file.exists());
    }

    #[test]
    fn a_secret_that_gateways_share_is_never_made() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut settings = settings(dir.path());
        settings.accounts = StoreUrl::Postgres(config::servers::Postgres {
            address: config::servers::ServerAddress {
                host: "db".to_owned(),
                port: 5432,
            },
            user: "gateward".to_owned(),
            password: None,
            database: "gateward".to_owned(),
            tls: config::servers::ServerTls::Verify,
            ca_file: None,
            connections: 2,
        });
        assert!(matches!(open(&settings), Err(AppError::Secret(_))));
        assert!(!settings.secret_file.exists());
    }

    #[test]
    fn a_file_that_is_no_secret_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let settings = settings(dir.path());
        std::fs::create_dir(dir.path().join("data")).expect("made");
        std::fs::write(&settings.secret_file, "c2hvcnQ=").expect("written");
        assert!(matches!(open(&settings), Err(AppError::Secret(_))));
    }
}
