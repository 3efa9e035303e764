//! `store copy`: an installation moves from the embedded file to PostgreSQL and Redis, and nobody notices.

mod factors;

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use gateward::config;
use gateward::model::clock::{Clock, SystemClock, Timestamp};
use gateward::model::credential::{Account, PasswordHash};
use gateward::model::secret;
use gateward::model::session::{Amr, Generation, Session, SessionId};
use gateward::model::user::{Confirmation, Epoch, User, UserId};
use gateward::store::Stores;
use gateward::store::sessions::Bookmark;
use gateward::telemetry::Metrics;
use serde_json::json;

use crate::shared::{ISSUER, SECRET, SharedStores, write_secret};
use crate::world::person::{change_password, login, refresh};
use crate::world::process::{Outcome, command};
use crate::world::{Client, PASSWORD, Upstream, World, until};

const COOKIES: [&str; 2] = ["__Host-gateward", "__Host-gateward-refresh"];

/// An embedded installation with the secret of the shared one.
fn embedded(upstream: &Upstream) -> World {
    let world = World::stopped(upstream, |config| {
        config.set("tokens.issuer", ISSUER);
        // The machine that runs the tests may be busy.
        config.set("store.timeout", "10s");
    });
    write_secret(&world, SECRET);
    world
}

/// In good order.
fn stop(world: &mut World) {
    world.signal("TERM");
    assert!(world.wait_for_end());
}

fn copy(from: &World, to: &World) -> Outcome {
    from.run(&arguments(from, to).each_ref().map(String::as_str))
}

fn arguments(from: &World, to: &World) -> [String; 6] {
    let file = |world: &World| world.config_file().to_str().unwrap().to_owned();
    [
        "store".to_owned(),
        "copy".to_owned(),
        "--from".to_owned(),
        file(from),
        "--to".to_owned(),
        file(to),
    ]
}

