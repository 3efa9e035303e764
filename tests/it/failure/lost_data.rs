//! A sessions store that comes back without its data, or with older data, brings nothing back to life: not a session that was ended, not a user who was
//! disabled, not a refresh token that was used.

use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;

use super::actors::steady;
use super::site::stopped_gateway;
use super::traffic::Traffic;
use crate::servers::line::Line;
use crate::servers::postgres::Postgres;
use crate::servers::redis::{Redis, Sentinel};
use crate::world::forge::part;
use crate::world::person::{login, refresh};
use crate::world::{Client, PASSWORD, Person, Upstream, World, until};

/// Two gateways, and a third that comes later.
struct Site {
    a: World,
    b: World,
    later: World,
}

impl Site {
    async fn start(upstream: &Upstream, sessions: &str) -> Self {
        let port = tokio::task::spawn_blocking(|| Postgres::shared().port).await.unwrap();
        let database = Postgres::new_database(port).await;
        let stopped = || {
            let mut world = stopped_gateway(upstream, 1, port, &database);
            world.reconfigure(|config| {
                // The machine that runs the tests may be busy, and limits are not what is looked at here.
                config
                    .set("store.sessions", sessions)
                    .set("store.connect_timeout", "1s")
                    .set("store.timeout", "4s");
            });
            world
        };
        let (mut a, mut b, later) = (stopped(), stopped(), stopped());
        tokio::task::block_in_place(|| {
            a.up();
            b.up();
        });
        Self { a, b, later }
    }

    fn clients(&self) -> [Client; 2] {
        [self.a.client(), self.b.client()]
    }
}

/// People before anything ends.
struct People {
    leaves: Person,
    is_disabled: Person,
    renews: Person,
    stays: Person,
}

impl People {
    async fn arrive(site: &Site) -> Self {
        let people = Self {
            leaves: site.a.person("leaves").await,
            is_disabled: site.a.person("is-disabled").await,
            renews: site.a.person("renews").await,
            stays: site.a.person("stays").await,
        };
        for client in site.clients() {
            for person in [&people.leaves, &people.is_disabled, &people.stays] {
                let seen = client.get("/things").bearer(&person.access).send().await;
                seen.is(200);
            }
        }
        people
    }

    /// One signs out, one is disabled, one uses their refresh token twice; returns the token that is current then.
    async fn end(&self, site: &Site) -> String {
        let leaving = self.leaves.client.post("/auth/logout").bearer(&self.leaves.access);
        leaving.send().await.is(204);
        site.a.run(&["user", "disable", &self.is_disabled.email]).done();
        let second = self.renews.refresh(&self.renews.refresh).await.is(200);
        let third = self.renews.refresh(&second.member("refresh_token")).await.is(200);
        for client in site.clients() {
            for person in [&self.leaves, &self.is_disabled] {
                refused_soon(&client, &person.access).await;
            }
        }
        third.member("refresh_token")
    }
}

