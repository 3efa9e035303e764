//! What only the embedded store promises: a private file, kept through kill -9, locks, damage and callers that give up.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use gateward::config;
use gateward::model::session::{Generation, SessionId, TokenId};
use gateward::model::user::UserId;
use gateward::store::accounts::{Added, StoredKey};
use gateward::store::ephemeral::{Cursor, Revocation, Revoked};
use gateward::store::sessions::{Rotate, Rotation};
use gateward::store::{StoreError, Stores};
use gateward::telemetry::Metrics;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, SqliteConnection};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{Bed, MINUTE, START, account, email, fresh_id, session};

/// A folder of its own with one file for everything.
pub(super) struct File(TempDir);

impl Bed for File {
    async fn make() -> Self {
        Self(TempDir::new().unwrap())
    }

    async fn open(&self) -> Stores {
        open(&self.path()).await.unwrap()
    }
}

impl File {
    fn path(&self) -> PathBuf {
        self.0.path().join("data/gateward.db")
    }

    /// A connection behind the store's back.
    async fn intruder(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.path());
        options.connect().await.unwrap()
    }
}

fn settings(accounts: &Path, sessions: &Path) -> config::Store {
    config::Store {
        accounts: config::StoreUrl::Sqlite(accounts.to_owned()),
        sessions: config::StoreUrl::Sqlite(sessions.to_owned()),
        secret_file: PathBuf::new(),
        connect_timeout: Duration::from_secs(10),
        // Ample: the machine that runs the tests may be busy.
        timeout: Duration::from_secs(20),
        max_staleness: MINUTE,
    }
}

async fn open(path: &Path) -> Result<Stores, StoreError> {
    Stores::open(&settings(path, path), &Arc::new(Metrics::new())).await
}

