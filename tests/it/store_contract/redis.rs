//! What only Redis promises: nothing stays for ever, nobody waits for a dead server, and lost data is noticed.

mod crowd;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateward::config::servers::{self, RedisForm, SentinelLogin, ServerAddress, ServerPassword, ServerTls};
use gateward::config::{self, StoreUrl};
use gateward::model::clock::Timestamp;
use gateward::model::session::{SessionId, TokenId};
use gateward::model::user::UserId;
use gateward::store::ephemeral::{Cursor, Revocation, Revoked};
use gateward::store::{StoreError, Stores};
use gateward::telemetry::Metrics;
use tempfile::TempDir;

use super::{Bed, MINUTE, SECOND, START, fresh_id, session};
use crate::servers::redis::{LentCluster, LentRedis, Redis, Sentinel};

/// How long after its end a key is kept, since clocks differ.
const MARGIN: Duration = MINUTE;

/// One server; accounts are in a file beside.
pub(super) struct Single(LentRedis, TempDir);

impl Bed for Single {
    async fn make() -> Self {
        Self(LentRedis::new(), TempDir::new().unwrap())
    }

    async fn open(&self) -> Stores {
        open(&single(self.0.get().port), &self.1, ample()).await.unwrap()
    }

    async fn time_passes(&self, until: Timestamp) -> u64 {
        end(self.0.get(), until)
    }
}

/// A cluster of three; accounts are in a file beside.
pub(super) struct Cluster(LentCluster, TempDir);

impl Bed for Cluster {
    async fn make() -> Self {
        Self(LentCluster::new(), TempDir::new().unwrap())
    }

    async fn open(&self) -> Stores {
        let nodes = self.0.get().nodes.iter().map(|node| address(node.port)).collect();
        let server = server(RedisForm::Cluster { nodes });
        open(&server, &self.1, ample()).await.unwrap()
    }

    async fn time_passes(&self, until: Timestamp) -> u64 {
        self.0.get().nodes.iter().map(|node| end(node, until)).sum()
    }
}

pub(super) fn address(port: u16) -> ServerAddress {
    let host = "127.0.0.1".to_owned();
    ServerAddress { host, port }
}

pub(super) fn server(form: RedisForm) -> servers::Redis {
    servers::Redis {
        form,
        user: None,
        password: None,
        tls: ServerTls::Off,
        ca_file: None,
    }
}

fn single(port: u16) -> servers::Redis {
    let (server_at, database) = (address(port), 0);
    server(RedisForm::Single {
        server: server_at,
        database,
    })
}

/// Limits that a busy machine keeps: to connect, and for a call in all.
pub(super) fn ample() -> (Duration, Duration) {
    (Duration::from_secs(10), Duration::from_secs(20))
}

pub(super) async fn open(
    server: &servers::Redis,
    beside: &TempDir,
    limits: (Duration, Duration),
) -> Result<Stores, StoreError> {
    let settings = config::Store {
        accounts: StoreUrl::Sqlite(beside.path().join("accounts.db")),
        sessions: StoreUrl::Redis(server.clone()),
        secret_file: PathBuf::new(),
        connect_timeout: limits.0,
        timeout: limits.1,
        max_staleness: MINUTE,
    };
    Stores::open(&settings, &Arc::new(Metrics::new())).await
}

/// Every key of a server, and when it ends by itself (milliseconds).
fn keys(redis: &Redis) -> Vec<(String, i64)> {
    let mut connection = redis.intruder();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    let ends = |key: String| {
        let end = redis::cmd("PEXPIRETIME").arg(&key).query(&mut connection);
        let end = end.unwrap_or_else(|_| end_by_span(&key, &mut connection));
        (key, end)
    };
    keys.into_iter().map(ends).collect()
}

/// The same of a server before 7.0, which only knows how much longer. Stories move by whole seconds.
fn end_by_span(key: &str, connection: &mut redis::Connection) -> i64 {
    let left: i64 = redis::cmd("PTTL").arg(key).query(connection).unwrap();
    let (seconds, micros): (i64, i64) = redis::cmd("TIME").query(connection).unwrap();
    match left {
        0.. => (seconds * 1000 + micros / 1000 + left + 500) / 1000 * 1000,
        none => none,
    }
}

/// Does what the server does when its clock comes to a moment. Tells how many sessions, counters and names ended.
fn end(redis: &Redis, moment: Timestamp) -> u64 {
    let moment = i64::try_from(moment.plus(MARGIN).as_millis()).unwrap();
    let over = keys(redis).into_iter().filter(|(_, end)| (0..=moment).contains(end));
    let mut ended = 0;
    for (key, _) in over {
        let _: () = redis::cmd("DEL").arg(&key).query(&mut redis.intruder()).unwrap();
        ended += u64::from(["gw:s:", "gw:c:", "gw:k:"].iter().any(|kind| key.starts_with(kind)));
    }
    ended
}

