//! The refresh token: rotation that races and lost answers cannot hurt, and reuse that ends the family. All of it again with a crash between any two steps.

use serde_json::{Value, json};

use crate::world::forge::part;
use crate::world::person::{login, refresh};
use crate::world::{Answer, Client, PASSWORD, Person, Upstream, World, until};

const ACCESS: &str = "__Host-gateward";
const REFRESH: &str = "__Host-gateward-refresh";

/// The first 20 bytes are the session's id and the generation.
fn generation(token: &str) -> u32 {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(token)
        .expect("base64url");
    u32::from_be_bytes(bytes[16..20].try_into().expect("four bytes"))
}

async fn at_once(client: &Client, token: &str, times: usize) -> Vec<Answer> {
    let calls = (0..times).map(|_| {
        let (client, token) = (client.clone(), token.to_owned());
        tokio::spawn(async move { refresh(&client, &token).await })
    });
    let calls: Vec<_> = calls.collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.expect("a refresh ends"));
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_racers_get_one_generation_and_equal_successors() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let person = world.person("ada").await;

    let answers = at_once(&person.client, &person.refresh, 200).await;
    let successors: Vec<String> = answers.into_iter().map(|a| a.is(200).member("refresh_token")).collect();
    assert!(
        successors.iter().all(|token| *token == successors[0]),
        "the successors differ"
    );
    assert_eq!(generation(&successors[0]), generation(&person.refresh) + 1);
    assert_eq!(world.metric("gateward_refresh_total", &["outcome=\"rotated\""]), 1.0);
    assert_eq!(world.metric("gateward_refresh_total", &["outcome=\"repeated\""]), 199.0);

    let next = person.refresh(&successors[0]).await.is(200);
    person
        .client
        .get("/things")
        .bearer(&next.member("access_token"))
        .send()
        .await
        .is(200);
}

/// A world whose gateway may be killed and started again after each step.
struct Stage {
    world: World,
    person: Person,
    crashes: bool,
}

impl Stage {
    async fn set(upstream: &Upstream, reuse_window: &str, crashes: bool) -> Self {
        let world = World::with(upstream, |config| {
            config.set("tokens.reuse_window", reuse_window);
        });
        let person = world.person("ada").await;
        let mut stage = Self { world, person, crashes };
        stage.curtain();
        stage
    }

    fn curtain(&mut self) {
        if self.crashes {
            self.world.crash_and_restart();
        }
    }

    async fn present(&mut self, token: &str) -> Answer {
        let answer = self.person.refresh(token).await;
        self.curtain();
        answer
    }

    async fn successor(&mut self, token: &str) -> String {
        self.present(token).await.is(200).member("refresh_token")
    }
}

async fn the_current_one_rotates_and_the_previous_one_is_repeated(crashes: bool) {
    let upstream = Upstream::friendly();
    let mut stage = Stage::set(&upstream, "10m", crashes).await;
    let first = stage.person.refresh.clone();
    let second = stage.successor(&first).await;
    assert_eq!(generation(&second), generation(&first) + 1);
    assert_eq!(stage.successor(&first).await, second, "the same successor again");
    assert_eq!(stage.successor(&first).await, second, "and again");
    let third = stage.successor(&second).await;
    assert_eq!(generation(&third), generation(&second) + 1);
    assert_eq!(stage.successor(&second).await, third);
}

async fn an_older_one_ends_the_family(crashes: bool) {
    let upstream = Upstream::friendly();
    let mut stage = Stage::set(&upstream, "10m", crashes).await;
    let first = stage.person.refresh.clone();
    let second = stage.successor(&first).await;
    let answer = stage.present(&second).await.is(200);
    let (third, access) = (answer.member("refresh_token"), answer.member("access_token"));

    stage.present(&first).await.problem(401, "invalid_token");
    // Not "sooner or later": the answer was given, and the process that gave it may be gone.
    let told = |event: &Value| event["event"] == "refresh.reused" && event["user"] == *stage.person.id;
    assert!(
        stage.world.audit_log().iter().any(told),
        "the audit log does not tell of the reuse"
    );
    stage.present(&third).await.problem(401, "invalid_token");
    for token in [&access, &stage.person.access] {
        let refused = stage.person.client.get("/things").bearer(token).send().await;
        refused.problem(401, "invalid_token");
    }
    // Only the family: another sign-in of the same person works.
    stage.person.again().await.get("/things").await.is(200);
}

async fn the_previous_one_after_the_window_is_replaced_and_the_skipped_one_is_reuse(crashes: bool) {
    let upstream = Upstream::friendly();
    let mut stage = Stage::set(&upstream, "1ms", crashes).await;
    let first = stage.person.refresh.clone();
    let second = stage.successor(&first).await;
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let third = stage.successor(&first).await;
    assert_eq!(
        generation(&third),
        generation(&second) + 1,
        "skips the one whose answer was lost"
    );
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let fourth = stage.successor(&first).await;
    assert_eq!(
        generation(&fourth),
        generation(&third) + 1,
        "the previous one stays the previous one"
    );

    stage.present(&second).await.problem(401, "invalid_token");
    stage.present(&fourth).await.problem(401, "invalid_token");
}

