//! Sign-in in two steps, over the JSON API and the real stores.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Barrier;

use crate::shared::SharedStores;
use crate::world::authenticator::{App, begin, verify};
use crate::world::forge::part;
use crate::world::person::{login, refresh};
use crate::world::{Answer, Client, PASSWORD, Upstream, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_in_two_steps_says_so_to_whoever_verifies_its_tokens() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let ada = world.person("ada").await;
    assert_eq!(part(&ada.access, 1)["acr"], "urn:gateward:acr:1fa");
    let (app, codes) = App::added_to(&world, &ada).await;
    assert_eq!(codes.len(), 10);

    let asked = login(&ada.client, &ada.email, PASSWORD, false).await.is(200);
    assert!(asked.cookies().is_empty(), "nobody is in yet");
    let body = asked.json();
    assert_eq!(
        (&body["mfa_required"], &body["expires_in"]),
        (&json!(true), &json!(300))
    );
    assert_eq!(body["methods"], json!(["totp", "recovery"]));
    assert_eq!(body.get("access_token"), None);

    let signed_in = verify(&ada.client, &asked.member("mfa_token"), "totp", &app.code(1))
        .await
        .is(200);
    let claims = part(&signed_in.member("access_token"), 1);
    assert_eq!(claims["amr"], json!(["pwd", "otp", "mfa"]));
    assert_eq!(claims["acr"], "urn:gateward:acr:mfa");
    let renewed = refresh(&ada.client, &signed_in.member("refresh_token")).await.is(200);
    assert_eq!(part(&renewed.member("access_token"), 1)["acr"], "urn:gateward:acr:mfa");

    let listed = ada.client.get("/auth/mfa").bearer(&signed_in.member("access_token"));
    let listed = listed.send().await.is(200).json();
    assert_eq!(listed["factors"][0]["kind"], "totp");
    assert_eq!(listed["recovery_codes_left"], 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_step_in_a_browser_sets_the_cookies_of_a_sign_in() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let ada = world.person("ada").await;
    let (_, codes) = App::added_to(&world, &ada).await;
    let browser = world.browser();
    let token = login(&browser, &ada.email, PASSWORD, false)
        .await
        .is(200)
        .member("mfa_token");
    let body = json!({"mfa_token": token, "method": "recovery", "code": codes[0]});
    let foreign = browser
        .post("/auth/mfa/verify")
        .header("origin", "https://evil.example");
    foreign.json(&body).send().await.problem(403, "cross_site");
    browser.post("/auth/mfa/verify").json(&body).send().await.is(200);
    browser.get("/things").send().await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_for_a_first_factor_opens_nothing_else() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let (ada, ben) = (world.person("ada").await, world.person("ben").await);
    let (app, codes) = App::added_to(&world, &ada).await;
    let (bens_app, bens_codes) = App::added_to(&world, &ben).await;
    let token = begin(&ada.client, &ada.email).await;

    ada.client
        .get("/things")
        .bearer(&token)
        .send()
        .await
        .problem(401, "invalid_token");
    refresh(&ada.client, &token).await.problem(401, "invalid_token");
    ada.client
        .get("/auth/mfa")
        .bearer(&token)
        .send()
        .await
        .problem(401, "invalid_token");
    for other in [&ben.access, &ada.access, "nonsense", ""] {
        verify(&ada.client, other, "totp", &app.code(1))
            .await
            .problem(401, "sign_in_expired");
    }
    verify(&ada.client, &token, "totp", &bens_app.code(1))
        .await
        .problem(401, "invalid_code");
    verify(&ada.client, &token, "recovery", &bens_codes[0])
        .await
        .problem(401, "invalid_code");
    verify(&ada.client, &token, "recovery", &codes[0]).await.is(200);
    verify(&ada.client, &token, "recovery", &codes[1])
        .await
        .problem(401, "sign_in_expired");
}

/// Two gateways on shared stores, and an account with an app.
async fn twenty(bring: impl AsyncFn(&[Client; 2], &App, &[String], usize) -> Answer) -> Vec<u16> {
    let upstream = Upstream::friendly();
    let stores = SharedStores::new().await;
    let gateway = || {
        let mut world = stores.stopped(&upstream, |config| {
            config.set("auth.limits.per_account_code", "1000/1h");
        });
        world.up();
        world
    };
    let (a, b) = (gateway(), gateway());
    let ada = a.person("ada").await;
    let (app, codes) = App::added_to(&a, &ada).await;
    let clients = [ada.client.clone(), b.client()];
    let outcomes = (0..20).map(|n| bring(&clients, &app, &codes, n));
    let mut statuses = Vec::new();
    for answer in futures_util::future::join_all(outcomes).await {
        if answer.status != 200 {
            answer.clone().problem(401, "invalid_code");
        }
        statuses.push(answer.status);
    }
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_uses_at_once_of_one_time_based_code_over_two_gateways_one_gets_in() {
    let ready = Arc::new(Barrier::new(20));
    let statuses = twenty(async |clients, app, _, n| {
        let client = &clients[n % 2];
        let token = begin(client, "ada@example.com").await;
        ready.wait().await;
        verify(client, &token, "totp", &app.code(1)).await
    });
    assert_eq!(statuses.await.iter().filter(|status| **status == 200).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_uses_at_once_of_one_recovery_code_over_two_gateways_one_gets_in() {
    let ready = Arc::new(Barrier::new(20));
    let statuses = twenty(async |clients, _, codes, n| {
        let client = &clients[n % 2];
        let token = begin(client, "ada@example.com").await;
        ready.wait().await;
        verify(client, &token, "recovery", &codes[0]).await
    });
    assert_eq!(statuses.await.iter().filter(|status| **status == 200).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_at_a_code_are_counted_whoever_makes_them() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.set("auth.limits.per_account_code", "8/1h");
    });
    let ada = world.person("ada").await;
    let (app, _) = App::added_to(&world, &ada).await;
    let token = begin(&ada.client, &ada.email).await;
    for _ in 0..5 {
        verify(&ada.client, &token, "totp", "000000")
            .await
            .problem(401, "invalid_code");
    }
    verify(&ada.client, &token, "totp", &app.code(1))
        .await
        .problem(401, "sign_in_expired");
    let token = begin(&ada.client, &ada.email).await;
    for _ in 0..3 {
        verify(&ada.client, &token, "totp", "000000")
            .await
            .problem(401, "invalid_code");
    }
    let refused = verify(&ada.client, &token, "totp", &app.code(1)).await;
    refused.problem(429, "rate_limited");
    let limited = |line: &serde_json::Value| line["event"] == "second_step.limited";
    assert!(world.audit_log().iter().any(limited));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_knows_only_the_password_cannot_shut_the_owner_s_device_out() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.set("auth.limits.per_account_code", "4/1h");
        config.set("auth.limits.per_account_ip", "3/5m");
        config.set("auth.limits.per_account", "6/1h");
    });
    let ada = world.person("ada").await;
    let device = ada.in_browser(&world).await;
    assert!(device.cookie("__Host-gateward-device").is_some());
    let (_, codes) = App::added_to(&world, &ada).await;

    // A stranger at the same address: tries of the password, and of codes.
    for _ in 0..6 {
        login(&world.client(), &ada.email, "not the right password", true).await;
    }
    login(&world.client(), &ada.email, PASSWORD, true)
        .await
        .problem(429, "rate_limited");
    let step = login(&device, &ada.email, PASSWORD, false)
        .await
        .is(200)
        .member("mfa_token");
    for _ in 0..5 {
        verify(&world.client(), &step, "totp", "000000").await;
    }
    verify(&world.client(), &step, "recovery", &codes[0])
        .await
        .problem(401, "sign_in_expired");

    let step = login(&device, &ada.email, PASSWORD, false)
        .await
        .is(200)
        .member("mfa_token");
    let body = json!({"mfa_token": step, "method": "recovery", "code": codes[0]});
    device.post("/auth/mfa/verify").json(&body).send().await.is(200);

    // A device's own tries are few: a stolen one gives no endless guesses.
    let stolen = device.copy();
    for _ in 0..3 {
        login(&stolen, &ada.email, "not the right password", false).await;
    }
    login(&stolen, &ada.email, PASSWORD, false)
        .await
        .problem(429, "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_says_nothing_to_upstreams_and_nothing_for_other_accounts() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.set("auth.limits.per_account_ip", "2/5m");
    });
    let (ada, ben) = (world.person("ada").await, world.person("ben").await);
    let device = ada.in_browser(&world).await;
    device.get("/things").send().await.is(200);
    assert!(
        upstream
            .last()
            .values("cookie")
            .iter()
            .all(|line| !line.contains("gateward"))
    );
    for _ in 0..2 {
        login(&device, &ben.email, "not the right password", false).await;
    }
    login(&device, &ben.email, PASSWORD, false)
        .await
        .problem(429, "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_wants_two_factors_lets_nobody_pass_who_showed_one() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.route("vault", "path = \"/vault\"\nrequire = \"mfa\"\nmax_age = \"10m\"");
    });
    let ada = world.person("ada").await;
    let refused = ada.get("/vault").await;
    refused.clone().problem(401, "insufficient_user_authentication");
    assert_eq!(
        refused.header("www-authenticate"),
        r#"Bearer realm="gateward", error="insufficient_user_authentication", acr_values="urn:gateward:acr:mfa", max_age="600""#
    );
    ada.get("/things").await.is(200);

    let (_, codes) = App::added_to(&world, &ada).await;
    ada.get("/vault").await.problem(401, "insufficient_user_authentication");
    let asked = ada
        .client
        .post("/auth/step-up")
        .bearer(&ada.access)
        .send()
        .await
        .is(200);
    let raised = verify(&ada.client, &asked.member("mfa_token"), "recovery", &codes[0])
        .await
        .is(200);
    assert_eq!(
        raised.json().get("refresh_token"),
        None,
        "the session goes on with the one it has"
    );
    let token = raised.member("access_token");
    assert_eq!(part(&token, 1)["sid"], part(&ada.access, 1)["sid"]);
    ada.client.get("/vault").bearer(&token).send().await.is(200);
    // Renewal tells the same.
    let renewed = ada.refresh(&ada.refresh).await.is(200);
    ada.client
        .get("/vault")
        .bearer(&renewed.member("access_token"))
        .send()
        .await
        .is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_wants_a_recent_sign_in_asks_again_in_time_and_for_the_password() {
    let upstream = Upstream::friendly();
    let (world, clock) = World::with_wall_clock(&upstream, |config| {
        config.route("till", "path = \"/till\"\nmax_age = \"10m\"");
    });
    let ada = world.person("ada").await;
    ada.get("/till").await.is(200);
    clock.set_ahead(Duration::from_secs(11 * 60));
    ada.get("/till").await.problem(401, "insufficient_user_authentication");
    // A renewed token is no more recent a sign-in.
    let renewed = ada.refresh(&ada.refresh).await.is(200);
    let token = renewed.member("access_token");
    let till = |token: &str| ada.client.get("/till").bearer(token).send();
    till(&token).await.problem(401, "insufficient_user_authentication");
    let change = ada.client.post("/auth/mfa/totp").bearer(&token).send().await;
    change.problem(401, "insufficient_user_authentication");

    let step_up = |password: &str| {
        let asked = ada.client.post("/auth/step-up").bearer(&token);
        asked.json(&json!({ "password": password })).send()
    };
    let bare = ada.client.post("/auth/step-up").bearer(&token).send().await;
    bare.problem(401, "insufficient_user_authentication");
    step_up("not the right password")
        .await
        .problem(401, "invalid_credentials");
    let raised = step_up(PASSWORD).await.is(200).member("access_token");
    till(&raised).await.is(200);
    ada.client.post("/auth/mfa/totp").bearer(&raised).send().await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_takes_the_second_factor_away_from_whoever_lost_it() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let ada = world.person("ada").await;
    App::added_to(&world, &ada).await;
    let shown = world.run(&["user", "show", &ada.email, "--json"]).done().json();
    assert_eq!(shown["factors"], json!(["totp", "recovery x10"]));
    begin(&ada.client, &ada.email).await;
    world.run(&["user", "reset-mfa", &ada.email]).done();
    let shown = world.run(&["user", "show", &ada.email, "--json"]).done().json();
    assert_eq!(shown["factors"], json!([]));
    login(&ada.client, &ada.email, PASSWORD, true)
        .await
        .is(200)
        .member("access_token");
}
