//! A gateway that starts while its stores are away serves what it can, says what it lacks, and is whole by itself as soon as they are there. What no
//! waiting can mend ends the start with a word about it.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::actors::steady;
use super::site::stopped_gateway;
use crate::servers::line::Line;
use crate::servers::postgres::Postgres;
use crate::servers::redis::Redis;
use crate::world::person::{login, refresh};
use crate::world::{PASSWORD, Person, Upstream, Wire, World, until};

const REFRESH: &str = "__Host-gateward-refresh";
/// After the stores are there: five seconds, and what a busy machine may add.
const SOON: Duration = Duration::from_secs(5 + 10);

async fn database() -> (u16, String) {
    let port = tokio::task::spawn_blocking(|| Postgres::shared().port).await.unwrap();
    (port, Postgres::new_database(port).await)
}

/// What a gateway does that has never heard of its stores.
async fn it_serves_what_it_can(world: &World, ada: &Person) {
    let probe = world.admin("/readyz?verbose");
    let report = probe.text();
    assert_eq!(probe.status, 503, "{report}");
    for store in ["accounts", "sessions"] {
        assert!(
            report.contains(&format!("{store} failed: the {store} store ")),
            "{report}"
        );
    }
    assert!(report.ends_with("not ready\n"), "{report}");
    assert_eq!(world.admin("/livez").status, 200);

    let client = world.client();
    client.get("/public").send().await.is(200);
    client.get("/things").send().await.problem(401, "no_token");
    let unavailable = "store_unavailable";
    client
        .get("/things")
        .bearer(&ada.access)
        .send()
        .await
        .problem(503, unavailable);
    login(&client, &ada.email, PASSWORD, true)
        .await
        .problem(503, unavailable);
    refresh(&client, &ada.refresh).await.problem(503, unavailable);
    client
        .get("/.well-known/jwks.json")
        .send()
        .await
        .problem(503, unavailable);
    let browser = world.browser();
    browser.set_cookie(REFRESH, &ada.refresh);
    let renewal = browser.get("/things").send().await.problem(503, unavailable);
    assert!(renewal.cookies().is_empty(), "a store that is away signs nobody out");
}

async fn it_becomes_whole(world: &World, ada: &Person) {
    let began = Instant::now();
    until("the gateway is ready", || world.is_ready().then_some(()));
    assert!(began.elapsed() < SOON, "after {:?}", began.elapsed());
    let client = world.client();
    client.get("/things").bearer(&ada.access).send().await.is(200);
    let renewed = steady(|| refresh(&client, &ada.refresh)).await.is(200);
    client
        .get("/things")
        .bearer(&renewed.member("access_token"))
        .send()
        .await
        .is(200);
    steady(|| login(&client, &ada.email, PASSWORD, true)).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_starts_before_its_stores_serves_what_it_can_and_becomes_whole_by_itself() {
    let upstream = Upstream::friendly();
    let mut postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
    let mut redis = Redis::with(&["--appendonly", "yes"]);
    let database = Postgres::new_database(postgres.port).await;
    let mut world = stopped_gateway(&upstream, redis.port, postgres.port, &database);
    world.up();
    let ada = world.person("ada").await;
    world.kill();

    postgres.down();
    redis.down();
    world.up_as_far_as("/livez");
    it_serves_what_it_can(&world, &ada).await;
    redis.up();
    postgres.up();
    drop(Postgres::connect(postgres.port, "postgres").await);
    it_becomes_whole(&world, &ada).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_that_accept_and_say_nothing_hold_no_start_up() {
    let upstream = Upstream::friendly();
    let (port, database) = database().await;
    let redis = Redis::start();
    let (to_redis, to_postgres) = (Line::to(redis.port).await, Line::to(port).await);
    let mut world = stopped_gateway(&upstream, to_redis.port, to_postgres.port, &database);
    world.up();
    let ada = world.person("ada").await;
    world.kill();

    to_redis.stall();
    to_postgres.stall();
    let began = Instant::now();
    world.up_as_far_as("/livez");
    assert!(began.elapsed() < SOON, "it took {:?} to start", began.elapsed());
    it_serves_what_it_can(&world, &ada).await;
    to_redis.release();
    to_postgres.release();
    it_becomes_whole(&world, &ada).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_on_an_empty_database_may_come_before_it_too() {
    let upstream = Upstream::friendly();
    let (port, database) = database().await;
    let redis = Redis::start();
    let to_postgres = Line::to(port).await;
    to_postgres.stall();
    let mut world = stopped_gateway(&upstream, redis.port, to_postgres.port, &database);
    world.up_as_far_as("/livez");
    to_postgres.release();
    until("the gateway is ready", || world.is_ready().then_some(()));
    let ada = world.person("ada").await;
    ada.get("/things").await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_certificate_is_not_trusted_ends_the_start() {
    let upstream = Upstream::friendly();
    let (port, database) = database().await;
    let (config, _) = crate::world::certificate::serving("localhost");
    let redis = Redis::start();
    let impostor = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = impostor.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in impostor.incoming().flatten() {
            let _ = Wire::serve_tls(stream, Arc::clone(&config));
        }
    });
    let mut world = stopped_gateway(&upstream, redis.port, port, &database);
    world.reconfigure(|config| {
        config.set("store.sessions", format!("rediss://localhost:{at}"));
        // A busy machine that takes longer is no server that refuses.
        config.set("store.connect_timeout", "10s");
    });
    world.launch();
    assert!(!world.wait_for_end());
    assert!(world.output().contains("certificate"), "{}", world.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_the_password_ends_the_start() {
    let upstream = Upstream::friendly();
    let (port, database) = database().await;
    let guarded = Redis::with(&["--requirepass", "s3cret-of-redis"]);
    let open = Redis::start();
    for (redis, password, store) in [(&open, "wr0ng-password", "accounts"), (&guarded, "", "sessions")] {
        let mut world = stopped_gateway(&upstream, redis.port, port, &database);
        world.reconfigure(|config| {
            config.set("store.connect_timeout", "10s");
        });
        if !password.is_empty() {
            std::fs::write(world.dir().join("db.password"), password).unwrap();
        }
        world.launch();
        assert!(!world.wait_for_end());
        let said = world.output();
        assert!(
            said.contains(&format!("gateward: the {store} store cannot be reached: ")),
            "{said}"
        );
        assert!(!said.contains("wr0ng"), "{said}");
    }
}
