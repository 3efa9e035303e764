//! What ends a session ends its access tokens: the next proxied request is 401 on every worker, also on connections that are open already.

use std::time::{Duration, Instant};

use crate::world::forge::part;
use crate::world::person::{change_password, refresh};
use crate::world::{PASSWORD, Person, Upstream, Wire, World};

/// What is done elsewhere arrives within a second; the rest is what a busy machine may add.
const SOON: Duration = Duration::from_secs(1 + 4);
/// Open connections; the kernel spreads them over the workers' listeners.
const CONNECTIONS: usize = 16;

/// Somebody with connections to every worker, all of which have seen their token.
struct Everywhere {
    person: Person,
    wires: Vec<Wire>,
    request: String,
}

impl Everywhere {
    #[track_caller]
    fn of(world: &World, person: &Person) -> Self {
        let request = format!(
            "GET /things HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
            world.authority(),
            person.access
        );
        let wires = (0..CONNECTIONS).map(|_| world.tls()).collect();
        let mut everywhere = Self {
            person: person.clone(),
            wires,
            request,
        };
        everywhere.passes();
        everywhere
    }

    #[track_caller]
    fn passes(&mut self) {
        for wire in &mut self.wires {
            let answer = wire.ask(&self.request);
            assert_eq!(answer.status, 200, "{}: {}", self.person.email, answer.text());
        }
    }

    #[track_caller]
    fn is_refused(&mut self) {
        for wire in &mut self.wires {
            let answer = wire.ask(&self.request);
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (401, "invalid_token"),
                "{}",
                self.person.email
            );
        }
    }

    /// What another process does arrives.
    #[track_caller]
    fn is_refused_soon(&mut self) {
        let began = Instant::now();
        while self.wires.iter_mut().any(|wire| wire.ask(&self.request).status != 401) {
            assert!(began.elapsed() < SOON, "still let through");
        }
        self.is_refused();
    }
}

struct Scene {
    world: World,
    ada: Person,
    here: Everywhere,
    there: Everywhere,
    ben: Everywhere,
}

/// Ada is signed in twice, Ben once.
async fn scene(upstream: &Upstream) -> Scene {
    let world = World::start(upstream);
    let ada = world.person("ada").await;
    let here = Everywhere::of(&world, &ada);
    let there = Everywhere::of(&world, &ada.again().await);
    let ben = Everywhere::of(&world, &world.person("ben").await);
    Scene {
        world,
        ada,
        here,
        there,
        ben,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_this_session_only() {
    let upstream = Upstream::friendly();
    let mut scene = scene(&upstream).await;
    scene
        .ada
        .client
        .post("/auth/logout")
        .bearer(&scene.ada.access)
        .send()
        .await
        .is(204);
    scene.here.is_refused();
    scene.there.passes();
    scene.ben.passes();
    refresh(&scene.ada.client, &scene.ada.refresh)
        .await
        .problem(401, "invalid_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_everywhere_ends_every_session_of_the_user() {
    let upstream = Upstream::friendly();
    let mut scene = scene(&upstream).await;
    scene
        .ada
        .client
        .post("/auth/logout/all")
        .bearer(&scene.ada.access)
        .send()
        .await
        .is(204);
    scene.here.is_refused();
    scene.there.is_refused();
    scene.ben.passes();
    // Signing in again works at once.
    Everywhere::of(&scene.world, &scene.ada.again().await).passes();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_change_ends_the_other_sessions() {
    let upstream = Upstream::friendly();
    let mut scene = scene(&upstream).await;
    let ada = &scene.ada;
    change_password(&ada.client, &ada.access, PASSWORD, "a quite different long sentence")
        .await
        .is(204);
    scene.there.is_refused();
    scene.here.passes();
    scene.ben.passes();
}

#[tokio::test(flavor = "multi_thread")]
async fn session_end_from_the_command_line_ends_that_session() {
    let upstream = Upstream::friendly();
    let mut scene = scene(&upstream).await;
    let id = part(&scene.ada.access, 1)["sid"]
        .as_str()
        .expect("a session")
        .to_owned();
    scene.world.run(&["session", "end", &id]).done();
    scene.here.is_refused_soon();
    scene.there.passes();
    scene.ben.passes();
    refresh(&scene.ada.client, &scene.ada.refresh)
        .await
        .problem(401, "invalid_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn session_end_all_from_the_command_line_ends_the_users_sessions() {
    let upstream = Upstream::friendly();
    let mut scene = scene(&upstream).await;
    scene.world.run(&["session", "end-all", &scene.ada.email]).done();
    scene.here.is_refused_soon();
    scene.there.is_refused_soon();
    scene.ben.passes();
}

#[tokio::test(flavor = "multi_thread")]
async fn user_disable_ends_the_users_sessions() {
    let upstream = Upstream::friendly();
    let mut scene = scene(&upstream).await;
    scene.world.run(&["user", "disable", &scene.ada.email]).done();
    scene.here.is_refused_soon();
    scene.there.is_refused_soon();
    scene.ben.passes();
}

#[tokio::test(flavor = "multi_thread")]
async fn user_delete_ends_the_users_sessions() {
    let upstream = Upstream::friendly();
    let mut scene = scene(&upstream).await;
    scene.world.run(&["user", "delete", &scene.ada.email]).done();
    scene.here.is_refused_soon();
    scene.there.is_refused_soon();
    scene.ben.passes();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_revoke_ends_every_token_of_the_key_and_sessions_live_on() {
    let upstream = Upstream::friendly();
    let mut scene = scene(&upstream).await;
    let header = part(&scene.ada.access, 0);
    scene
        .world
        .run(&["keys", "revoke", header["kid"].as_str().expect("a kid")])
        .done();
    scene.here.is_refused_soon();
    scene.there.is_refused_soon();
    scene.ben.is_refused_soon();

    let next = scene.ada.refresh(&scene.ada.refresh).await.is(200);
    let renewed = Person {
        access: next.member("access_token"),
        ..scene.ada.clone()
    };
    assert_ne!(part(&renewed.access, 0)["kid"], header["kid"]);
    Everywhere::of(&scene.world, &renewed).passes();
}

#[tokio::test(flavor = "multi_thread")]
async fn revocations_outlive_a_crash() {
    let upstream = Upstream::friendly();
    let mut scene = scene(&upstream).await;
    scene
        .ada
        .client
        .post("/auth/logout")
        .bearer(&scene.ada.access)
        .send()
        .await
        .is(204);
    scene.world.crash_and_restart();
    scene.ada.get("/things").await.problem(401, "invalid_token");
    scene.there.person.get("/things").await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_works_by_refresh_token_alone() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let ada = world.person("ada").await;
    let browser = ada.in_browser(&world).await;
    let access = browser.cookie("__Host-gateward").expect("an access cookie");
    let only = world.browser();
    only.set_cookie(
        "__Host-gateward-refresh",
        &browser.cookie("__Host-gateward-refresh").expect("a refresh cookie"),
    );
    only.post("/auth/logout").send().await.is(204);
    world
        .client()
        .get("/things")
        .bearer(&access)
        .send()
        .await
        .problem(401, "invalid_token");
}
