//! What benchmarks work on: a configuration in a folder of its own and the rooms below the data plane, as `serve` opens them.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use gateward::app::rooms::{Rooms, Use};
use gateward::auth::{Auth, SignedIn};
use gateward::config::{self, Settings};
use gateward::model::caller::Caller;
use gateward::model::credential::Password;
use gateward::model::presence::Presence;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery staple";

/// The whole of it. The runtime is the control plane.
pub struct Installation {
    pub settings: Arc<Settings>,
    pub rooms: Rooms,
    pub auth: Auth,
    pub runtime: Runtime,
    _dir: TempDir,
}

impl Installation {
    /// With embedded stores.
    pub fn new() -> Self {
        Self::with("RS256", "sqlite://gateward.db", "sqlite://gateward.db", "")
    }

    /// Whose keys are of one algorithm.
    pub fn signing(algorithm: &str) -> Self {
        Self::with(algorithm, "sqlite://gateward.db", "sqlite://gateward.db", "")
    }

    /// With stores anywhere; a password for the store of accounts.
    pub fn with(algorithm: &str, accounts: &str, sessions: &str, password: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("db.password"), password).unwrap();
        let file = dir.path().join("gateward.toml");
        std::fs::write(&file, text(algorithm, accounts, sessions, !password.is_empty(), 1)).unwrap();
        let settings = Arc::new(config::load(&file).unwrap());
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        // Remote stores need the secret beforehand: every gateway has the same.
        std::fs::write(
            &settings.store.secret_file,
            "kqGVwCvFoJp5uFt9PMUBnq3uYr0QmkTuHe1eN6sqKFE=\n",
        )
        .unwrap();
        let rooms = runtime.block_on(Rooms::open(&settings, Use::Command)).unwrap();
        let auth = rooms.auth(&settings, &rooms.tokens).unwrap();
        Self {
            settings,
            rooms,
            auth,
            runtime,
            _dir: dir,
        }
    }

    /// Ada registers and signs in.
    pub fn signed_in(&self) -> SignedIn {
        let password = || Password::new(PASSWORD.to_owned());
        self.runtime.block_on(async {
            self.auth.register(&caller(), EMAIL, password()).await.unwrap();
            let entered = self.auth.login(&caller(), EMAIL, password()).await.unwrap();
            entered.signed_in().unwrap()
        })
    }
}

/// A configuration as text, with so many routes. Stores may take their time: callgrind is fifty times slower than the machine.
pub fn text(algorithm: &str, accounts: &str, sessions: &str, password: bool, routes: usize) -> String {
    let password = if password {
        "accounts_password_file = \"db.password\"\n"
    } else {
        ""
    };
    let mut text = format!(
        "version = 1\n[server]\nhttp = \"127.0.0.1:8080\"\npublic_url = \"http://localhost:8080\"\n[log]\naudit = \"off\"\n\
         [tokens]\nalgorithm = \"{algorithm}\"\n[store]\naccounts = \"{accounts}\"\nsessions = \"{sessions}\"\n\
         secret_file = \"secret.key\"\nconnect_timeout = \"5s\"\ntimeout = \"10s\"\n{password}[upstreams.app]\nservers = [\"http://127.0.0.1:3000\"]\n"
    );
    for number in 0..routes {
        text += &format!("[[routes]]\nname = \"app{number}\"\npath = \"/app{number}\"\nupstream = \"app\"\n");
    }
    text
}

/// Writes a configuration with so many routes into a folder.
pub fn with_routes(routes: usize) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateward.toml");
    let store = "sqlite://gateward.db";
    std::fs::write(&file, text("RS256", store, store, false, routes)).unwrap();
    (dir, file)
}

/// Somebody.
pub fn caller() -> Caller {
    Caller {
        ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        user_agent: "bench".into(),
        device: None,
        request_id: "01a20390-3948-7a63-9fff-a1b4a0aef3ae".into(),
        presence: Presence::default(),
    }
}
