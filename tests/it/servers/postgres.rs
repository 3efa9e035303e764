//! PostgreSQL for tests: one server for the whole run, a database for each test.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use gateward::model::secret;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};
use tempfile::TempDir;

use super::{PATIENCE, Server, free_port, wait_for_port};

/// Who the tests are to it.
pub const USER: &str = "gateward";
/// What proves it.
pub const PASSWORD: &str = "s3cret/of:the@tests";

/// One server; what it holds need not survive the machine.
pub struct Postgres {
    /// Where it listens.
    pub port: u16,
    dir: TempDir,
    settings: Vec<String>,
    server: Option<Server>,
}

impl Postgres {
    /// The one that tests share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// One of its own.
    pub fn start() -> Self {
        Self::with(|_| Vec::new())
    }

    /// One of its own that is spoken to over TLS, too: by a certificate and its key, in PEM.
    pub fn over_tls(certificate: &str, key: &str) -> Self {
        Self::with(|dir| {
            let file = |name: &str, text: &str| {
                let file = dir.join(name);
                std::fs::write(&file, text).unwrap();
                std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
                give_to_its_user(&file);
                path(&file)
            };
            let (certificate, key) = (file("cert.pem", certificate), file("key.pem", key));
            vec![
                "ssl=on".to_owned(),
                format!("ssl_cert_file={certificate}"),
                format!("ssl_key_file={key}"),
            ]
        })
    }

    /// With more settings, which may need files in its folder.
    fn with(settings: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let dir = TempDir::new().unwrap();
        give_to_its_user(dir.path());
        let password_file = dir.path().join("password");
        std::fs::write(&password_file, PASSWORD).unwrap();
        give_to_its_user(&password_file);
        let folder = path(&dir.path().join("data"));
        let password_file = format!("--pwfile={}", path(&password_file));
        let initdb = program("initdb");
        let mut command = as_its_user();
        command.extend([
            &initdb,
            "-D",
            &folder,
            "-U",
            USER,
            "-A",
            "scram-sha-256",
            &password_file,
        ]);
        command.extend(["-N", "-E", "UTF8", "--locale=C"]);
        let made = Command::new(command[0]).args(&command[1..]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut postgres = Self {
            port: free_port(),
            settings: settings(dir.path()),
            dir,
            server: None,
        };
        postgres.up();
        postgres
    }

    /// An empty database on the server at a port.
    pub async fn new_database(port: u16) -> String {
        let name: [u8; 8] = secret::random().unwrap();
        let name = format!("t{}", u64::from_be_bytes(name));
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        let mut connection = Self::connect(port, "postgres").await;
        sqlx::raw_sql(create).execute(&mut connection).await.unwrap();
        name
    }

    /// A connection to a database on it.
    pub async fn connect(port: u16, database: &str) -> PgConnection {
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(port)
            .username(USER)
            .password(PASSWORD)
            .database(database);
        let begun = Instant::now();
        loop {
            match options.connect().await {
                Ok(connection) => return connection,
                // It listens before it is ready.
                Err(error) if begun.elapsed() > PATIENCE => panic!("{error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Starts it, with what it held.
    pub fn up(&mut self) {
        let (folder, port) = (path(&self.dir.path().join("data")), self.port.to_string());
        let postgres = program("postgres");
        let mut command = as_its_user();
        command.extend([
            &postgres,
            "-D",
            &folder,
            "-p",
            &port,
            "-c",
            "listen_addresses=127.0.0.1",
        ]);
        command.extend([
            "-c",
            "unix_socket_directories=",
            "-c",
            "fsync=off",
            "-c",
            "max_connections=500",
        ]);
        for setting in &self.settings {
            command.extend(["-c", setting]);
        }
        let log = self.dir.path().join("log");
        self.server = Some(Server::start(&command, self.dir.path(), &log));
        wait_for_port(self.port, &log);
    }

    /// Stops it.
    pub fn down(&mut self) {
        self.server = None;
    }

    /// Sends a signal to it and to each process that it has made, so that none goes on alone.
    pub fn signal(&self, name: &str) {
        let pids = std::fs::read_to_string(self.dir.path().join("data/postmaster.pid")).unwrap_or_default();
        let Some(postmaster) = pids.lines().next() else { return };
        let children = format!("/proc/{postmaster}/task/{postmaster}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        // The oldest first: stopped, it makes no more; killed, it starts none anew.
        for pid in std::iter::once(postmaster).chain(children.split_whitespace()) {
            // One that has ended meanwhile is as good.
            let _ = Command::new("kill").args([&format!("-{name}"), pid]).output().unwrap();
        }
    }
}

/// It refuses to run as root.
fn as_its_user() -> Vec<&'static str> {
    match rustix::process::getuid().is_root() {
        true => vec!["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"],
        false => Vec::new(),
    }
}

fn give_to_its_user(path: &Path) {
    if rustix::process::getuid().is_root() {
        let done = Command::new("chown")
            .arg("postgres:postgres")
            .arg(path)
            .status()
            .unwrap();
        assert!(done.success());
    }
}

/// A program's place: Debian keeps them out of `PATH`, one folder for each version.
fn program(name: &str) -> String {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let programs = versions.filter_map(|version| Some(version.ok()?.path().join("bin").join(name)));
    let newest: Option<PathBuf> = programs.filter(|program| program.exists()).max();
    newest.map_or_else(|| name.to_owned(), |program| path(&program))
}

fn path(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
