//! What only PostgreSQL promises: nodes that start together, partitions, and a server that comes back.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateward::config::servers::{self, ServerAddress, ServerPassword, ServerTls};
use gateward::config::{self, StoreUrl};
use gateward::model::user::UserId;
use gateward::store::{StoreError, Stores};
use gateward::telemetry::Metrics;
use sqlx::{AssertSqlSafe, PgConnection};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{Bed, MINUTE, SECOND, account, fresh_id};
use crate::servers::line::Line;
use crate::servers::postgres::{PASSWORD, Postgres, USER};

/// How many each store may have.
const CONNECTIONS: usize = 8;

/// A database of its own; sessions are in a file beside.
pub(super) struct Plain {
    port: u16,
    database: String,
    beside: TempDir,
}

impl Bed for Plain {
    async fn make() -> Self {
        // Starting it takes a while, which must not keep other tests of this thread from their work.
        let port = tokio::task::spawn_blocking(|| Postgres::shared().port).await.unwrap();
        Self::on(port).await
    }

    async fn open(&self) -> Stores {
        self.open_with(PASSWORD, ample()).await.unwrap()
    }
}

impl Plain {
    async fn on(port: u16) -> Self {
        Self {
            port,
            database: Postgres::new_database(port).await,
            beside: TempDir::new().unwrap(),
        }
    }

    async fn open_with(&self, password: &str, limits: (Duration, Duration)) -> Result<Stores, StoreError> {
        self.open_at(self.server(password), limits).await
    }

    fn server(&self, password: &str) -> servers::Postgres {
        servers::Postgres {
            address: ServerAddress {
                host: "127.0.0.1".to_owned(),
                port: self.port,
            },
            user: USER.to_owned(),
            password: Some(ServerPassword::new(password.to_owned())),
            database: self.database.clone(),
            tls: ServerTls::Off,
            ca_file: None,
            connections: u32::try_from(CONNECTIONS).unwrap(),
        }
    }

    async fn open_at(&self, accounts: servers::Postgres, limits: (Duration, Duration)) -> Result<Stores, StoreError> {
        let settings = config::Store {
            accounts: StoreUrl::Postgres(accounts),
            sessions: StoreUrl::Sqlite(self.beside.path().join("sessions.db")),
            secret_file: PathBuf::new(),
            connect_timeout: limits.0,
            timeout: limits.1,
            max_staleness: MINUTE,
        };
        Stores::open(&settings, &Arc::new(Metrics::new())).await
    }

    /// A connection behind the store's back.
    async fn intruder(&self) -> PgConnection {
        Postgres::connect(self.port, &self.database).await
    }
}

/// The same with everything of users, addresses, links and letters in partitions, by the hash of the key of each.
pub(super) struct Partitioned(Plain);

impl Bed for Partitioned {
    async fn make() -> Self {
        let bed = Plain::make().await;
        drop(bed.open().await);
        let mut connection = bed.intruder().await;
        for (table, key) in [
            ("users", "id"),
            ("emails", "email"),
            ("factors", "user_id"),
            ("links", "link"),
            ("letters", "id"),
        ] {
            run(&mut connection, format!("ALTER TABLE {table} RENAME TO plain")).await;
            let parted = format!("CREATE TABLE {table} (LIKE plain INCLUDING ALL) PARTITION BY HASH ({key})");
            run(&mut connection, parted).await;
            for part in 0..4 {
                let part = format!(
                    "CREATE TABLE {table}_{part} PARTITION OF {table} FOR VALUES WITH (MODULUS 4, REMAINDER {part})"
                );
                run(&mut connection, part).await;
            }
            run(&mut connection, "DROP TABLE plain".to_owned()).await;
        }
        Self(bed)
    }

    async fn open(&self) -> Stores {
        self.0.open().await
    }
}

/// Limits that a busy machine keeps: to connect, and for a call in all.
fn ample() -> (Duration, Duration) {
    (Duration::from_secs(20), Duration::from_secs(40))
}

