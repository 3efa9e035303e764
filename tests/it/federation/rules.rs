//! What holds when everybody keeps to the protocol.

use serde_json::json;

use super::{accounts, form_token, refusals, set_out, sign_in, submit, world, world_with};
use crate::world::openid::OpenId;
use crate::world::person::login;
use crate::world::{PASSWORD, Upstream};

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_with_a_provider_and_lands_where_they_wanted_to_go() {
    let (upstream, provider) = (Upstream::friendly(), OpenId::start());
    let world = world(&upstream, &provider);
    let browser = world.browser();
    let home = sign_in(&world, &provider, browser.clone()).await.is(303);
    assert_eq!(home.header("location"), "/reports");
    browser.get("/reports").send().await.is(200);
    let me = browser.get("/auth/me").send().await.is(200).json();
    assert_eq!(me["user"]["email"], "ada@example.com");
    assert_eq!(me["session"]["amr"], json!(["fed"]));
    assert_eq!(
        upstream.last().value("x-forwarded-user"),
        me["user"]["id"].as_str().unwrap()
    );
    // Nothing of the way there is left in the browser but by which provider they came.
    assert!(
        home.cookies()
            .iter()
            .any(|cookie| cookie.name.contains("errand") && cookie.is_cleared())
    );

    let again = world.browser();
    sign_in(&world, &provider, again.clone()).await.is(303);
    assert_eq!(
        again.get("/auth/me").send().await.json()["user"]["id"],
        me["user"]["id"]
    );
    assert_eq!(accounts(&world), 1);
    assert_eq!(provider.asked("/keys"), 1, "keys are remembered");
    assert_eq!(provider.asked("/.well-known/openid-configuration"), 1);
    assert_eq!(world.metric("gateward_login_total", &["outcome=\"succeeded\""]), 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_question_is_asked_as_the_specifications_say() {
    let (upstream, provider) = (Upstream::friendly(), OpenId::start());
    let world = world(&upstream, &provider);
    let away = set_out(&world, world.browser(), "corp", "/").await;
    let callback = format!("{}/auth/providers/corp/callback", world.origin());
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "gateward"),
        ("redirect_uri", callback.as_str()),
        ("scope", "openid email profile"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(away.question[name], value, "{name}");
    }
    for secret in ["state", "nonce", "code_challenge"] {
        assert_eq!(away.question[secret].len(), 43, "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_to_sign_in_anew_is_to_prove_themselves_anew_at_the_provider() {
    let (upstream, provider) = (Upstream::friendly(), OpenId::start());
    let world = world(&upstream, &provider);
    let browser = world.browser();
    sign_in(&world, &provider, browser.clone()).await.is(303);
    let page = browser
        .get("/auth/login?anew=1")
        .header("accept", "text/html")
        .send()
        .await
        .is(200);
    assert!(page.text().contains("name=\"again\" value=\"1\""), "{}", page.text());
    let form = format!("form_token={}&again=1", form_token(&page));
    let away = super::leave(&world, browser, "corp", &form).await;
    assert_eq!(away.question["max_age"], "0");
    let first = set_out(&world, world.browser(), "corp", "/").await;
    assert!(!first.question.contains_key("max_age"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_id_token_leaves_out_is_asked_for_and_is_of_the_same_person() {
    let (upstream, provider) = (Upstream::friendly(), OpenId::start());
    provider.says(|says| {
        says.claims = json!({"email": null, "email_verified": null});
        says.userinfo = Some(json!({"sub": "ada-there", "email": "ada@example.com", "email_verified": true, "groups": ["staff", "no role"]}));
    });
    let lines = provider.settings("corp", "roles_from = \"groups\"");
    let world = world_with(&upstream, &[lines], |_| {});
    let browser = world.browser();
    sign_in(&world, &provider, browser.clone()).await.is(303);
    let me = browser.get("/auth/me").send().await.is(200).json();
    assert_eq!(me["user"]["roles"], json!(["staff"]));

    provider.says(|says| {
        says.userinfo = Some(json!({"sub": "eve-there", "email": "ada@example.com", "email_verified": true}));
    });
    sign_in(&world, &provider, world.browser()).await.is(403);
    assert_eq!(refusals(&world), ["corp: is not believed: userinfo of somebody else"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_with_an_account_signs_in_to_it_first_and_connects_the_two() {
    let (upstream, provider) = (Upstream::friendly(), OpenId::start());
    let world = world(&upstream, &provider);
    let person = world.person("ada").await;
    let refused = sign_in(&world, &provider, world.browser()).await.is(409).text();
    assert!(
        refused.contains("connect the provider on your account page"),
        "{refused}"
    );

    let browser = person.in_browser(&world).await;
    let page = browser
        .get("/auth/account")
        .header("accept", "text/html")
        .send()
        .await
        .is(200);
    let token = form_token(&page);
    let away = super::leave(&world, browser.clone(), "corp", &format!("form_token={token}&tie=1")).await;
    let code = provider.agrees(&away.question);
    let back = away.back(&world, &code).await.is(303);
    assert_eq!(back.header("location"), "/auth/account?done=tied");
    let listed = person
        .client
        .get("/auth/providers")
        .bearer(&person.access)
        .send()
        .await
        .is(200);
    assert_eq!(
        listed.json(),
        json!({"providers": [{"id": "corp", "name": "The corp", "connected": true}]})
    );

    let elsewhere = world.browser();
    sign_in(&world, &provider, elsewhere.clone()).await.is(303);
    assert_eq!(
        elsewhere.get("/auth/me").send().await.json()["user"]["id"],
        person.id.as_str()
    );

    let gone = person.client.delete("/auth/providers/corp").bearer(&person.access);
    gone.send().await.is(204);
    sign_in(&world, &provider, world.browser()).await.is(409);
    person
        .client
        .delete("/auth/providers/corp")
        .bearer(&person.access)
        .send()
        .await
        .problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_a_password_keeps_its_last_way_in_and_can_get_a_password() {
    let (upstream, provider) = (Upstream::friendly(), OpenId::start());
    let world = world(&upstream, &provider);
    let browser = world.browser();
    sign_in(&world, &provider, browser.clone()).await.is(303);
    browser
        .delete("/auth/providers/corp")
        .send()
        .await
        .problem(409, "last_way_in");
    login(&world.client(), "ada@example.com", PASSWORD, true)
        .await
        .problem(401, "invalid_credentials");
    let page = browser
        .get("/auth/account")
        .header("accept", "text/html")
        .send()
        .await
        .is(200);
    assert!(page.text().contains("Set a password") && !page.text().contains("Current password"));
    let form = format!(
        "form_token={}&action=password&new={}",
        form_token(&page),
        PASSWORD.replace(' ', "+")
    );
    submit(&browser, "/auth/account", &form).await.is(303);
    login(&world.client(), "ada@example.com", PASSWORD, true).await.is(200);
    browser.delete("/auth/providers/corp").send().await.is(204);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_came_in_by_a_provider_is_led_out_of_it_after_signing_out_here() {
    let (upstream, provider) = (Upstream::friendly(), OpenId::start());
    let world = world(&upstream, &provider);
    let browser = world.browser();
    sign_in(&world, &provider, browser.clone()).await.is(303);
    let page = browser
        .get("/auth/account")
        .header("accept", "text/html")
        .send()
        .await
        .is(200);
    let form = format!("form_token={}", form_token(&page));
    let onward = submit(&browser, "/auth/logout", &form).await.is(200);
    assert!(onward.cookie("__Host-gateward").expect("a cookie").is_cleared());
    assert_eq!(onward.header("clear-site-data"), "\"cache\", \"storage\"");
    let way_out = super::between(&onward.text(), "content=\"0;url=", "\"").replace("&#38;", "&");
    assert!(
        way_out.starts_with(&format!("{}/end?client_id=gateward", provider.issuer())),
        "{way_out}"
    );
    assert!(way_out.ends_with("logout"), "{way_out}");
    browser.get("/auth/me").send().await.is(401);

    // With a provider that is gone, signing out works all the same.
    let person = world.person("ben").await;
    let browser = person.in_browser(&world).await;
    browser.set_cookie("__Host-gateward-provider", "gone");
    let page = browser
        .get("/auth/account")
        .header("accept", "text/html")
        .send()
        .await
        .is(200);
    let form = format!("form_token={}", form_token(&page));
    assert_eq!(
        submit(&browser, "/auth/logout", &form).await.is(303).header("location"),
        "/auth/logout"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_registration_is_closed_nobody_new_comes_in_but_by_a_provider_that_may() {
    let (upstream, provider) = (Upstream::friendly(), OpenId::start());
    let closed = world_with(&upstream, &[provider.settings("corp", "")], |config| {
        config.set("auth.registration", "closed");
    });
    sign_in(&closed, &provider, closed.browser()).await.is(403);
    assert_eq!(accounts(&closed), 0);
    let open = world_with(
        &upstream,
        &[provider.settings("corp", "registration = \"open\"")],
        |config| {
            config.set("auth.registration", "closed");
        },
    );
    sign_in(&open, &provider, open.browser()).await.is(303);
    assert_eq!(accounts(&open), 1);
}