#[tokio::test]
async fn everything_that_passes_ends_by_itself() {
    let bed = Single::make().await;
    let stores = bed.open().await;
    let sign_in = session(UserId(fresh_id()), START);
    stores.sessions.open(&sign_in).await.unwrap();
    let whats = [
        Revoked::Token(TokenId(fresh_id())),
        Revoked::Session(sign_in.id),
        Revoked::User(sign_in.user, START),
    ];
    let until = START.plus(SECOND);
    let revocations = whats.map(|what| Revocation { what, until });
    stores.ephemeral.revoke(&revocations).await.unwrap();
    stores.ephemeral.count("a", MINUTE, START).await.unwrap();
    stores.ephemeral.remember("a", START.plus(SECOND)).await.unwrap();

    let lasting: Vec<String> = keys(bed.0.get())
        .into_iter()
        .filter(|(_, end)| *end < 0)
        .map(|(key, _)| key)
        .collect();
    let mut lasting: Vec<&str> = lasting.iter().map(String::as_str).collect();
    lasting.sort_unstable();
    assert_eq!(
        lasting,
        ["gw:{r}:name", "gw:{r}:stream"],
        "only the stream stays, and it is trimmed"
    );
    assert_eq!(stores.ephemeral.purge(until).await.unwrap(), 3);
    let stream: u32 = redis::cmd("XLEN")
        .arg("gw:{r}:stream")
        .query(&mut bed.0.get().intruder())
        .unwrap();
    assert_eq!(stream, 0);
}

