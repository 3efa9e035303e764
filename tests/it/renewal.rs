//! Silent renewal: an access token that expires while a page is in use costs its user nothing.

use std::time::Duration;

use serde_json::json;

use crate::world::forge::{Forge, claims, part};
use crate::world::{Client, Person, Upstream, World};

const ACCESS: &str = "__Host-gateward";
const REFRESH: &str = "__Host-gateward-refresh";

/// Somebody whose browser holds an access token that has expired, and a good refresh token.
struct Scene {
    world: World,
    person: Person,
    browser: Client,
}

async fn scene(upstream: &Upstream) -> Scene {
    let forge = Forge::new();
    let mut world = World::stopped(upstream, |_| {});
    let file = world.dir().join("imported.pem");
    std::fs::write(&file, forge.pem()).expect("a key file");
    world.run(&["keys", "import", &file.to_string_lossy()]).done();
    world.up();
    let person = world.person("ada").await;
    let browser = person.in_browser(&world).await;
    let access = browser.cookie(ACCESS).expect("an access cookie");
    let set = world.client().get("/.well-known/jwks.json").send().await.is(200).json();
    let keys = set["keys"].as_array().expect("keys").clone();
    let key = keys
        .iter()
        .find(|key| key["n"] == forge.modulus().as_str())
        .expect("the imported key");

    let mut old = claims(&world, &person.id, part(&access, 1)["sid"].as_str().expect("a session"));
    let now = old["iat"].as_u64().expect("a moment");
    old["iat"] = json!(now - 1000);
    old["nbf"] = json!(now - 1000);
    old["auth_time"] = json!(now - 1000);
    old["exp"] = json!(now - 100);
    let expired = forge.sign(&json!({"alg": "RS256", "typ": "at+jwt", "kid": key["kid"]}), &old);
    browser.set_cookie(ACCESS, &expired);
    Scene { world, person, browser }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_with_a_body_goes_through_renewed() {
    let upstream = Upstream::friendly();
    let scene = scene(&upstream).await;
    let form = "a=1&b=".to_owned() + &"x".repeat(100_000);
    let old = scene.browser.cookie(REFRESH);

    let answer = scene
        .browser
        .post("/form?step=2")
        .body(form.clone())
        .send()
        .await
        .is(200);
    assert_eq!(answer.text(), "hello");
    assert!(
        answer.cookie(ACCESS).is_some() && answer.cookie(REFRESH).is_some(),
        "{:?}",
        answer.headers
    );
    assert_ne!(scene.browser.cookie(REFRESH), old);
    assert!(
        answer
            .headers
            .get_all("cache-control")
            .iter()
            .any(|v| v.as_bytes().starts_with(b"no-store")),
        "{:?}",
        answer.headers
    );

    assert_eq!(upstream.count(), 1);
    let request = upstream.last();
    assert_eq!(request.line(), "POST /form?step=2 HTTP/1.1");
    assert_eq!(request.body, form.as_bytes());
    assert_eq!(request.value("x-forwarded-user"), scene.person.id);
    assert!(request.values("cookie").is_empty());

    // From now on without renewal.
    let next = scene.browser.get("/page").send().await.is(200);
    assert!(next.cookies().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_access_cookie_is_renewed_as_well() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let person = world.person("ada").await;
    let whole = person.in_browser(&world).await;
    let browser = world.browser();
    browser.set_cookie(REFRESH, &whole.cookie(REFRESH).expect("a refresh cookie"));
    let answer = browser.get("/page").send().await.is(200);
    assert!(answer.cookie(ACCESS).is_some());
    assert_eq!(upstream.last().value("x-forwarded-user"), person.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_at_once_all_succeed_with_one_new_generation() {
    let upstream = Upstream::friendly();
    let scene = scene(&upstream).await;
    let calls: Vec<_> = (0..30)
        .map(|number| {
            let tab = scene.browser.copy();
            tokio::spawn(async move {
                let answer = tab
                    .post(&format!("/form/{number}"))
                    .body(format!("form {number}"))
                    .send()
                    .await;
                (answer, tab)
            })
        })
        .collect();
    let mut refresh_tokens = Vec::new();
    for call in calls {
        let (answer, tab) = call.await.expect("a request ends");
        answer.is(200);
        refresh_tokens.push(tab.cookie(REFRESH).expect("a refresh cookie"));
    }
    assert!(
        refresh_tokens.iter().all(|token| *token == refresh_tokens[0]),
        "the tabs hold different tokens"
    );
    assert_eq!(upstream.count(), 30);
    for request in upstream.requests() {
        assert_eq!(request.value("x-forwarded-user"), scene.person.id);
        let number = request.target().rsplit('/').next().unwrap_or_default().to_owned();
        assert_eq!(request.body, format!("form {number}").as_bytes());
    }
    assert_eq!(
        scene.world.metric("gateward_refresh_total", &["outcome=\"rotated\""]),
        1.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_renews_nothing() {
    let upstream = Upstream::friendly();
    let scene = scene(&upstream).await;
    let old = scene.browser.cookie(REFRESH);
    let call = scene
        .browser
        .post("/form")
        .header("origin", "https://evil.example")
        .body("x");
    let refused = call.send().await.problem(403, "cross_site");
    assert!(refused.cookies().is_empty());
    assert_eq!(scene.browser.cookie(REFRESH), old);
    assert_eq!(upstream.count(), 0);
    assert_eq!(
        scene.world.metric("gateward_refresh_total", &["outcome=\"rotated\""]),
        0.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_session_is_not_renewed_and_its_cookies_go() {
    let upstream = Upstream::friendly();
    let scene = scene(&upstream).await;
    scene.browser.copy().post("/auth/logout").send().await.is(204);

    let refused = scene.browser.copy().post("/form").body("x").send().await.is(401);
    assert!(refused.cookie(REFRESH).is_none_or(|cookie| cookie.is_cleared()));
    let page = scene
        .browser
        .copy()
        .get("/page")
        .header("sec-fetch-mode", "navigate")
        .send()
        .await
        .is(303);
    assert!(page.header("location").starts_with("/auth/login?return_to="));
    assert_eq!(upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bearer_token_that_expired_is_never_renewed_by_the_cookie() {
    let upstream = Upstream::friendly();
    let scene = scene(&upstream).await;
    let expired = scene.browser.cookie(ACCESS).expect("the expired token");
    scene
        .browser
        .get("/page")
        .bearer(&expired)
        .send()
        .await
        .problem(401, "invalid_token");
    assert_eq!(upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_route_renews_nothing_and_an_optional_one_does() {
    let upstream = Upstream::friendly();
    let scene = scene(&upstream).await;
    assert!(scene.browser.get("/public").send().await.is(200).cookies().is_empty());
    scene.browser.get("/optional").send().await.is(200);
    assert_eq!(upstream.last().value("x-forwarded-user"), scene.person.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn days_without_a_request_cost_nobody_their_session_before_its_idle_limit() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let upstream = Upstream::friendly();
    let (world, clock) = World::with_wall_clock(&upstream, |_| {});
    let browser = world.person("ada").await.in_browser(&world).await;

    // As after a machine slept: the clock jumps, and the process has not run meanwhile.
    clock.set_ahead(DAY * 13);
    browser.post("/form").body("a=1").send().await.is(200);
    clock.set_ahead(DAY * 26);
    browser.get("/things").send().await.is(200);
    assert_eq!(world.metric("gateward_refresh_total", &["outcome=\"rotated\""]), 2.0);

    // `refresh_idle` is fourteen days.
    clock.set_ahead(DAY * 41);
    browser.get("/things").send().await.problem(401, "invalid_token");
    assert_eq!(browser.cookie(REFRESH), None, "the session is certainly over");
}
