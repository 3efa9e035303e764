//! `user import`: people come from another system with the passwords they know.

use std::sync::Arc;

use gateward::config;
use gateward::model::credential::Account;
use gateward::store::Stores;
use gateward::telemetry::Metrics;
use serde_json::{Value, json};

use crate::shared::SharedStores;
use crate::world::{Client, Upstream, World};

/// Vectors of Django's, passlib's, bcrypt's, scrypt's and Argon2's own tests, and of the RFCs.
const PUBLISHED: &str = include_str!("../hashes/published.jsonl");

struct Vector {
    email: String,
    password: String,
    hash: String,
}

fn vectors() -> Vec<Vector> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let vector = |(number, line)| {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        Vector {
            email: format!("p{number}@example.com"),
            password: text(&line["password"]),
            hash: text(&line["hash"]),
        }
    };
    PUBLISHED.lines().enumerate().map(vector).collect()
}

/// Asks to sign in. Passwords such as `password` are no secrets to search the logs for.
async fn login(client: &Client, email: &str, password: &str) -> u16 {
    let body = json!({ "email": email, "password": password, "transport": "body" });
    let call = client.post("/auth/login").header("content-type", "application/json");
    call.body(body.to_string()).send().await.status
}

async fn accounts(world: &World) -> Vec<Account> {
    let settings = config::load(&world.config_file()).expect("a configuration");
    let stores = Stores::open(&settings.store, &Arc::new(Metrics::new()))
        .await
        .expect("the stores");
    stores.accounts.accounts(None, 1000).await.expect("the accounts")
}

/// Writes a file beside the configuration and imports it.
fn import(world: &World, name: &str, text: &str) -> crate::world::Outcome {
    let file = world.dir().join(name);
    std::fs::write(&file, text).expect("the file can be written");
    world.run(&["user", "import", file.to_str().expect("a path")])
}

async fn all_vectors_sign_in(mut world: World) {
    let vectors = vectors();
    let lines: Vec<String> = vectors
        .iter()
        .map(|vector| json!({ "email": vector.email, "password_hash": vector.hash }).to_string())
        .collect();
    let told = import(&world, "people.jsonl", &lines.join("\n")).done();
    assert_eq!(told.out.trim(), format!("accounts     {} new", vectors.len()));

    world.up();
    let client = world.client();
    for Vector { email, password, hash } in &vectors {
        assert_eq!(login(&client, email, &format!("x{password}")).await, 401, "{hash}");
        assert_eq!(login(&client, email, password).await, 200, "{hash}");
    }
    for account in accounts(&world).await {
        let (email, hash) = (account.user.email, account.password);
        assert!(
            hash.as_str().starts_with("$argon2id$v=19$m=1024,t=1,p=1$"),
            "{email}: {}",
            hash.as_str()
        );
    }
    for Vector { email, password, hash } in &vectors {
        assert_eq!(login(&client, email, password).await, 200, "{hash}, once more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_published_hash_signs_in_after_import_and_is_argon2id_afterwards() {
    all_vectors_sign_in(World::stopped(&Upstream::friendly(), |_| {})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_shared_stores_they_do_too() {
    let stores = SharedStores::new().await;
    all_vectors_sign_in(stores.stopped(&Upstream::friendly(), |_| {})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_do_not_fit_are_told_by_number_and_the_others_are_in_however_often_it_is_run() {
    let world = World::stopped(&Upstream::friendly(), |_| {});
    let hash = &vectors()[0].hash;
    let good = |email: &str| format!("{email},staff;ops,\"{hash}\",2020-01-31T12:00:00Z,");
    let text = [
        "email,roles,password_hash,created_at,disabled".to_owned(),
        good("ada@example.com"),
        good("no address"),
        "ben@example.com,,$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW,,".to_owned(),
        "col@example.com,,plain-password,,".to_owned(),
        good("dora@example.com"),
    ];
    let told = import(&world, "people.csv", &text.join("\n")).refused();
    let lines: Vec<&str> = told.out.lines().collect();
    assert_eq!(lines.len(), 4, "{told:?}");
    for (line, wanted) in lines.iter().zip([
        "line 3: not an e-mail address",
        "line 4: the hash costs more",
        "line 5: the hash is of no known form",
        "accounts     2 new, 3 refused",
    ]) {
        assert!(line.starts_with(wanted), "{line}");
    }
    let said = format!("{}{}", told.out, told.err);
    assert!(!said.contains("plain-password") && !said.contains("CCCC"), "{said}");
    let user = world.run(&["user", "show", "ada@example.com", "--json"]).done().json();
    assert_eq!(
        (&user["roles"], &user["created_at"]),
        (&json!(["staff", "ops"]), &json!("2020-01-31T12:00:00Z"))
    );

    let again = import(&world, "people.csv", &text.join("\n")).refused();
    assert!(
        again.out.ends_with("accounts     0 new, 2 there already, 3 refused\n"),
        "{again:?}"
    );
    let mended = format!("{}\n{}\n", text[0], good("ben@example.com"));
    let mended = world
        .run_with_input(&["user", "import", "-", "--format", "csv"], &mended)
        .done();
    assert_eq!(mended.out, "accounts     1 new\n");
    let all = world.run(&["user", "list", "--json"]).done().json();
    assert_eq!(all.as_array().map(Vec::len), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_and_files_of_an_unknown_form_are_not_imported() {
    let world = World::stopped(&Upstream::friendly(), |_| {});
    let told = import(
        &world,
        "people.csv",
        "email,password\nada@example.com,hunter2-hunter2\n",
    )
    .refused();
    assert!(
        told.err.contains("passwords are not imported") && !told.err.contains("hunter2"),
        "{told:?}"
    );
    let told = import(
        &world,
        "people.jsonl",
        r#"{"email":"ada@example.com","password":"hunter2-hunter2"}"#,
    )
    .refused();
    assert!(told.out.contains("line 1: passwords are not imported"), "{told:?}");
    let told = import(&world, "people.txt", "").refused();
    assert!(told.err.contains("--format"), "{told:?}");
    world.run(&["user", "import", "nowhere.csv"]).refused();
    assert_eq!(world.run(&["user", "list", "--json"]).done().json(), json!([]));
}
