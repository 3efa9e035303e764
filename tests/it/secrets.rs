//! No token, password or cookie value is written anywhere. Every world searches its own logs when it ends; here are the ways that lead past the usual ones,
//! and the proof that the logs are not simply empty.

use serde_json::json;

use crate::world::person::login;
use crate::world::{PASSWORD, Upstream, World, until};

#[tokio::test(flavor = "multi_thread")]
async fn secrets_in_odd_places_are_not_written_either() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.set("log.level", "trace,rustls=trace,h2=trace,hyper=trace");
    });
    let ada = world.person("ada").await;
    let browser = ada.in_browser(&world).await;
    world.secret("a-code-in-the-query");
    world.secret("a-password-of-basic");

    // In the query of our own pages, in a body that cannot be read, in the wrong scheme, in the wrong place.
    ada.client.get("/auth/login?code=a-code-in-the-query").send().await;
    ada.client
        .get(&format!("/auth/me?access_token={}", ada.access))
        .send()
        .await
        .is(401);
    let body = format!("{{\"email\":\"{}\",\"password\":\"{PASSWORD}\"", ada.email);
    ada.client
        .post("/auth/login")
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .is(400);
    let body = json!({"email": ada.email, "password": PASSWORD, "transport": "carrier pigeon"});
    ada.client.post("/auth/login").json(&body).send().await;
    ada.client
        .post("/auth/login")
        .json(&json!({"email": PASSWORD, "password": PASSWORD}))
        .send()
        .await;
    ada.client
        .get("/things")
        .header("authorization", "Basic a-password-of-basic")
        .send()
        .await
        .is(401);
    ada.client
        .get("/things")
        .header("authorization", &ada.access)
        .send()
        .await
        .is(401);
    ada.client
        .get("/things")
        .bearer(&format!("{}x", ada.access))
        .send()
        .await
        .is(401);
    ada.client
        .post("/auth/refresh")
        .json(&json!({"refresh_token": format!("{}x", ada.refresh)}))
        .send()
        .await
        .is(401);
    browser.post("/auth/refresh").send().await.is(200);
    login(&ada.client, &ada.email, "another secret password", false)
        .await
        .is(401);
    world
        .run_with_input(&["token", "verify"], &format!("{}\n", ada.access))
        .done();
    browser.post("/auth/logout").send().await.is(204);
}

/// What stands in the log for a path that is none of ours, at a place of ours.
const UNKNOWN: &str = "(unknown)";

#[tokio::test(flavor = "multi_thread")]
async fn a_token_put_into_a_path_of_ours_is_not_written() {
    let upstream = Upstream::friendly();
    // No route for "/": what is at no place of ours belongs to nobody.
    let world = World::with(&upstream, |config| {
        config
            .set("log.level", "trace,rustls=trace,h2=trace,hyper=trace")
            .route("app", "path = \"/things\"");
    });
    let ada = world.person("ada").await;
    let secret = ada.access.as_str();
    let mut expected = 0;
    for path in [
        "/auth/TOKEN",
        "/auth/reset/TOKEN?x=1",
        "/auth/login/TOKEN",
        "/auth/sessions/TOKEN",
        "/auth/assets/TOKEN",
        "/auth/assets/TOKEN.css",
        "/.well-known/TOKEN",
        "/.well-known/jwks.json/TOKEN",
        "/AUTH/TOKEN",
        "/%61uth/login/TOKEN",
        "/x/%252e%252e/auth/TOKEN",
    ] {
        let path = path.replace("TOKEN", secret);
        for client in [world.client(), world.client().h2()] {
            let answer = client.get(&path).send().await;
            assert!(matches!(answer.status, 400 | 404 | 405), "{}", answer.status);
            expected += 1;
        }
    }
    // Refused before anybody asks whose path it is: for the path, and for the framing.
    for (path, more) in [
        ("//auth/TOKEN", ""),
        ("/auth/../TOKEN", ""),
        ("/auth/login;TOKEN", ""),
        ("/auth/TOKEN", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
    ] {
        let (path, host) = (path.replace("TOKEN", secret), world.authority());
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n");
        let status = world.tls().ask(&request).status;
        assert!(matches!(status, 400 | 404), "{status}: {path}");
        expected += 1;
    }
    ada.client.get("/auth/me").bearer(secret).send().await.is(200);
    ada.client.get("/nowhere").send().await.is(404);

    let paths = until("every request is in the access log", || {
        let entries = world.access_log().into_iter();
        let paths: Vec<String> = entries
            .filter_map(|entry| Some(entry["path"].as_str()?.to_owned()))
            .collect();
        paths.iter().any(|path| path == "/nowhere").then_some(paths)
    });
    assert_eq!(
        paths.iter().filter(|path| *path == UNKNOWN).count(),
        expected,
        "{paths:?}"
    );
    assert!(
        paths.iter().any(|path| path == "/auth/me"),
        "paths that exist are named: {paths:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_logs_tell_what_happened_to_whom() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let ada = world.person("ada").await;
    let answer = ada.client.get("/things?x=1").bearer(&ada.access).send().await.is(200);
    assert!(answer.status == 200);
    let refused = ada
        .client
        .get("/things")
        .send()
        .await
        .problem(401, "no_token")
        .member("instance");
    login(&ada.client, &ada.email, "another secret password", false)
        .await
        .is(401);
    ada.client.post("/auth/logout").bearer(&ada.access).send().await.is(204);

    let entry = until("the refused request is in the access log", || {
        world
            .access_log()
            .into_iter()
            .find(|entry| entry.to_string().contains(&refused))
    });
    let text = entry.to_string();
    assert!(
        text.contains("401") && text.contains("/things") && text.contains("127.0.0.1"),
        "{text}"
    );
    until("the request of a known person is in the access log", || {
        let mut lines = world.access_log().into_iter().map(|entry| entry.to_string());
        lines.find(|line| line.contains(&ada.id) && line.contains("200"))
    });
    for what in ["login.succeeded", "login.refused", "session.ended"] {
        let event = until("the event is in the audit log", || {
            world
                .audit_log()
                .into_iter()
                .find(|event| event.to_string().contains(what))
        });
        assert!(event.to_string().contains("127.0.0.1"), "{event}");
    }
}
