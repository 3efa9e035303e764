//! Accounts and sign-in over the JSON API, by bearer token and by cookie.

use serde_json::json;

use crate::world::person::{change_password, login, refresh};
use crate::world::{Client, PASSWORD, Upstream, World};

const ACCESS: &str = "__Host-gateward";
const REFRESH: &str = "__Host-gateward-refresh";
const NEW_PASSWORD: &str = "a quite different long sentence";

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_registers_signs_in_and_is_known_upstream_by_bearer() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let client = world.client();

    let registered = client
        .post("/auth/register")
        .json(&json!({"email": "Ada@Example.com", "password": PASSWORD}));
    let registered = registered.send().await.is(201).json();
    assert_eq!(registered["user"]["email"], "ada@example.com");
    assert_eq!(registered["user"]["roles"], json!([]));
    let id = registered["user"]["id"].as_str().expect("an id");

    let signed_in = login(&client, "ada@example.com", PASSWORD, false).await.is(200);
    assert_eq!(signed_in.header("cache-control"), "no-store");
    let body = signed_in.json();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 900);
    assert_eq!(body["user"]["id"], id);
    assert!(body.get("refresh_token").is_none(), "the refresh token is the cookie's");

    let token = signed_in.member("access_token");
    let seen = client
        .get("/whoami")
        .bearer(&token)
        .header("accept", "application/json")
        .send()
        .await
        .is(200)
        .text();
    assert!(
        seen.to_lowercase().contains("x-forwarded-user") && seen.contains(id),
        "{seen}"
    );

    client.get("/things?q=1").bearer(&token).send().await.is(200);
    assert_eq!(upstream.last().value("x-forwarded-user"), id);
    assert_eq!(upstream.last().target(), "/things?q=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_signs_in_and_is_known_upstream_by_its_cookies() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let person = world.person("ada").await;
    let browser = world.browser();

    let signed_in = login(&browser, &person.email, PASSWORD, false).await.is(200);
    for name in [ACCESS, REFRESH] {
        let cookie = signed_in.cookie(name).unwrap_or_else(|| panic!("no cookie {name}"));
        for wanted in ["path=/", "secure", "httponly", "samesite=lax"] {
            assert!(
                cookie.attributes.iter().any(|a| a == wanted),
                "{name} is not {wanted}: {:?}",
                cookie.attributes
            );
        }
        assert!(
            !cookie.attributes.iter().any(|a| a.starts_with("domain")),
            "{name} has a domain"
        );
        assert!(
            cookie.max_age().is_some_and(|age| age.as_secs() > 24 * 3600),
            "{name} lives as long as the session"
        );
    }

    let seen = browser
        .get("/whoami")
        .header("accept", "application/json")
        .send()
        .await
        .is(200)
        .text();
    assert!(seen.contains(&person.id), "{seen}");
    browser.get("/page").send().await.is(200);
    assert_eq!(upstream.last().value("x-forwarded-user"), person.id);
    assert_eq!(upstream.last().values("cookie"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_an_api_call_is_401_with_a_challenge_and_a_page_is_sent_to_sign_in() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let client = world.client();

    let refused = client.get("/things").send().await.problem(401, "no_token");
    assert!(
        refused.header("www-authenticate").starts_with("Bearer"),
        "{:?}",
        refused.headers
    );
    // What is not read is never redirected, although a person waits for the answer.
    let form = client
        .post("/things")
        .header("accept", "text/html")
        .send()
        .await
        .is(401);
    assert!(
        form.header("www-authenticate").starts_with("Bearer"),
        "{:?}",
        form.headers
    );

    let page = client
        .get("/a/page?x=1")
        .header("sec-fetch-mode", "navigate")
        .send()
        .await
        .is(303);
    assert_eq!(page.header("location"), "/auth/login?return_to=%2Fa%2Fpage%3Fx%3D1");
    client
        .get("/a/page")
        .header("accept", "text/html,*/*;q=0.8")
        .send()
        .await
        .is(303);
    // A `fetch` that happens to accept HTML is not a navigation.
    let fetch = client
        .get("/a/page")
        .header("accept", "text/html")
        .header("sec-fetch-mode", "cors");
    fetch.send().await.problem(401, "no_token");
    assert_eq!(upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_route_needs_no_token_and_an_optional_one_uses_it() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let person = world.person("ada").await;

    world.client().get("/public").send().await.is(200);
    assert!(upstream.last().values("x-forwarded-user").is_empty());
    world.client().get("/optional").send().await.is(200);
    assert!(upstream.last().values("x-forwarded-user").is_empty());
    person.get("/optional").await.is(200);
    assert_eq!(upstream.last().value("x-forwarded-user"), person.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_in_the_body_come_without_cookies() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let person = world.person("ada").await;

    let tokens = login(&person.client, &person.email, PASSWORD, true).await.is(200);
    assert!(tokens.cookies().is_empty());
    assert!(
        tokens.json()["refresh_expires_in"]
            .as_u64()
            .is_some_and(|secs| secs > 24 * 3600),
        "{}",
        tokens.json()
    );

    let next = refresh(&person.client, &tokens.member("refresh_token")).await.is(200);
    assert!(next.cookies().is_empty());
    assert_ne!(next.member("refresh_token"), tokens.member("refresh_token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn registration_refuses_what_is_taken_weak_or_no_address() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let person = world.person("ada").await;
    let register = async |email: &str, password: &str| {
        world
            .client()
            .post("/auth/register")
            .json(&json!({"email": email, "password": password}))
            .send()
            .await
    };

    register(&person.email.to_uppercase(), PASSWORD)
        .await
        .problem(409, "email_taken");
    register("new@example.com", "too short")
        .await
        .problem(422, "weak_password");
    register("new@example.com", &"long".repeat(100))
        .await
        .problem(422, "weak_password");
    register("correct.horse@example.com", "correct.horse@example.com")
        .await
        .problem(422, "weak_password");
    register("not an address", PASSWORD).await.problem(422, "invalid_email");

    let call = world
        .client()
        .post("/auth/register")
        .header("content-type", "application/json")
        .body("{\"email\":");
    call.send().await.problem(400, "bad_request");
    world
        .client()
        .get("/auth/register.json")
        .send()
        .await
        .problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_registration_refuses_everybody() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.set("auth.registration", "closed");
    });
    let call = world
        .client()
        .post("/auth/register")
        .json(&json!({"email": "a@example.com", "password": PASSWORD}));
    call.send().await.problem(403, "registration_closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_account_and_a_wrong_password_get_the_same_answer() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let person = world.person("ada").await;

    let wrong = login(&person.client, &person.email, "not the right password", false).await;
    let unknown = login(&person.client, "nobody@example.com", "not the right password", false).await;
    let wrong = wrong.problem(401, "invalid_credentials");
    let unknown = unknown.problem(401, "invalid_credentials");

    let names = |answer: &crate::world::Answer| answer.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&wrong), names(&unknown));
    let (mut a, mut b) = (wrong.json(), unknown.json());
    (a["instance"], b["instance"]) = (json!(""), json!(""));
    assert_eq!(a, b);
    assert!(wrong.cookies().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_attempts_are_429_before_any_hash_and_only_for_that_account() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.set("auth.limits.per_account_ip", "3/5m");
    });
    let ada = world.person("ada").await; // one attempt
    for _ in 0..2 {
        login(&ada.client, &ada.email, "not the right password", false)
            .await
            .problem(401, "invalid_credentials");
    }
    let refused = login(&ada.client, &ada.email, PASSWORD, false)
        .await
        .problem(429, "rate_limited");
    let seconds: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=300).contains(&seconds), "{seconds}");
    world.person("ben").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn me_shows_the_user_and_the_session() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let person = world.person("ada").await;

    let me = person.get("/auth/me").await.is(200);
    assert_eq!(me.header("cache-control"), "no-store");
    let me = me.json();
    assert_eq!(me["user"]["id"], person.id);
    assert_eq!(me["user"]["email"], person.email);
    assert!(
        me["user"]["created_at"].as_str().is_some_and(|t| t.ends_with('Z')),
        "{me}"
    );
    assert_eq!(me["session"]["amr"], json!(["pwd"]));
    assert!(
        me["session"]["id"].is_string() && me["session"]["expires_at"].is_string(),
        "{me}"
    );
    world.client().get("/auth/me").send().await.problem(401, "no_token");
    world
        .client()
        .get("/auth/me")
        .bearer("nonsense")
        .send()
        .await
        .problem(401, "invalid_token");
    world
        .client()
        .post("/auth/me")
        .send()
        .await
        .problem(405, "method_not_allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_counts_and_ends_the_other_sessions() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let here = world.person("ada").await;
    let there = here.again().await;
    let change = async |current: &str, new: &str| change_password(&here.client, &here.access, current, new).await;

    change("not the right password", NEW_PASSWORD)
        .await
        .problem(401, "invalid_credentials");
    change(PASSWORD, "too short").await.problem(422, "weak_password");
    change(PASSWORD, NEW_PASSWORD).await.is(204);

    there.get("/things").await.problem(401, "invalid_token");
    refresh(&here.client, &there.refresh)
        .await
        .problem(401, "invalid_token");
    refresh(&here.client, &here.refresh).await.is(200);
    login(&here.client, &here.email, PASSWORD, false)
        .await
        .problem(401, "invalid_credentials");
    login(&here.client, &here.email, NEW_PASSWORD, false).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended_one_by_one_and_foreign_ones_do_not_exist() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let here = world.person("ada").await;
    let there = here.again().await;
    let stranger = world.person("ben").await;

    let list = here.get("/auth/sessions").await.is(200).json();
    let sessions = list
        .as_array()
        .or_else(|| list["sessions"].as_array())
        .expect("a list")
        .clone();
    assert_eq!(sessions.len(), 2, "{list}");
    let other = sessions
        .iter()
        .find(|s| s["current"] == false)
        .expect("the other session");
    for member in ["id", "created_at", "last_used_at", "ip", "user_agent"] {
        assert!(other[member].is_string(), "no {member}: {other}");
    }
    let path = format!("/auth/sessions/{}", other["id"].as_str().expect("an id"));

    let foreign = stranger.client.delete(&path).bearer(&stranger.access).send().await;
    foreign.problem(404, "not_found");
    there.get("/things").await.is(200);

    here.client.delete(&path).bearer(&here.access).send().await.is(204);
    there.get("/things").await.problem(401, "invalid_token");
    here.get("/things").await.is(200);
    here.client
        .delete(&path)
        .bearer(&here.access)
        .send()
        .await
        .problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_account_is_gone_with_its_sessions() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let person = world.person("ada").await;
    let delete = async |password: &str| {
        let call = person.client.delete("/auth/me").bearer(&person.access);
        call.json(&json!({"password": password})).send().await
    };

    delete("not the right password")
        .await
        .problem(401, "invalid_credentials");
    delete(PASSWORD).await.is(204);
    person.get("/things").await.problem(401, "invalid_token");
    refresh(&person.client, &person.refresh)
        .await
        .problem(401, "invalid_token");
    login(&person.client, &person.email, PASSWORD, false)
        .await
        .problem(401, "invalid_credentials");
    world.person("ada").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_clears_both_cookies_and_works_when_already_signed_out() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let browser = world.person("ada").await.in_browser(&world).await;
    let before = browser.copy();

    let left = browser.post("/auth/logout").send().await.is(204);
    assert!(
        left.cookie(ACCESS).is_some_and(|c| c.is_cleared()) && left.cookie(REFRESH).is_some_and(|c| c.is_cleared())
    );
    assert!(browser.cookie(ACCESS).is_none() && browser.cookie(REFRESH).is_none());
    before.copy().get("/things").send().await.is(401);
    before
        .copy()
        .post("/auth/refresh")
        .send()
        .await
        .problem(401, "invalid_token");
    browser.post("/auth/logout").send().await.is(204);
    before.post("/auth/logout").send().await.is(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsafe_request_by_cookie_must_come_from_our_own_pages() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let person = world.person("ada").await;
    let browser = person.in_browser(&world).await;
    let cookies = format!(
        "{ACCESS}={}; {REFRESH}={}",
        browser.cookie(ACCESS).expect("an access cookie"),
        browser.cookie(REFRESH).expect("a refresh cookie")
    );
    let post = |client: &Client, path: &str| client.post(path).header("cookie", &cookies);

    for path in [
        "/auth/logout",
        "/auth/refresh",
        "/auth/password",
        "/auth/logout/all",
        "/things",
    ] {
        let bare = world.client();
        post(&bare, path).send().await.problem(403, "cross_site");
        let foreign = post(&bare, path).header("origin", "https://evil.example");
        foreign.send().await.problem(403, "cross_site");
        let opaque = post(&bare, path).header("origin", "null");
        opaque.send().await.problem(403, "cross_site");
        for site in ["cross-site", "same-site"] {
            let call = post(&bare, path)
                .header("sec-fetch-site", site)
                .header("origin", &world.origin());
            call.send().await.problem(403, "cross_site");
        }
    }
    assert_eq!(upstream.count(), 0);

    post(&world.client(), "/things")
        .header("sec-fetch-site", "same-origin")
        .send()
        .await
        .is(200);
    post(&world.client(), "/things")
        .header("origin", &world.origin())
        .send()
        .await
        .is(200);
    // A bearer token leans on no cookie and needs no origin.
    world
        .client()
        .post("/things")
        .bearer(&person.access)
        .send()
        .await
        .is(200);
    assert_eq!(upstream.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_person_without_the_role_is_403_and_with_it_passes() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.route(
            "staff",
            r#"path = "/staff"
            roles = ["staff", "admin"]"#,
        );
    });
    let person = world.person("ada").await;
    person.get("/staff").await.problem(403, "forbidden");
    assert_eq!(upstream.count(), 0);

    world.run(&["user", "set-roles", &person.email, "staff"]).done();
    let promoted = person.again().await;
    promoted.get("/staff").await.is(200);
    assert_eq!(upstream.last().value("x-forwarded-groups"), "staff");
}
