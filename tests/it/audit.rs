//! The audit log is evidence: an event is in it before anybody is answered, so that no crash takes back what somebody was told.

use rcgen::KeyPair;
use serde_json::json;

use crate::world::person::{change_password, login, refresh};
use crate::world::{PASSWORD, Upstream, World};

/// The words of all events so far, in their order.
fn events(world: &World) -> Vec<String> {
    let words = world.audit_log().into_iter();
    words
        .map(|event| event["event"].as_str().expect("a word").to_owned())
        .collect()
}

/// Kill -9 right after an answer: the last event is that of the answer.
#[track_caller]
fn told_before_a_crash(world: &mut World, what: &str) {
    world.kill();
    assert_eq!(events(world).last().map(String::as_str), Some(what));
    world.up();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_in_the_audit_log_before_its_answer_whatever_comes_next() {
    let upstream = Upstream::friendly();
    let mut world = World::start(&upstream);
    let client = world.client();
    let account = json!({"email": "ada@example.com", "password": PASSWORD});
    client.post("/auth/register").json(&account).send().await.is(201);
    told_before_a_crash(&mut world, "account.created");
    login(&client, "ada@example.com", "not the right password", true)
        .await
        .is(401);
    told_before_a_crash(&mut world, "login.refused");
    let tokens = login(&client, "ada@example.com", PASSWORD, true).await.is(200);
    told_before_a_crash(&mut world, "login.succeeded");
    let access = tokens.member("access_token");
    change_password(&client, &access, PASSWORD, "another correct horse battery")
        .await
        .is(204);
    told_before_a_crash(&mut world, "password.changed");
    client.post("/auth/logout").bearer(&access).send().await.is(204);
    told_before_a_crash(&mut world, "session.ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reuse_that_a_silent_renewal_meets_is_in_the_audit_log_before_the_answer() {
    let upstream = Upstream::friendly();
    let mut world = World::start(&upstream);
    let ada = world.person("ada").await;
    let browser = ada.in_browser(&world).await;
    let first = browser.cookie("__Host-gateward-refresh").expect("a refresh token");
    let second = refresh(&ada.client, &first).await.is(200).member("refresh_token");
    refresh(&ada.client, &second).await.is(200);
    browser.set_cookie("__Host-gateward", "");
    browser.get("/things").send().await.is(401);
    told_before_a_crash(&mut world, "refresh.reused");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_the_signing_keys_is_in_the_audit_log() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.set("tokens.algorithm", "ES256");
    });
    let kids = || {
        let keys = world.run(&["keys", "list", "--json"]).done().json();
        let kids = keys.as_array().expect("keys").iter();
        kids.map(|key| key["kid"].as_str().expect("a kid").to_owned())
            .collect::<Vec<_>>()
    };
    let first = kids().remove(0);
    let rotated = world.run(&["keys", "rotate"]).done().out.trim().to_owned();
    let file = world.dir().join("mine.pem");
    std::fs::write(&file, KeyPair::generate().expect("a key").serialize_pem()).expect("a file");
    let imported = world.run(&["keys", "import", &file.to_string_lossy()]).done();
    let imported = imported.out.trim().to_owned();
    // Nothing is changed by these, so nothing is told.
    world.run(&["keys", "import", &file.to_string_lossy()]).refused();
    world.run(&["keys", "revoke", "no-such-key"]).refused();
    world.run(&["keys", "revoke", &rotated]).done();

    let told: Vec<(String, String)> = world
        .audit_log()
        .iter()
        .map(|event| [&event["event"], &event["detail"]].map(|text| text.as_str().expect("a word").to_owned()))
        .map(|[event, detail]| (event, detail))
        .collect();
    let done = [
        ("key.rotated", &first),
        ("key.rotated", &rotated),
        ("key.imported", &imported),
        ("key.revoked", &rotated),
    ];
    assert_eq!(told, done.map(|(event, kid)| (event.to_owned(), kid.clone())));
}
