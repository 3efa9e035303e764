//! Figures of the stores that a configuration names, for the README; by hand, since they take minutes.
//!
//! `cargo bench --bench stores -- fill FILE 100000` makes so many accounts, each with a session; `sessions FILE 1000000 10` makes sessions, ten of each
//! user, and says what Redis needs for one; `sign-out FILE 10000` ends so many sessions of one user, while somebody else asks for theirs all the time.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "by hand, in front of somebody"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use gateward::config::servers::RedisForm;
use gateward::config::{self, StoreUrl};
use gateward::model::clock::{Clock, SystemClock, Timestamp};
use gateward::model::credential::{Account, PasswordHash};
use gateward::model::secret;
use gateward::model::session::{Amr, Generation, Session, SessionId};
use gateward::model::user::{Confirmation, Epoch, User, UserId};
use gateward::store::Stores;
use gateward::telemetry::Metrics;

/// What a common browser says of itself.
const BROWSER: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

#[tokio::main]
async fn main() {
    // Cargo adds an argument of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["fill", file, count] => fill(&open(file).await.0, number(count)).await,
        ["sessions", file, count, each] => {
            let (stores, at) = open(file).await;
            sessions(&stores, &at, number(count), number(each)).await;
        }
        ["sign-out", file, count] => sign_out(&open(file).await.0, number(count)).await,
        _ => eprintln!("fill FILE ACCOUNTS | sessions FILE SESSIONS OF-EACH-USER | sign-out FILE SESSIONS"),
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

/// The stores that a configuration names.
async fn open(file: &str) -> (Stores, StoreUrl) {
    let settings = config::load(Path::new(file)).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let stores = Stores::open(&settings.store, &Arc::new(Metrics::new())).await;
    (stores.expect("stores"), settings.store.sessions)
}

async fn fill(stores: &Stores, count: u64) {
    let (began, now) = (Instant::now(), SystemClock.now());
    let one = |n| async move {
        let user = UserId(secret::uuid_v7(now).expect("random bytes"));
        let account = account(user, n, now);
        stores.accounts.add(&account).await.expect("an account");
        stores.sessions.open(&session(user, now)).await.expect("a session");
    };
    stream::iter(0..count).map(one).buffer_unordered(50).count().await;
    println!("{count} accounts with a session each in {:.1?}", began.elapsed());
}

async fn sessions(stores: &Stores, at: &StoreUrl, count: u64, each: u64) {
    let StoreUrl::Redis(server) = at else {
        panic!("store.sessions is no Redis")
    };
    let RedisForm::Single { server, .. } = &server.form else {
        panic!("store.sessions is not one server")
    };
    let client = redis::Client::open((server.host.clone(), server.port)).expect("an address");
    let mut connection = client.get_connection().expect("a connection");
    let (began, before) = (Instant::now(), used_memory(&mut connection));
    let one = |_| async move {
        let now = SystemClock.now();
        let user = UserId(secret::uuid_v7(now).expect("random bytes"));
        for _ in 0..each {
            stores.sessions.open(&session(user, now)).await.expect("a session");
        }
    };
    stream::iter(0..count / each)
        .map(one)
        .buffer_unordered(200)
        .count()
        .await;
    let used = used_memory(&mut connection) - before;
    println!("{count} sessions, {each} of each user, in {:.1?}", began.elapsed());
    println!("{used} octets, {} for each session", used / count);
}

fn used_memory(connection: &mut redis::Connection) -> u64 {
    let info: String = redis::cmd("INFO").arg("memory").query(connection).expect("INFO");
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    number(line.expect("used_memory"))
}

async fn sign_out(stores: &Stores, count: u64) {
    let now = SystemClock.now();
    let user = UserId(secret::uuid_v7(now).expect("random bytes"));
    let one = |_| async move { stores.sessions.open(&session(user, now)).await.expect("a session") };
    stream::iter(0..count).map(one).buffer_unordered(100).count().await;
    let other = session(UserId(secret::uuid_v7(now).expect("random bytes")), now);
    stores.sessions.open(&other).await.expect("a session");

    let over = Arc::new(AtomicBool::new(false));
    let bystander = tokio::spawn(ask(stores.clone(), other.id, Arc::clone(&over)));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    let ended = stores.sessions.end_all(user, None).await.expect("the end");
    let took = began.elapsed();
    over.store(true, Ordering::SeqCst);
    let waits = bystander.await.expect("answers");
    println!("{} sessions of one user ended in {took:.1?}", ended.len());
    println!(
        "somebody else's look-ups all the while: median {:.2?}, worst {:.2?}",
        waits[waits.len() / 2],
        waits[waits.len() - 1]
    );
}

/// How long each answer took, shortest first.
async fn ask(stores: Stores, id: SessionId, over: Arc<AtomicBool>) -> Vec<Duration> {
    let mut waits = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let began = Instant::now();
        stores.sessions.find(id).await.expect("an answer").expect("a session");
        waits.push(began.elapsed());
    }
    waits.sort_unstable();
    waits
}

fn account(id: UserId, n: u64, now: Timestamp) -> Account {
    Account {
        user: User {
            id,
            email: format!("person{n}@example.com").parse().expect("an address"),
            roles: vec!["staff".parse().expect("a role")],
            created_at: now,
            disabled_at: None,
            epoch: Epoch(0),
            confirmation: Confirmation::Unasked,
        },
        password: PasswordHash::new(
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA".to_owned(),
        ),
    }
}

fn session(user: UserId, now: Timestamp) -> Session {
    let day = Duration::from_secs(86_400);
    Session {
        id: SessionId(secret::uuid_v7(now).expect("random bytes")),
        user,
        epoch: Epoch(0),
        created_at: now,
        last_used_at: now,
        expires_at: now.plus(90 * day),
        idle_expires_at: now.plus(14 * day),
        auth_time: now,
        amr: vec![Amr("pwd".to_owned())],
        ip: Some("203.0.113.77".parse().expect("an address")),
        user_agent: BROWSER.to_owned(),
        nonce_hash: secret::random().expect("random bytes"),
        current: Generation::FIRST,
        previous: None,
        rotated_at: now,
    }
}