#[tokio::test]
async fn an_ended_session_leaves_its_users_index() {
    let bed = Single::make().await;
    let sessions = bed.open().await.sessions;
    let user = UserId(fresh_id());
    let all: Vec<_> = (0..4).map(|_| session(user, START)).collect();
    for session in &all {
        sessions.open(session).await.unwrap();
    }
    let indexed = || -> u32 {
        let key = format!("gw:u:{}", user.0.simple());
        redis::cmd("ZCARD").arg(key).query(&mut bed.0.get().intruder()).unwrap()
    };
    sessions.end(all[0].id).await.unwrap();
    assert_eq!(indexed(), 3);

    // One whose record ended by itself is dropped by the next listing.
    let record = format!("gw:s:{}", all[1].id.0.simple());
    let _: () = redis::cmd("DEL")
        .arg(record)
        .query(&mut bed.0.get().intruder())
        .unwrap();
    assert_eq!(sessions.of_user(user, START.plus(2 * MINUTE)).await.unwrap().len(), 2);
    assert_eq!(indexed(), 2);

    sessions.end_all(user, Some(all[3].id)).await.unwrap();
    assert_eq!(indexed(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lost_its_data_is_a_gap_also_for_a_follower_that_waits() {
    let bed = Single::make().await;
    let store = bed.open().await.ephemeral;
    let cursor = store.follow(&Cursor::default(), Duration::ZERO).await.unwrap().cursor;
    let waiting = tokio::spawn(async move { store.follow(&cursor, 10 * MINUTE).await.unwrap() });
    tokio::task::yield_now().await;
    let _: () = redis::cmd("FLUSHALL").query(&mut bed.0.get().intruder()).unwrap();

    let news = tokio::time::timeout(MINUTE, waiting).await.expect("noticed").unwrap();
    assert!(news.gap);
}

#[tokio::test]
async fn a_server_that_lost_its_last_writes_is_a_gap() {
    let bed = Single::make().await;
    let store = bed.open().await.ephemeral;
    let revoke = async || {
        let (what, until) = (Revoked::Token(TokenId(fresh_id())), START);
        store.revoke(&[Revocation { what, until }]).await.unwrap();
        store.follow(&Cursor::default(), Duration::ZERO).await.unwrap().cursor
    };
    let (before, after) = (revoke().await, revoke().await);
    // What a replica looks like that took over before it had the last entry, and has been written to since.
    let (_, last) = after.0.split_once(':').unwrap();
    let _: () = redis::cmd("XDEL")
        .arg("gw:{r}:stream")
        .arg(last)
        .query(&mut bed.0.get().intruder())
        .unwrap();
    revoke().await;

    assert!(store.follow(&after, Duration::ZERO).await.unwrap().gap);
    let news = store.follow(&before, Duration::ZERO).await.unwrap();
    assert!(!news.gap && news.revocations.len() == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_dead_server_and_it_comes_back_by_itself() {
    let mut redis = Redis::start();
    let beside = TempDir::new().unwrap();
    let stores = open(&single(redis.port), &beside, (SECOND, 4 * SECOND)).await.unwrap();
    let id = SessionId(fresh_id());
    stores.sessions.find(id).await.unwrap();

    redis.down();
    assert!(stores.sessions.find(id).await.is_err());
    let begun = Instant::now();
    for _ in 0..200 {
        let refused = stores.sessions.find(id).await.unwrap_err();
        assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
    }
    assert!(begun.elapsed() < 4 * SECOND, "refused one after the other");

    redis.up();
    comes_back(&stores).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_left_alone() {
    let redis = Redis::start();
    let beside = TempDir::new().unwrap();
    let stores = open(&single(redis.port), &beside, (SECOND / 4, SECOND)).await.unwrap();
    let id = SessionId(fresh_id());

    redis.signal("STOP");
    assert!(matches!(
        stores.sessions.find(id).await.unwrap_err(),
        StoreError::Unanswered { .. }
    ));
    let begun = Instant::now();
    for _ in 0..200 {
        assert!(stores.sessions.find(id).await.is_err());
    }
    assert!(begun.elapsed() < SECOND, "each waited");

    redis.signal("CONT");
    comes_back(&stores).await;
}

async fn comes_back(stores: &Stores) {
    let begun = Instant::now();
    while stores.sessions.ping().await.is_err() {
        assert!(begun.elapsed() < 5 * SECOND, "it does not come back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_password_is_needed_where_the_server_asks_for_one() {
    let redis = Redis::with(&[
        "--user", "gateward", "on", ">s3cret", "~*", "+@all", "--user", "default", "off",
    ]);
    let beside = TempDir::new().unwrap();
    let with = |password: &str| servers::Redis {
        user: Some("gateward".to_owned()),
        password: Some(ServerPassword::new(password.to_owned())),
        ..single(redis.port)
    };
    open(&with("s3cret"), &beside, ample()).await.unwrap();
    let refused = open(&with("wrong"), &beside, ample()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
    assert!(!format!("{refused:?}").contains("wrong"));
}

#[tokio::test]
async fn over_tls_a_server_must_prove_its_name() {
    let beside = TempDir::new().unwrap();
    let file = |name: &str| beside.path().join(name).to_str().unwrap().to_owned();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(file("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(file("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let port = crate::servers::free_port();
    let (certificate, key, tls_port) = (file("cert.pem"), file("key.pem"), port.to_string());
    let files = [
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &certificate,
    ];
    let _redis = Redis::with(&[&["--tls-port", &tls_port, "--tls-auth-clients", "no"], files.as_slice()].concat());

    let at = |host: &str, ca_file: Option<String>| {
        let host = host.to_owned();
        let server_at = ServerAddress { host, port };
        let form = RedisForm::Single {
            server: server_at,
            database: 0,
        };
        servers::Redis {
            tls: ServerTls::Verify,
            ca_file: ca_file.map(PathBuf::from),
            ..server(form)
        }
    };
    let ours = || Some(file("cert.pem"));
    open(&at("localhost", ours()), &beside, ample()).await.unwrap();
    for untrusted in [at("127.0.0.1", ours()), at("localhost", None)] {
        assert!(open(&untrusted, &beside, ample()).await.is_err(), "{untrusted:?}");
    }
}

#[tokio::test]
async fn sentinels_lead_to_the_master() {
    let lent = LentRedis::new();
    let beside = TempDir::new().unwrap();
    let sentinel = Sentinel::watching(lent.get().port, "");
    let by = |service: &str| {
        // The first one does not answer.
        let sentinels = vec![address(crate::servers::free_port()), address(sentinel.port)];
        let service = service.to_owned();
        server(RedisForm::Sentinel {
            sentinels,
            service,
            database: 2,
            login: SentinelLogin::default(),
        })
    };

    let stores = open(&by("main"), &beside, ample()).await.unwrap();
    let sign_in = session(UserId(fresh_id()), START);
    stores.sessions.open(&sign_in).await.unwrap();

    let mut intruder = lent.get().intruder();
    let _: () = redis::cmd("SELECT").arg(2).query(&mut intruder).unwrap();
    let keys: usize = redis::cmd("DBSIZE").query(&mut intruder).unwrap();
    assert_eq!(keys, 2, "its record and its user's index");
    assert!(open(&by("other"), &beside, ample()).await.is_err());
}