async fn a_replaced_token_goes_on(crashes: bool) {
    let upstream = Upstream::friendly();
    let mut stage = Stage::set(&upstream, "1ms", crashes).await;
    let first = stage.person.refresh.clone();
    stage.successor(&first).await;
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let third = stage.successor(&first).await;
    let fourth = stage.successor(&third).await;
    assert_eq!(generation(&fourth), generation(&third) + 1);
    // Now the first one is older than the previous one.
    stage.present(&first).await.problem(401, "invalid_token");
    stage.present(&fourth).await.problem(401, "invalid_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn reuse_table_current_and_previous() {
    the_current_one_rotates_and_the_previous_one_is_repeated(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reuse_table_current_and_previous_with_crashes() {
    the_current_one_rotates_and_the_previous_one_is_repeated(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reuse_table_older() {
    an_older_one_ends_the_family(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reuse_table_older_with_crashes() {
    an_older_one_ends_the_family(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reuse_table_previous_after_the_window() {
    the_previous_one_after_the_window_is_replaced_and_the_skipped_one_is_reuse(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reuse_table_previous_after_the_window_with_crashes() {
    the_previous_one_after_the_window_is_replaced_and_the_skipped_one_is_reuse(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reuse_table_replaced() {
    a_replaced_token_goes_on(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reuse_table_replaced_with_crashes() {
    a_replaced_token_goes_on(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_the_middle_of_two_hundred_refreshes_signs_nobody_out() {
    let upstream = Upstream::friendly();
    let mut world = World::with(&upstream, |config| {
        config.set("tokens.reuse_window", "10m");
    });
    let person = world.person("ada").await;
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let person = person.clone();
            let body = json!({"refresh_token": person.refresh});
            tokio::spawn(async move { person.client.post("/auth/refresh").json(&body).try_send().await })
        })
        .collect();
    until("the first one is answered", || {
        calls.iter().any(tokio::task::JoinHandle::is_finished).then_some(())
    });
    world.crash_and_restart();

    let mut successors = Vec::new();
    for call in calls {
        // Without an answer, a client asks again with the same token.
        let answer = match call.await.expect("a refresh ends") {
            Ok(answer) => answer,
            Err(_) => person.refresh(&person.refresh).await,
        };
        successors.push(answer.is(200).member("refresh_token"));
    }
    assert!(
        successors.iter().all(|token| *token == successors[0]),
        "the successors differ"
    );
    person.refresh(&successors[0]).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_forged_or_foreign_token_ends_nothing() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let elsewhere = World::start(&upstream);
    let person = world.person("ada").await;
    let foreign = elsewhere.person("ada").await;

    let mut flipped = person.refresh.clone().into_bytes();
    for at in [0, 22, 40, flipped.len() - 2] {
        flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(flipped.clone()).expect("ASCII");
        person.refresh(&forged).await.problem(401, "invalid_token");
        flipped = person.refresh.clone().into_bytes();
    }
    for forged in ["", "x", &person.access, &foreign.refresh, &"A".repeat(10_000)] {
        let answer = person.refresh(forged).await;
        assert!(matches!(answer.status, 400 | 401 | 413), "{}", answer.status);
    }
    person.get("/things").await.is(200);
    person.refresh(&person.refresh).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_refreshes_by_cookie_and_loses_its_cookies_only_with_a_dead_family() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.set("tokens.reuse_window", "10m");
    });
    let person = world.person("ada").await;
    let browser = person.in_browser(&world).await;
    let thief = browser.copy();

    let answer = browser.post("/auth/refresh").send().await.is(200);
    assert!(answer.cookie(ACCESS).is_some() && answer.cookie(REFRESH).is_some());
    assert!(answer.json().get("refresh_token").is_none());
    browser.post("/auth/refresh").send().await.is(200);

    let unknown = world.browser();
    unknown.set_cookie(REFRESH, "bm90aGluZyBvZiB0aGUgc29ydA");
    unknown.post("/auth/refresh").send().await.problem(401, "invalid_token");

    let caught = thief.post("/auth/refresh").send().await.problem(401, "invalid_token");
    assert!(
        caught.cookie(REFRESH).is_some_and(|c| c.is_cleared()),
        "the family is dead: {:?}",
        caught.headers
    );
    browser.post("/auth/refresh").send().await.problem(401, "invalid_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_user_is_refused_and_roles_are_read_anew() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let person = world.person("ada").await;
    assert_eq!(part(&person.access, 1)["roles"], json!([]));

    world
        .run(&["user", "set-roles", &person.email, "staff", "billing"])
        .done();
    let next = person.refresh(&person.refresh).await.is(200);
    assert_eq!(
        part(&next.member("access_token"), 1)["roles"],
        json!(["staff", "billing"])
    );

    world.run(&["user", "disable", &person.email]).done();
    person
        .refresh(&next.member("refresh_token"))
        .await
        .problem(401, "invalid_token");
    login(&person.client, &person.email, PASSWORD, true)
        .await
        .problem(401, "invalid_credentials");
    world.run(&["user", "enable", &person.email]).done();
    person
        .refresh(&next.member("refresh_token"))
        .await
        .problem(401, "invalid_token");
    person.again().await.get("/things").await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_unused_and_at_its_longest_life() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config
            .set("tokens.refresh_absolute", "2s")
            .set("tokens.refresh_idle", "2s")
            .set("tokens.access_ttl", "1s");
    });
    let person = world.person("ada").await;
    let mut token = person.refresh.clone();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(10), async {
        loop {
            let answer = person.refresh(&token).await;
            if answer.status != 200 {
                return answer;
            }
            token = answer.member("refresh_token");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    ended
        .await
        .expect("the session ends although it is used")
        .problem(401, "invalid_token");
    login(&person.client, &person.email, PASSWORD, true).await.is(200);
}