async fn things(client: &Client, token: &str) -> u16 {
    client.get("/things").bearer(token).send().await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_signed_in_stays_so_and_what_had_ended_stays_ended() {
    let upstream = Upstream::friendly();
    let stores = SharedStores::new().await;
    let mut old = embedded(&upstream);
    old.up();
    let ada = old.person("ada").await;
    let browser = ada.in_browser(&old).await;
    let signed_out = ada.again().await;
    ada.client
        .post("/auth/logout")
        .bearer(&signed_out.access)
        .send()
        .await
        .is(204);
    let renewed = ada.refresh(&ada.refresh).await.is(200);
    let ben = old.person("ben").await;
    old.run(&["user", "disable", &ben.email]).done();
    let dora = old.person("dora").await;
    stop(&mut old);

    let mut new = stores.stopped(&upstream, |_| ());
    copy(&old, &new).done();
    new.up();

    let client = new.client();
    // Tokens that were made before the move.
    assert_eq!(things(&client, &ada.access).await, 200);
    assert_eq!(things(&client, &renewed.member("access_token")).await, 200);
    let next = refresh(&client, &renewed.member("refresh_token")).await.is(200);
    assert_eq!(things(&client, &next.member("access_token")).await, 200);
    let moved = new.browser();
    for name in COOKIES {
        moved.set_cookie(name, &browser.cookie(name).unwrap());
    }
    assert_eq!(moved.get("/things").send().await.status, 200);
    moved.post("/auth/refresh").send().await.is(200);
    // What had ended.
    assert_eq!(things(&client, &signed_out.access).await, 401);
    refresh(&client, &signed_out.refresh)
        .await
        .problem(401, "invalid_token");
    assert_eq!(things(&client, &ben.access).await, 401);
    refresh(&client, &ben.refresh).await.problem(401, "invalid_token");
    login(&client, &ben.email, PASSWORD, true)
        .await
        .problem(401, "invalid_credentials");
    // A token that was used before the move is reuse after it.
    refresh(&client, &ada.refresh).await.problem(401, "invalid_token");
    refresh(&client, &next.member("refresh_token"))
        .await
        .problem(401, "invalid_token");
    login(&client, &dora.email, PASSWORD, true).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_brings_nothing_back_that_ended_at_the_target() {
    let upstream = Upstream::friendly();
    let stores = SharedStores::new().await;
    let mut old = embedded(&upstream);
    old.up();
    let ada = old.person("ada").await;
    let stays = ada.again().await;
    let ben = old.person("ben").await;
    stop(&mut old);
    let mut new = stores.stopped(&upstream, |_| ());
    let first = copy(&old, &new).done();
    assert!(first.out.contains("accounts     2 new"), "{}", first.out);
    assert!(first.out.contains("sessions     3 new"), "{}", first.out);
    new.up();
    let client = new.client();
    client.post("/auth/logout").bearer(&ada.access).send().await.is(204);
    let renewed = refresh(&client, &stays.refresh).await.is(200);
    change_password(&client, &ben.access, PASSWORD, "another long password of ben")
        .await
        .is(204);
    new.run(&["user", "set-roles", &ada.email, "staff"]).done();

    let second = copy(&old, &new).done();

    for part in ["accounts", "revocations", "keys", "sessions"] {
        assert!(second.out.contains(&format!("{part:<12} 0 new")), "{}", second.out);
    }
    assert!(
        second
            .out
            .contains("1 differ and stay as the target has them (ada@example.com)"),
        "{}",
        second.out
    );
    refresh(&client, &ada.refresh).await.problem(401, "invalid_token");
    refresh(&client, &renewed.member("refresh_token")).await.is(200);
    login(&client, &ben.email, PASSWORD, true)
        .await
        .problem(401, "invalid_credentials");
    login(&client, &ben.email, "another long password of ben", true)
        .await
        .is(200);
    let shown = new.run(&["user", "show", &ada.email, "--json"]).done().json();
    assert_eq!(shown["roles"], json!(["staff"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_account_a_disabled_one_and_a_forgotten_key_do_not_come_back_with_a_second_run() {
    let upstream = Upstream::friendly();
    let stores = SharedStores::new().await;
    let mut old = embedded(&upstream);
    old.up();
    let (ada, ben) = (old.person("ada").await, old.person("ben").await);
    stop(&mut old);
    let new = stores.stopped(&upstream, |_| ());
    copy(&old, &new).done();
    new.run(&["user", "delete", &ada.email]).done();
    new.run(&["user", "disable", &ben.email]).done();
    let stolen = kids(&old).remove(0);
    new.run(&["keys", "revoke", &stolen]).done();
    let later = SystemClock.now().plus(Duration::from_secs(86_400));
    assert_eq!(open(&new).await.accounts.purge_keys(later).await.unwrap(), 1);
    // Whoever is disabled at the target may still raise their epoch at the source.
    for _ in 0..2 {
        old.run(&["session", "end-all", &ben.email]).done();
    }

    let second = copy(&old, &new).done();

    assert!(second.out.contains("accounts     0 new"), "{}", second.out);
    assert!(second.out.contains("keys         0 new"), "{}", second.out);
    new.run(&["user", "show", &ada.email]).refused();
    let shown = new.run(&["user", "show", &ben.email, "--json"]).done().json();
    assert!(shown["disabled_at"].is_string(), "{shown}");
    assert!(!kids(&new).contains(&stolen), "{stolen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_source_did_since_the_first_run_comes_with_the_second() {
    let upstream = Upstream::friendly();
    let stores = SharedStores::new().await;
    let mut old = embedded(&upstream);
    old.up();
    let (ada, ben) = (old.person("ada").await, old.person("ben").await);
    let signed_out = ada.again().await;
    stop(&mut old);
    let mut new = stores.stopped(&upstream, |_| ());
    copy(&old, &new).done();

    old.up();
    let cleo = old.person("cleo").await;
    let client = old.client();
    let renewed = refresh(&client, &ada.refresh).await.is(200);
    let logout = client.post("/auth/logout").bearer(&signed_out.access);
    logout.send().await.is(204);
    old.run(&["user", "disable", &ben.email]).done();
    let key = old.run(&["keys", "rotate"]).done().out.trim().to_owned();
    stop(&mut old);
    copy(&old, &new).done();
    new.up();

    let client = new.client();
    assert_eq!(things(&client, &cleo.access).await, 200);
    refresh(&client, &renewed.member("refresh_token")).await.is(200);
    assert_eq!(things(&client, &signed_out.access).await, 401);
    refresh(&client, &signed_out.refresh)
        .await
        .problem(401, "invalid_token");
    assert_eq!(things(&client, &ben.access).await, 401);
    refresh(&client, &ben.refresh).await.problem(401, "invalid_token");
    let keys = new.run(&["keys", "list", "--json"]).done().json();
    let kids: Vec<&str> = keys
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|key| key["kid"].as_str())
        .collect();
    assert_eq!(kids.last(), Some(&key.as_str()), "{keys}");
    assert_eq!(kids.len(), 2, "{keys}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_is_completed_by_the_next() {
    const PEOPLE: u64 = 3000;
    let upstream = Upstream::friendly();
    let shared = SharedStores::new().await;
    let (old, new) = (embedded(&upstream), shared.stopped(&upstream, |_| ()));
    let here = open(&old).await;
    populate(&here, PEOPLE).await;
    let there = open(&new).await;

    let halted = halt_copy(&old, &new, async || there.accounts.tally().await.unwrap() > 0).await;
    let moved = there.accounts.tally().await.unwrap();
    assert!(
        halted && moved < PEOPLE,
        "{moved} accounts were there before it could be stopped"
    );

    let halted = halt_copy(&old, &new, async || !sessions(&there).await.is_empty()).await;
    assert_eq!(there.accounts.tally().await.unwrap(), PEOPLE);
    let moved = sessions(&there).await.len();
    assert!(
        halted && moved < 3000,
        "{moved} sessions were there before it could be stopped"
    );

    let outcome = copy(&old, &new).done();
    assert!(
        outcome
            .out
            .contains(&format!("accounts     0 new, {PEOPLE} there already")),
        "{}",
        outcome.out
    );
    assert_eq!(accounts(&there).await, accounts(&here).await);
    assert_eq!(sessions(&there).await, sessions(&here).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_copied_where_something_would_be_lost() {
    let upstream = Upstream::friendly();
    let stores = SharedStores::new().await;
    let mut old = embedded(&upstream);
    let new = stores.stopped(&upstream, |_| ());
    assert!(copy(&old, &new).refused().err.contains("there is no "));
    assert!(copy(&new, &new).refused().err.contains("the same stores"));

    old.up();
    let ada = old.person("ada").await;
    assert!(copy(&old, &new).refused().err.contains("stop it first"));
    stop(&mut old);

    write_secret(&new, "b3RoZXJzZWNyZXRvdGhlcnNlY3JldG90aGVyc2VjcmU=\n");
    assert!(copy(&old, &new).refused().err.contains("different secrets"));
    write_secret(&new, SECRET);

    let add = ["user", "add", &ada.email, "--password-stdin"];
    new.run_with_input(&add, &format!("{PASSWORD}\n")).done();
    let refused = copy(&old, &new).refused().err;
    assert!(
        refused.contains("other accounts for 1 of the addresses (ada@example.com)"),
        "{refused}"
    );
    assert!(sessions(&open(&new).await).await.is_empty());
    new.run(&["user", "delete", &ada.email]).done();
    copy(&old, &new).done();
    assert_eq!(sessions(&open(&new).await).await.len(), 1);
}

fn kids(world: &World) -> Vec<String> {
    let keys = world.run(&["keys", "list", "--json"]).done().json();
    let kids = keys.as_array().unwrap().iter().map(|key| key["kid"].as_str());
    kids.map(|kid| kid.unwrap().to_owned()).collect()
}

/// Begins to copy, and ends it with SIGKILL once something is so. Tells whether it was still at it.
async fn halt_copy(old: &World, new: &World, mut is_time: impl AsyncFnMut() -> bool) -> bool {
    let mut child = command(&old.config_file(), &arguments(old, new).each_ref().map(String::as_str))
        .spawn()
        .unwrap();
    while !is_time().await {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    child.kill().unwrap();
    let status = until("the copy ends", || child.try_wait().unwrap());
    status.code().is_none()
}

async fn open(world: &World) -> Stores {
    let settings = config::load(&world.config_file()).unwrap();
    let metrics = Arc::new(Metrics::new());
    Stores::open(&settings.store, &metrics).await.unwrap()
}

/// So many people, each with a session.
async fn populate(stores: &Stores, people: u64) {
    let now = SystemClock.now();
    let each = (0..people).map(|n| async move {
        let user = UserId(secret::uuid_v7(now).unwrap());
        stores.accounts.add(&account(user, n, now)).await.unwrap();
        stores.sessions.open(&session(user, now)).await.unwrap();
    });
    stream::iter(each).buffer_unordered(50).collect::<Vec<()>>().await;
}

fn account(id: UserId, n: u64, now: Timestamp) -> Account {
    Account {
        user: User {
            id,
            email: format!("person{n}@example.com").parse().unwrap(),
            roles: vec!["staff".parse().unwrap()],
            created_at: now,
            disabled_at: None,
            epoch: Epoch(0),
            confirmation: Confirmation::Unasked,
        },
        password: PasswordHash::new(format!("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ${n}")),
    }
}

fn session(user: UserId, now: Timestamp) -> Session {
    let end = now.plus(Duration::from_secs(86_400));
    Session {
        id: SessionId(secret::uuid_v7(now).unwrap()),
        user,
        epoch: Epoch(0),
        created_at: now,
        last_used_at: now,
        expires_at: end,
        idle_expires_at: end,
        auth_time: now,
        amr: vec![Amr("pwd".to_owned())],
        ip: Some("192.0.2.7".parse().unwrap()),
        user_agent: "somebody's".to_owned(),
        nonce_hash: secret::random().unwrap(),
        current: Generation(7),
        previous: Some(Generation(6)),
        rotated_at: now,
    }
}

async fn accounts(stores: &Stores) -> Vec<(User, PasswordHash)> {
    let all = stores.accounts.accounts(None, 10_000).await.unwrap();
    all.into_iter()
        .map(|account| (account.user, account.password))
        .collect()
}

/// All of them, in the order of their ids.
async fn sessions(stores: &Stores) -> Vec<Session> {
    let (mut all, mut place) = (Vec::new(), Bookmark::default());
    loop {
        let page = stores.sessions.page(&place, 1000).await.unwrap();
        all.extend(page.sessions);
        let Some(next) = page.next else { break };
        place = next;
    }
    all.sort_by_key(|session: &Session| session.id);
    all.dedup_by_key(|session| session.id);
    all
}