async fn run(connection: &mut SqliteConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

#[tokio::test]
async fn the_file_and_its_folder_are_for_the_owner_alone() {
    let bed = File::make().await;
    let stores = bed.open().await;
    stores.accounts.add(&account("ada@example.com")).await.unwrap();

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = bed.path().parent().unwrap().to_owned();
    assert_eq!(mode(&folder), 0o700);
    let files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert!(files.len() > 1, "the write-ahead log is a file too");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_make_the_file_together_all_get_it() {
    for _ in 0..5 {
        let bed = File::make().await;
        let mut racers = JoinSet::new();
        for _ in 0..6 {
            let path = bed.path();
            racers.spawn(async move { open(&path).await.unwrap().accounts.ping().await.unwrap() });
        }
        racers.join_all().await;
    }
}

#[tokio::test]
async fn accounts_and_sessions_may_be_two_files() {
    let bed = File::make().await;
    let folder = bed.0.path();
    let settings = settings(&folder.join("a/accounts.db"), &folder.join("b/sessions.db"));
    let stores = Stores::open(&settings, &Arc::new(Metrics::new())).await.unwrap();
    let (ada, sign_in) = (account("ada@example.com"), session(UserId(fresh_id()), START));
    stores.accounts.add(&ada).await.unwrap();
    stores.sessions.open(&sign_in).await.unwrap();
    drop(stores);

    let swapped = config::Store {
        accounts: settings.sessions.clone(),
        sessions: settings.accounts.clone(),
        ..settings
    };
    let swapped = Stores::open(&swapped, &Arc::new(Metrics::new())).await.unwrap();
    assert!(swapped.accounts.find(ada.user.id).await.unwrap().is_none());
    assert!(swapped.sessions.find(sign_in.id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let bed = File::make().await;
    drop(bed.open().await);
    run(&mut bed.intruder().await, "PRAGMA user_version = 99".to_owned()).await;

    let refusal = open(&bed.path()).await.unwrap_err();

    assert!(
        matches!(&refusal, StoreError::Damaged { what, .. } if what.contains("version 99")),
        "{refusal:?}"
    );
    let version: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut bed.intruder().await)
        .await
        .unwrap();
    assert_eq!(version, 99);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_damaged() {
    let bed = File::make().await;
    fs::create_dir_all(bed.path().parent().unwrap()).unwrap();
    fs::write(
        bed.path(),
        "these are somebody's notes, long enough to be looked at ".repeat(99),
    )
    .unwrap();
    let refusal = open(&bed.path()).await.unwrap_err();
    assert!(matches!(refusal, StoreError::Damaged { .. }), "{refusal:?}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_unavailable() {
    let bed = File::make().await;
    fs::write(bed.0.path().join("data"), "in the way").unwrap();
    let refusal = open(&bed.path()).await.unwrap_err();
    assert!(
        matches!(refusal, StoreError::Unavailable { store: "accounts", .. }),
        "{refusal:?}"
    );
}

#[tokio::test]
async fn a_damaged_row_is_named_and_never_a_panic() {
    let bed = File::make().await;
    let stores = bed.open().await;
    let (ada, sign_in) = (account("ada@example.com"), session(UserId(fresh_id()), START));
    stores.accounts.add(&ada).await.unwrap();
    stores.sessions.open(&sign_in).await.unwrap();
    let key = StoredKey {
        kid: "kid".to_owned(),
        algorithm: config::Algorithm::Rs256,
        sealed: vec![1],
        created_at: START,
        active_from: START,
        retires_at: None,
        revoked_at: None,
    };
    stores.accounts.add_key(&key, None, None).await.unwrap();
    let until = START;
    let what = Revoked::User(ada.user.id, START);
    stores.ephemeral.revoke(&[Revocation { what, until }]).await.unwrap();
    stores.ephemeral.count("login", MINUTE, START).await.unwrap();

    let damage = [
        ("users", "email", "'Ada@Example.com'"),
        ("users", "email", "'nobody'"),
        ("users", "roles", "'[\"with space\"]'"),
        ("users", "roles", "'{'"),
        ("users", "created_at", "-1"),
        ("users", "disabled_at", "-1"),
        ("users", "epoch", "4294967296"),
        ("sessions", "user_id", "x'00'"),
        ("sessions", "epoch", "-1"),
        ("sessions", "expires_at", "-1"),
        ("sessions", "amr", "'[1]'"),
        ("sessions", "ip", "'localhost'"),
        ("sessions", "nonce_hash", "x'00ff'"),
        ("sessions", "current_generation", "4294967296"),
        ("sessions", "previous_generation", "-1"),
        ("signing_keys", "algorithm", "'none'"),
        ("signing_keys", "active_from", "-1"),
        ("revocations", "kind", "4"),
        ("revocations", "subject", "x''"),
        ("revocations", "opened_until", "NULL"),
        ("counters", "count", "-2"),
    ];
    let mut intruder = bed.intruder().await;
    for (table, column, value) in damage {
        let begin = format!("CREATE TABLE saved AS SELECT * FROM {table}; UPDATE {table} SET {column} = {value};");
        run(&mut intruder, begin).await;
        let outcome = match table {
            "users" => stores.accounts.find(ada.user.id).await.map(|_| ()),
            "sessions" => stores.sessions.find(sign_in.id).await.map(|_| ()),
            "signing_keys" => stores.accounts.keys().await.map(|_| ()),
            "revocations" => stores
                .ephemeral
                .follow(&Cursor::default(), Duration::ZERO)
                .await
                .map(|_| ()),
            _ => stores.ephemeral.count("login", MINUTE, START).await.map(|_| ()),
        };
        match outcome {
            Err(StoreError::Damaged { what, .. }) => assert!(what.contains(column), "{table}.{column}: {what}"),
            other => panic!("{table}.{column} = {value}: {other:?}"),
        }
        let restore = format!("UPDATE {table} SET {column} = (SELECT {column} FROM saved); DROP TABLE saved;");
        run(&mut intruder, restore).await;
    }
    assert!(stores.accounts.find(ada.user.id).await.unwrap().is_some());
    assert!(stores.sessions.find(sign_in.id).await.unwrap().is_some());
    assert_eq!(stores.ephemeral.count("login", MINUTE, START).await.unwrap().count, 2);
}

#[tokio::test]
async fn a_damaged_session_is_not_ended_half_way() {
    let bed = File::make().await;
    let stores = bed.open().await;
    let sign_in = session(UserId(fresh_id()), START);
    stores.sessions.open(&sign_in).await.unwrap();
    let mut intruder = bed.intruder().await;
    run(&mut intruder, "UPDATE sessions SET amr = '?'".to_owned()).await;
    assert!(matches!(
        stores.sessions.end(sign_in.id).await,
        Err(StoreError::Damaged { .. })
    ));

    run(&mut intruder, "UPDATE sessions SET amr = '[]'".to_owned()).await;
    assert!(stores.sessions.end(sign_in.id).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_file_is_an_error_in_time_and_changes_nothing() {
    let bed = File::make().await;
    let settings = config::Store {
        timeout: Duration::from_secs(1),
        ..settings(&bed.path(), &bed.path())
    };
    let metrics = Arc::new(Metrics::new());
    let stores = Stores::open(&settings, &metrics).await.unwrap();
    let mut intruder = bed.intruder().await;
    run(&mut intruder, "BEGIN IMMEDIATE".to_owned()).await;

    let (ada, sign_in) = (account("ada@example.com"), session(UserId(fresh_id()), START));
    let outcomes = tokio::join!(
        stores.accounts.add(&ada),
        async { stores.sessions.open(&sign_in).await.map(|()| Added::Added) },
        async { stores.ephemeral.count("a", MINUTE, START).await.map(|_| Added::Added) },
    );
    for outcome in [outcomes.0, outcomes.1, outcomes.2] {
        let error = outcome.unwrap_err();
        assert!(
            matches!(error, StoreError::Unavailable { .. } | StoreError::Unanswered { .. }),
            "{error:?}"
        );
    }
    // Neither starting nor reading waits for somebody else's writing.
    let stores = bed.open().await;
    assert!(stores.accounts.find(ada.user.id).await.unwrap().is_none());

    run(&mut intruder, "ROLLBACK".to_owned()).await;
    assert_eq!(stores.accounts.add(&ada).await.unwrap(), Added::Added);
    assert_eq!(stores.ephemeral.count("a", MINUTE, START).await.unwrap().count, 1);
    let text = metrics.render();
    assert!(text.contains("gateward_store_errors_total"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_gives_up_leaves_nothing_half_done() {
    let bed = File::make().await;
    let stores = bed.open().await;
    let mut accounts = Vec::new();
    for n in 0..60 {
        let account = account(&format!("user{n}@example.com"));
        let patience = Duration::from_micros(n * 40);
        let _ = tokio::time::timeout(patience, stores.accounts.add(&account)).await;
        accounts.push(account);
    }
    // The last turn to write comes after every one that was given up.
    assert_eq!(
        stores.accounts.add(&account("last@example.com")).await.unwrap(),
        Added::Added
    );
    for account in accounts {
        let by_id = stores.accounts.find(account.user.id).await.unwrap();
        let by_email = stores.accounts.find_by_email(&account.user.email).await.unwrap();
        assert_eq!(
            by_id.is_some(),
            by_email.is_some(),
            "half an account: {}",
            account.user.email
        );
    }
}

#[tokio::test]
async fn a_restored_backup_is_a_gap_for_those_who_were_further() {
    let bed = File::make().await;
    let stores = bed.open().await;
    let revoke = || async {
        let what = Revoked::Token(TokenId(fresh_id()));
        stores
            .ephemeral
            .revoke(&[Revocation { what, until: START }])
            .await
            .unwrap();
        stores
            .ephemeral
            .follow(&Cursor::default(), Duration::ZERO)
            .await
            .unwrap()
            .cursor
    };
    let before = revoke().await;
    let copy = bed.0.path().join("copy.db");
    run(&mut bed.intruder().await, format!("VACUUM INTO '{}'", copy.display())).await;
    let after = revoke().await;

    let restored = open(&copy).await.unwrap().ephemeral;
    assert!(!restored.follow(&before, Duration::ZERO).await.unwrap().gap);
    assert!(restored.follow(&after, Duration::ZERO).await.unwrap().gap);
}

/// Set for the process that is to be killed: the file it writes to.
const VICTIM: &str = "GATEWARD_TEST_STORE_TO_KILL";

#[test]
fn nothing_acknowledged_is_lost_to_kill_9() {
    let bed = TempDir::new().unwrap();
    let path = bed.path().join("gateward.db");
    for round in 0..3 {
        let acknowledged = write_until_killed(&path, 15 + round * 10);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let stores = open(&path).await.unwrap();
            for id in acknowledged {
                check_story(&stores, id.parse().unwrap()).await;
            }
        });
    }
}

/// Lets a child write until `enough` stories are acknowledged, kills it, and returns every story that it had acknowledged by then.
fn write_until_killed(path: &Path, enough: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store_contract::sqlite::victim", "--nocapture"])
        .env(VICTIM, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    for line in lines.map_while(Result::ok) {
        if let Some((_, id)) = line.split_once("kept ") {
            acknowledged.push(id.to_owned());
        }
        if acknowledged.len() == enough {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= enough, "the child ended by itself");
    acknowledged
}

/// The child of `nothing_acknowledged_is_lost_to_kill_9`, which kills it. By itself it has nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn victim() {
    let Some(path) = std::env::var_os(VICTIM) else { return };
    let stores = open(Path::new(&path)).await.unwrap();
    loop {
        println!("\nkept {}", tell_story(&stores).await);
    }
}

fn address(id: SessionId) -> String {
    format!("{id}@example.com")
}

/// One of everything that must survive, all named by one id.
async fn tell_story(stores: &Stores) -> SessionId {
    let sign_in = session(UserId(fresh_id()), START);
    let id = sign_in.id;
    stores.accounts.add(&account(&address(id))).await.unwrap();
    stores.sessions.open(&sign_in).await.unwrap();
    let request = Rotate {
        id,
        nonce_hash: sign_in.nonce_hash,
        presented: Generation::FIRST,
        now: START,
        reuse_window: MINUTE,
        idle: MINUTE,
    };
    assert!(matches!(
        stores.sessions.rotate(&request).await.unwrap(),
        Rotation::Rotated(_)
    ));
    let revocation = Revocation {
        what: Revoked::Token(TokenId(id.0)),
        until: START,
    };
    stores.ephemeral.revoke(&[revocation]).await.unwrap();
    id
}

async fn check_story(stores: &Stores, id: uuid::Uuid) {
    let id = SessionId(id);
    assert!(
        stores
            .accounts
            .find_by_email(&email(&address(id)))
            .await
            .unwrap()
            .is_some()
    );
    let sign_in = stores.sessions.find(id).await.unwrap().unwrap();
    assert_eq!(sign_in.current, Generation(2));
    assert!(
        stores
            .ephemeral
            .is_revoked(TokenId(id.0), id, sign_in.user)
            .await
            .unwrap()
    );
}
