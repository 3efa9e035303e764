//! The commands as an operator types them: what they do, what they print, how they end.

use serde_json::Value;

use crate::world::forge::part;
use crate::world::person::login;
use crate::world::{PASSWORD, Upstream, World, process, until};

fn list(value: &Value) -> Vec<Value> {
    let inner = || value.as_object().and_then(|o| o.values().find_map(Value::as_array));
    value.as_array().or_else(inner).expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_made_shown_changed_and_taken_away() {
    let upstream = Upstream::friendly();
    let mut world = World::stopped(&upstream, |_| {});
    let add = [
        "user",
        "add",
        "ada@example.com",
        "--role",
        "staff",
        "--role",
        "billing",
        "--password-stdin",
    ];
    world.run_with_input(&add, &format!("{PASSWORD}\n")).done();
    world.run_with_input(&add, &format!("{PASSWORD}\n")).refused();
    world
        .run_with_input(&["user", "add", "ben@example.com", "--password-stdin"], "short\n")
        .refused();
    world
        .run_with_input(
            &["user", "add", "no address", "--password-stdin"],
            &format!("{PASSWORD}\n"),
        )
        .refused();

    let users = list(&world.run(&["user", "list", "--json"]).done().json());
    assert_eq!(users.len(), 1);
    assert_eq!(users[0]["email"], "ada@example.com");
    assert_eq!(users[0]["roles"], serde_json::json!(["staff", "billing"]));
    let id = users[0]["id"].as_str().expect("an id").to_owned();
    for name in [id.as_str(), "ADA@example.com"] {
        let shown = world.run(&["user", "show", name, "--json"]).done().json();
        assert_eq!(shown["id"], id.as_str());
    }
    let table = world.run(&["user", "list"]).done().out;
    assert!(table.contains("ada@example.com"), "{table}");

    world.up();
    let client = world.client();
    login(&client, "ada@example.com", PASSWORD, true).await.is(200);
    world.run(&["user", "set-roles", "ada@example.com", "admin"]).done();
    let shown = world.run(&["user", "show", "ada@example.com", "--json"]).done().json();
    assert_eq!(shown["roles"], serde_json::json!(["admin"]));
    world.run(&["user", "disable", "ada@example.com"]).done();
    login(&client, "ada@example.com", PASSWORD, true)
        .await
        .problem(401, "invalid_credentials");
    world.run(&["user", "enable", "ada@example.com"]).done();
    login(&client, "ada@example.com", PASSWORD, true).await.is(200);
    world.run(&["user", "delete", "ada@example.com"]).done();
    login(&client, "ada@example.com", PASSWORD, true)
        .await
        .problem(401, "invalid_credentials");
    for command in ["show", "disable", "enable", "delete"] {
        world.run(&["user", command, "ada@example.com"]).refused();
    }
    assert!(list(&world.run(&["user", "list", "--json"]).done().json()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let ada = world.person("ada").await;
    let id = part(&ada.access, 1)["sid"].as_str().expect("a session").to_owned();
    let sessions = list(&world.run(&["session", "list", &ada.email, "--json"]).done().json());
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0]["id"], id.as_str());
    assert!(!sessions[0].to_string().contains("nonce"), "{}", sessions[0]);
    world.run(&["session", "end", &id]).done();
    world.run(&["session", "end", &id]).refused();
    world.run(&["session", "end", "no-such-thing"]).code_is_not_0();
    assert!(list(&world.run(&["session", "list", &ada.email, "--json"]).done().json()).is_empty());
    world.run(&["session", "end-all", "nobody@example.com"]).refused();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_rotated_imported_and_revoked() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let keys = || list(&world.run(&["keys", "list", "--json"]).done().json());
    let states = || {
        keys()
            .iter()
            .map(|key| key["state"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(states(), ["signing"]);
    let first = keys()[0]["kid"].as_str().expect("a kid").to_owned();
    assert!(keys()[0]["next_change"].is_string(), "{:?}", keys());

    world.run(&["keys", "rotate"]).done();
    assert_eq!(states(), ["signing", "published"], "published before it signs");
    let bad = world.dir().join("bad.pem");
    std::fs::write(&bad, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").expect("a file");
    world.run(&["keys", "import", &bad.to_string_lossy()]).refused();
    world.run(&["keys", "import", "/no/such/file.pem"]).refused();
    for kid in ["no-such-kid", "-no-such-kid", "-h-no-such-kid", "--no-such-kid"] {
        world.run(&["keys", "revoke", kid]).refused();
    }
    assert!(world.run(&["keys", "revoke", "--help"]).done().out.contains("KID"));
    world.run(&["keys", "revoke", &first]).done();
    assert!(
        states().contains(&"signing".to_owned()),
        "another signs at once: {:?}",
        states()
    );
    let said = world.run(&["keys", "list", "--json"]).done().out;
    assert!(!said.contains("sealed") && !said.contains("PRIVATE"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn token_verify_says_valid_or_why_not() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let ada = world.person("ada").await;
    let forged = format!("{}AAAA", &ada.access[..ada.access.len() - 4]);
    let lines = format!("{}\n{forged}\nnonsense\n", ada.access);
    let outcome = world.run_with_input(&["token", "verify"], &lines);
    let said: Vec<&str> = outcome.out.lines().collect();
    assert_eq!(said.len(), 3, "{outcome:?}");
    assert_eq!(said[0], "valid");
    assert!(
        said[1].starts_with("invalid: ") && said[2].starts_with("invalid: "),
        "{outcome:?}"
    );
    assert_eq!(outcome.code, 1, "one of them is invalid");
    world
        .run_with_input(&["token", "verify"], &format!("{}\n", ada.access))
        .done();

    let set = world.client().get("/.well-known/jwks.json").send().await.is(200);
    let file = world.dir().join("jwks.json");
    std::fs::write(&file, &set.body).expect("a file");
    let verify = ["token", "verify", "--jwks", &file.to_string_lossy()];
    assert_eq!(world.run_with_input(&verify, &lines).out.lines().next(), Some("valid"));
    std::fs::write(&file, r#"{"keys":[]}"#).expect("a file");
    let refused = world.run_with_input(&verify, &format!("{}\n", ada.access));
    assert!(refused.out.starts_with("invalid: "), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn healthcheck_follows_the_gateway() {
    let upstream = Upstream::friendly();
    let mut world = World::start(&upstream);
    world.run(&["healthcheck"]).done();
    world.kill();
    world.run(&["healthcheck"]).refused();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_is_2_and_a_missing_file_is_1() {
    let upstream = Upstream::friendly();
    let world = World::stopped(&upstream, |_| {});
    for arguments in [
        vec!["nonsense"],
        vec!["user"],
        vec!["user", "add"],
        vec!["keys", "revoke"],
        vec!["check", "--nonsense"],
    ] {
        let outcome = world.run(&arguments);
        assert_eq!(outcome.code, 2, "{arguments:?}: {outcome:?}");
    }
    world.run(&["--help"]).done();
    assert!(world.run(&["--version"]).done().out.contains(env!("CARGO_PKG_VERSION")));
    let missing = world.dir().join("missing.toml");
    for command in ["check", "serve"] {
        assert_eq!(process::run(&missing, &[command], "").code, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_says_where_it_listens_and_how_to_begin() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    for word in [
        world.https_port().to_string(),
        world.http_port().to_string(),
        "/whoami".to_owned(),
        "user add".to_owned(),
    ] {
        // It is ready a moment before it has said so.
        until("the greeting tells it all", || {
            world.output().contains(&word).then_some(())
        });
    }
}