async fn refused_soon(client: &Client, token: &str) {
    for _ in 0..100 {
        if client.get("/things").bearer(token).send().await.status == 401 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still let through");
}

/// What goes on from before the fault to the end: people use the backend, and tokens that have ended are shown at both gateways.
struct Meanwhile {
    traffic: Traffic,
    showing: JoinHandle<()>,
}

impl Meanwhile {
    fn begin(site: &Site, people: &People) -> Self {
        Self {
            traffic: Traffic::begin(&site.a, std::slice::from_ref(&people.stays.access)),
            showing: keep_showing(site, people),
        }
    }

    /// Whoever is known was let through each time, and whoever was signed out never.
    async fn end(self) {
        self.showing.abort();
        if let Err(error) = self.showing.await {
            assert!(error.is_cancelled(), "{error}");
        }
        let tally = self.traffic.tally().await;
        println!(
            "{} requests at {:.0}/s, the longest {:?}",
            tally.served, tally.rate, tally.worst
        );
        assert!(tally.failed.is_empty(), "{:?}", tally.failed);
    }
}

/// Until it is aborted; each answer must be a refusal.
fn keep_showing(site: &Site, people: &People) -> JoinHandle<()> {
    let clients = site.clients();
    let tokens = [people.leaves.access.clone(), people.is_disabled.access.clone()];
    tokio::spawn(async move {
        loop {
            for client in &clients {
                for token in &tokens {
                    let answer = client.get("/things").bearer(token).send().await;
                    assert_eq!(answer.status, 401, "{}", answer.text());
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
}

/// What the store must say again before a gateway may rely on it that remembers nothing itself.
fn until_put_back(redis: &Redis, people: &People) {
    let session = part(&people.leaves.access, 1)["sid"].as_str().unwrap().replace('-', "");
    let keys = [
        format!("gw:{{r}}:s:{session}"),
        format!("gw:{{r}}:u:{}", people.is_disabled.id.replace('-', "")),
    ];
    until("revocations are put back", || {
        let mut line = redis.try_intruder().ok()?;
        let there: u32 = redis::cmd("EXISTS").arg(&keys).query(&mut line).ok()?;
        (there == 2).then_some(())
    });
}

/// After the store is back, and knows again what it must.
async fn nothing_has_come_back(site: &mut Site, people: &People) {
    tokio::task::block_in_place(|| site.later.up());
    let [a, b] = site.clients();
    for client in [a, b, site.later.client()] {
        for ended in [&people.leaves, &people.is_disabled] {
            let shown = client.get("/things").bearer(&ended.access).send().await;
            shown.problem(401, "invalid_token");
            // The other gateway may have put it all back while this one still leaves the store alone.
            let shown = steady(|| refresh(&client, &ended.refresh)).await;
            shown.problem(401, "invalid_token");
        }
        let disabled = steady(|| login(&client, &people.is_disabled.email, PASSWORD, true)).await;
        disabled.problem(401, "invalid_credentials");
        let goes_on = client.get("/things").bearer(&people.stays.access).send().await;
        goes_on.is(200);
    }
}

/// A store that lost everything: whoever had a session signs in again, once.
async fn sessions_are_gone(site: &Site, people: &People, current: &str) {
    for client in site.clients() {
        for token in [people.renews.refresh.as_str(), current, &people.stays.refresh] {
            refresh(&client, token).await.problem(401, "invalid_token");
        }
    }
    let browser = site.a.browser();
    browser.set_cookie("__Host-gateward-refresh", &people.stays.refresh);
    let told = browser.get("/things").send().await.is(401);
    assert_eq!(told.cookies().iter().filter(|cookie| cookie.is_cleared()).count(), 2);
    let again = login(&browser, &people.stays.email, PASSWORD, true).await.is(200);
    refresh(&browser, &again.member("refresh_token")).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flushed_store_brings_nothing_back() {
    let upstream = Upstream::friendly();
    let redis = Redis::start();
    let mut site = Site::start(&upstream, &format!("redis://127.0.0.1:{}", redis.port)).await;
    let people = People::arrive(&site).await;
    let current = people.end(&site).await;

    let meanwhile = Meanwhile::begin(&site, &people);
    let _: () = redis::cmd("FLUSHALL").query(&mut redis.intruder()).unwrap();
    tokio::task::block_in_place(|| until_put_back(&redis, &people));
    nothing_has_come_back(&mut site, &people).await;
    sessions_are_gone(&site, &people, &current).await;
    meanwhile.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_restarted_empty_brings_nothing_back() {
    let upstream = Upstream::friendly();
    let mut redis = Redis::start();
    let mut site = Site::start(&upstream, &format!("redis://127.0.0.1:{}", redis.port)).await;
    let people = People::arrive(&site).await;
    let current = people.end(&site).await;

    let meanwhile = Meanwhile::begin(&site, &people);
    redis.signal("KILL");
    tokio::task::block_in_place(|| {
        redis.down();
        redis.up();
        until_put_back(&redis, &people);
    });
    nothing_has_come_back(&mut site, &people).await;
    sessions_are_gone(&site, &people, &current).await;
    meanwhile.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_takes_over_without_the_last_writes_brings_nothing_back() {
    let upstream = Upstream::friendly();
    let master = Redis::start();
    let to_master = Line::to(master.port).await;
    let replica = Redis::with(&["--replicaof", "127.0.0.1", &to_master.port.to_string()]);
    tokio::task::block_in_place(|| until("the replica follows", || says(&replica, "master_link_status:up")));
    let sentinel = tokio::task::block_in_place(|| Sentinel::watching(master.port, ""));
    let mut site = Site::start(&upstream, &format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port)).await;
    let people = People::arrive(&site).await;
    tokio::task::block_in_place(|| until("the replica has it all", || has_all_of(&replica, &master)));

    to_master.stall();
    let current = people.end(&site).await;
    let meanwhile = Meanwhile::begin(&site, &people);
    master.signal("KILL");
    tokio::task::block_in_place(|| {
        until("the replica takes over", || says(&replica, "role:master"));
        until_put_back(&replica, &people);
    });
    nothing_has_come_back(&mut site, &people).await;

    // The owner is ahead of the store: accepted once, and the store is where they are. The old token is one that was used, again.
    let [a, b] = site.clients();
    let moved_on = refresh(&a, &current).await.is(200).member("refresh_token");
    refresh(&b, &people.renews.refresh).await.problem(401, "invalid_token");
    refresh(&a, &moved_on).await.problem(401, "invalid_token");
    meanwhile.end().await;
}

fn says(redis: &Redis, line: &str) -> Option<()> {
    let told: String = redis::cmd("INFO")
        .arg("replication")
        .query(&mut redis.try_intruder().ok()?)
        .ok()?;
    told.contains(line).then_some(())
}

fn has_all_of(replica: &Redis, master: &Redis) -> Option<()> {
    let offset = |redis: &Redis| -> Option<Value> {
        let told: String = redis::cmd("INFO")
            .arg("replication")
            .query(&mut redis.try_intruder().ok()?)
            .ok()?;
        let line = told.lines().find(|line| line.starts_with("master_repl_offset:"))?;
        Some(Value::from(line.to_owned()))
    };
    (offset(replica)? == offset(master)?).then_some(())
}