async fn run(connection: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_together_on_an_empty_database_all_get_it() {
    let bed = Arc::new(Plain::make().await);
    let mut nodes = JoinSet::new();
    for _ in 0..8 {
        let bed = Arc::clone(&bed);
        nodes.spawn(async move { bed.open().await.accounts.ping().await.unwrap() });
    }
    nodes.join_all().await;
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let bed = Plain::make().await;
    drop(bed.open().await);
    run(
        &mut bed.intruder().await,
        "UPDATE gateward_schema SET version = 99".to_owned(),
    )
    .await;

    let refusal = bed.open_with(PASSWORD, ample()).await.unwrap_err();

    let says = |what: &str| what.contains("version 99");
    assert!(
        matches!(&refusal, StoreError::Damaged { what, .. } if says(what)),
        "{refusal:?}"
    );
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_not_repeated() {
    let bed = Plain::make().await;
    let refused = bed.open_with("wr0ng", ample()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
    assert!(!format!("{refused:?}").contains("wr0ng"));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_a_server_must_prove_its_name() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let starting = tokio::task::spawn_blocking(move || Postgres::over_tls(&certificate, &key));
    let postgres = starting.await.unwrap();
    let bed = Plain::on(postgres.port).await;
    let ours = bed.beside.path().join("ca.pem");
    std::fs::write(&ours, made.cert.pem()).unwrap();
    let at = |host: &str, ca_file: Option<&PathBuf>| servers::Postgres {
        address: ServerAddress {
            host: host.to_owned(),
            port: postgres.port,
        },
        tls: ServerTls::Verify,
        ca_file: ca_file.cloned(),
        ..bed.server(PASSWORD)
    };

    let stores = bed.open_at(at("localhost", Some(&ours)), ample()).await.unwrap();
    stores.accounts.ping().await.unwrap();
    let in_the_clear = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                        WHERE application_name = 'gateward' AND NOT ssl";
    let mut intruder = bed.intruder().await;
    let in_the_clear: i64 = sqlx::query_scalar(in_the_clear).fetch_one(&mut intruder).await.unwrap();
    assert_eq!(in_the_clear, 0);
    for untrusted in [at("127.0.0.1", Some(&ours)), at("localhost", None)] {
        let refused = bed.open_at(untrusted, ample()).await.unwrap_err();
        assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
        assert!(format!("{refused:?}").contains("ertificate"), "{refused:?}");
    }
    // One that speaks no TLS at all is not spoken to without.
    let plain = Plain::make().await;
    let server = servers::Postgres {
        tls: ServerTls::Verify,
        ca_file: Some(ours.clone()),
        ..plain.server(PASSWORD)
    };
    assert!(plain.open_at(server, ample()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn users_lie_in_all_partitions_and_a_removed_one_leaves_none() {
    let bed = Partitioned::make().await;
    let store = bed.open().await.accounts;
    let mut ids = Vec::new();
    for n in 0..40 {
        let account = account(&format!("user{n}@example.com"));
        store.add(&account).await.unwrap();
        ids.push(account.user.id);
    }
    let mut connection = bed.0.intruder().await;
    for table in ["users_0", "users_1", "users_2", "users_3", "emails_0", "emails_3"] {
        let count = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}")));
        let count: i64 = count.fetch_one(&mut connection).await.unwrap();
        assert!(count > 0, "{table} is empty");
    }
    for id in ids {
        assert!(store.remove(id).await.unwrap());
    }
    let left: i64 = sqlx::query_scalar("SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM emails)")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_dead_server_and_it_comes_back_by_itself() {
    let mut postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let bed = Plain::on(postgres.port).await;
    let store = bed.open_with(PASSWORD, (SECOND, 4 * SECOND)).await.unwrap().accounts;
    let nobody = UserId(fresh_id());
    assert!(store.find(nobody).await.unwrap().is_none());

    postgres.down();
    assert!(store.find(nobody).await.is_err());
    let begun = Instant::now();
    for _ in 0..200 {
        assert!(store.find(nobody).await.is_err());
    }
    assert!(begun.elapsed() < 4 * SECOND, "each waited");

    postgres.up();
    let begun = Instant::now();
    while store.ping().await.is_err() {
        assert!(begun.elapsed() < 10 * SECOND, "it does not come back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_went_silent_keeps_no_connection() {
    let bed = Plain::make().await;
    let way = Line::to(bed.port).await;
    let mut server = bed.server(PASSWORD);
    server.address.port = way.port;
    let store = bed.open_at(server, (SECOND, 5 * SECOND)).await.unwrap().accounts;
    let at_once = |calls: usize| {
        let finds = (0..calls).map(|_| store.find(UserId(fresh_id())));
        futures_util::future::join_all(finds)
    };
    let comes_back = async || {
        way.release();
        let released = Instant::now();
        while at_once(1).await.iter().any(Result::is_err) {
            assert!(released.elapsed() < 4 * SECOND, "it does not come back");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // Every connection in the middle of a call: the table is locked, and then the way goes silent.
    let mut locker = bed.intruder().await;
    run(&mut locker, "BEGIN; LOCK TABLE users".to_owned()).await;
    let silence = async {
        waits_for_the_lock(&bed, CONNECTIONS).await;
        way.stall();
    };
    let (cut_off, ()) = tokio::join!(at_once(CONNECTIONS), silence);
    assert!(cut_off.iter().all(Result::is_err));
    run(&mut locker, "ROLLBACK".to_owned()).await;
    comes_back().await;

    // One call, beside connections that nobody uses: a busy machine may need several attempts to make so many.
    let begun = Instant::now();
    while at_once(4 * CONNECTIONS).await.iter().any(Result::is_err) {
        assert!(begun.elapsed() < MINUTE, "not all are answered");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    way.stall();
    assert!(at_once(1).await.iter().all(Result::is_err));
    comes_back().await;
}

async fn waits_for_the_lock(bed: &Plain, count: usize) {
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND application_name = 'gateward' AND wait_event_type = 'Lock'";
    let mut intruder = bed.intruder().await;
    loop {
        let now: i64 = sqlx::query_scalar(waiting).fetch_one(&mut intruder).await.unwrap();
        if usize::try_from(now) == Ok(count) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
