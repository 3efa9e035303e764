//! Passkeys over the JSON face, with an authenticator of software in the place of a browser's.

use serde_json::{Value, json};

use crate::letters::sends_by;
use crate::servers::mail::Mail;
use crate::world::forge::part;
use crate::world::passkey::{Authenticator, PRESENT};
use crate::world::{Answer, Client, PASSWORD, Person, Upstream, World, until};

const NEW: &str = "a quite different long sentence";

/// Asks what a new passkey is to be made of, and hands it in.
async fn add(person: &Person, key: &mut Authenticator, name: &str) -> Answer {
    let options = ask(&person.client, &person.access, "/auth/passkeys/options")
        .await
        .is(200)
        .json();
    let mut made = key.make(&options);
    made["name"] = json!(name);
    person
        .client
        .post("/auth/passkeys")
        .bearer(&person.access)
        .json(&made)
        .send()
        .await
}

async fn ask(client: &Client, access: &str, path: &str) -> Answer {
    client.post(path).bearer(access).send().await
}

/// Signs in with a passkey alone, tokens in the body.
async fn enter(client: &Client, key: &mut Authenticator) -> Answer {
    let options = client.post("/auth/passkeys/login/options").send().await.is(200).json();
    let mut answered = key.answer(&options);
    answered["transport"] = json!("body");
    client.post("/auth/passkeys/login").json(&answered).send().await
}

/// Ada with a passkey, and who she is after signing in with it.
async fn ada(world: &World) -> (Person, Authenticator) {
    let mut person = world.person("ada").await;
    let mut key = Authenticator::at(&world.origin());
    let added = add(&person, &mut key, "Key ring").await.is(201).json();
    for code in added["recovery_codes"].as_array().expect("recovery codes") {
        world.secret(code.as_str().expect("a code"));
    }
    person.access = enter(&person.client, &mut key).await.is(200).member("access_token");
    (person, key)
}

#[tokio::test]
async fn a_passkey_is_added_named_used_alone_and_removed() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let (person, mut key) = ada(&world).await;
    let said = part(&person.access, 1);
    assert_eq!(
        (&said["sub"], &said["amr"]),
        (&json!(person.id), &json!(["pop", "user", "mfa"]))
    );
    person.get("/whoami").await.is(200);

    let listed = person.get("/auth/passkeys").await.is(200).json();
    let passkey = &listed["passkeys"][0];
    assert_eq!(
        (&passkey["name"], &passkey["synced"]),
        (&json!("Key ring"), &json!(false))
    );
    let path = format!("/auth/passkeys/{}", passkey["id"].as_str().unwrap());
    let patch = person.client.call(http::Method::PATCH, &path).bearer(&person.access);
    patch.json(&json!({"name": "Phone"})).send().await.is(204);
    let listed = person.get("/auth/passkeys").await.is(200).json();
    assert_eq!(listed["passkeys"][0]["name"], "Phone");

    person.client.delete(&path).bearer(&person.access).send().await.is(204);
    person
        .client
        .delete(&path)
        .bearer(&person.access)
        .send()
        .await
        .problem(404, "not_found");
    enter(&person.client, &mut key)
        .await
        .problem(401, "invalid_credentials");
    let events: Vec<Value> = world
        .audit_log()
        .into_iter()
        .map(|line| line["event"].clone())
        .collect();
    for event in ["passkey.added", "passkey.renamed", "passkey.removed", "login.refused"] {
        assert!(events.contains(&json!(event)), "{event}: {events:?}");
    }
}

#[tokio::test]
async fn nobody_can_tell_who_has_a_passkey() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let (person, mut hers) = ada(&world).await;
    let client = world.client();
    let shape = |options: Value| {
        let mut options = options;
        options["challenge"] = json!("");
        options
    };
    let one = shape(client.post("/auth/passkeys/login/options").send().await.is(200).json());
    let two = shape(
        world
            .browser()
            .post("/auth/passkeys/login/options")
            .send()
            .await
            .is(200)
            .json(),
    );
    assert_eq!(one, two);
    assert_eq!(
        one,
        json!({"challenge": "", "rpId": "localhost", "timeout": 300_000, "userVerification": "required"})
    );

    let mut unknown = Authenticator::at(&world.origin());
    unknown.owner = hers.owner.clone();
    let mut forged = Authenticator::at(&world.origin());
    (forged.id, forged.owner) = (hers.id.clone(), hers.owner.clone());
    let mut answers = Vec::new();
    answers.push(enter(&client, &mut unknown).await);
    answers.push(enter(&client, &mut forged).await);
    hers.flags = PRESENT;
    answers.push(enter(&client, &mut hers).await);
    hers.flags = Authenticator::at("").flags;
    world.run(&["user", "disable", &person.email]).done();
    answers.push(enter(&client, &mut hers).await);
    let told: Vec<Value> = answers
        .into_iter()
        .map(|answer| {
            let mut told = answer.problem(401, "invalid_credentials").json();
            told["instance"] = json!("");
            told
        })
        .collect();
    assert!(told.iter().all(|one| *one == told[0]), "{told:?}");
}

#[tokio::test]
async fn an_answer_belongs_to_the_browser_that_asked_and_to_one_use() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let (_, mut key) = ada(&world).await;
    let (here, there) = (world.browser(), world.browser());
    let options = here.post("/auth/passkeys/login/options").send().await.is(200).json();
    there.post("/auth/passkeys/login/options").send().await.is(200);
    let answered = key.answer(&options);
    let hand_in = |client: &Client| client.post("/auth/passkeys/login").json(&answered).send();
    hand_in(&there).await.problem(401, "invalid_credentials");
    hand_in(&world.client()).await.problem(401, "invalid_credentials");
    let cross = here
        .post("/auth/passkeys/login")
        .json(&answered)
        .header("sec-fetch-site", "cross-site");
    cross.send().await.problem(403, "cross_site");
    hand_in(&here).await.is(200);
    here.get("/auth/me").send().await.is(200);
    hand_in(&here).await.problem(401, "invalid_credentials");
}

#[tokio::test]
async fn of_twenty_uses_at_once_of_one_answer_one_signs_in() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let (_, mut key) = ada(&world).await;
    let client = world.client();
    let options = client.post("/auth/passkeys/login/options").send().await.is(200).json();
    let answered = key.answer(&options);
    let uses = (0..20).map(|_| client.post("/auth/passkeys/login").json(&answered).send());
    let answers = futures_util::future::join_all(uses).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 19);
}

#[tokio::test]
async fn after_a_password_a_passkey_is_the_second_step() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let (person, mut key) = ada(&world).await;
    let client = world.client();
    let login = client
        .post("/auth/login")
        .json(&json!({"email": person.email, "password": PASSWORD}));
    let step = login.send().await.is(200).json();
    assert_eq!(
        (&step["mfa_required"], &step["methods"]),
        (&json!(true), &json!(["passkey", "recovery"]))
    );
    let token = step["mfa_token"].as_str().unwrap();
    world.secret(token);
    let asked = client
        .post("/auth/mfa/passkey/options")
        .json(&json!({"mfa_token": token}));
    let options = asked.send().await.is(200).json();
    assert_eq!(options["allowCredentials"].as_array().unwrap().len(), 1);
    let verify = |passkey: Value| {
        let body = json!({"mfa_token": token, "method": "passkey", "passkey": passkey, "transport": "body"});
        client.post("/auth/mfa/verify").json(&body).send()
    };
    let mut stranger = Authenticator::at(&world.origin());
    verify(stranger.answer(&options)).await.problem(401, "invalid_code");
    verify(Value::Null).await.problem(400, "bad_request");
    let answered = key.answer(&options);
    let access = verify(answered.clone()).await.is(200).member("access_token");
    assert_eq!(part(&access, 1)["amr"], json!(["pwd", "pop", "user", "mfa"]));
    verify(answered).await.problem(401, "sign_in_expired");
    let nobody = client
        .post("/auth/mfa/passkey/options")
        .json(&json!({"mfa_token": "none"}));
    nobody.send().await.problem(401, "sign_in_expired");
}

/// Sets a new password by letter.
async fn reset(world: &World, mail: &Mail, email: &str) {
    let asked = || {
        let letters = mail.to(email).into_iter();
        letters
            .filter(|letter| letter.header("Subject").starts_with("Set a new password"))
            .collect::<Vec<_>>()
    };
    let before = asked().len();
    let client = world.client();
    let forgot = client.post("/auth/password/forgot").json(&json!({"email": email}));
    forgot.send().await.is(202);
    let letter = until("a letter", || asked().into_iter().nth(before));
    let body = json!({"token": letter.token("reset"), "new": NEW});
    client.post("/auth/password/reset").json(&body).send().await.is(204);
}

/// Signs in with the password, then with the passkey.
async fn enter_in_two_steps(client: &Client, email: &str, key: &mut Authenticator) -> Answer {
    let login = client
        .post("/auth/login")
        .json(&json!({"email": email, "password": NEW}));
    let step = login.send().await.is(200).json();
    assert_eq!(step["methods"], json!(["passkey", "recovery"]));
    let token = step["mfa_token"].as_str().expect("a second step");
    let asked = client
        .post("/auth/mfa/passkey/options")
        .json(&json!({"mfa_token": token}));
    let answered = key.answer(&asked.send().await.is(200).json());
    let body = json!({"mfa_token": token, "method": "passkey", "passkey": answered, "transport": "body"});
    client.post("/auth/mfa/verify").json(&body).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_from_before_the_address_was_confirmed_is_a_second_step_only_after_a_reset_and_one_from_after_opens()
{
    let (upstream, mail) = (Upstream::friendly(), Mail::start());
    let mut world = World::start(&upstream);
    let (mut person, mut key) = ada(&world).await;
    // Letters come later, and with them the owner of the address, who may be another.
    world.kill();
    world.reconfigure(|config| sends_by(config, &mail));
    world.up();
    world.secret(NEW);
    let email = person.email.clone();
    reset(&world, &mail, &email).await;
    enter(&person.client, &mut key)
        .await
        .problem(401, "invalid_credentials");
    // Nor does whoever reads the letters get past it.
    let entered = enter_in_two_steps(&person.client, &email, &mut key).await.is(200);
    person.access = entered.member("access_token");

    let listed = person.get("/auth/passkeys").await.is(200).json();
    let said: Vec<&Value> = listed["passkeys"].as_array().expect("passkeys").iter().collect();
    assert_eq!(said.len(), 1);
    assert_eq!(
        (&said[0]["name"], &said[0]["signs_in_alone"]),
        (&json!("Key ring"), &json!(false))
    );
    let mut own = Authenticator::at(&world.origin());
    add(&person, &mut own, "Of my own").await.is(201);
    enter(&person.client, &mut own).await.is(200);
    reset(&world, &mail, &email).await;
    enter(&person.client, &mut own).await.is(200);
}

#[tokio::test]
async fn a_counter_that_falls_is_refused_and_in_the_audit_log() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let person = world.person("ada").await;
    let mut key = Authenticator::at(&world.origin());
    key.count = 10;
    add(&person, &mut key, "").await.is(201);
    enter(&person.client, &mut key).await.is(200);
    key.count = 3;
    enter(&person.client, &mut key)
        .await
        .problem(401, "invalid_credentials");
    let fell = |line: &Value| line["event"] == "passkey.counter_fell" && line["user"] == json!(person.id);
    assert!(world.audit_log().iter().any(fell));
    assert!(world.output().contains("a passkey's counter did not move forward"));
}

#[tokio::test]
async fn related_origins_are_listed_and_their_pages_count() {
    let upstream = Upstream::friendly();
    let plain = World::start(&upstream);
    let theirs = plain.person("ada").await.get("/.well-known/webauthn").await;
    assert_eq!(
        theirs.is(200).header("content-type"),
        "text/plain",
        "a site behind us may have its own"
    );
    let world = World::with(&upstream, |config| {
        config.set("auth.passkeys.related_origins", vec!["https://example.net".to_owned()]);
    });
    let listed = world.client().get("/.well-known/webauthn").send().await.is(200);
    assert_eq!(listed.header("content-type"), "application/json");
    assert_eq!(listed.json(), json!({"origins": ["https://example.net"]}));
    let person = world.person("ada").await;
    let mut key = Authenticator::at("https://example.net");
    add(&person, &mut key, "").await.is(201);
    enter(&person.client, &mut key).await.is(200);
    key.origin = "https://example.org".to_owned();
    enter(&person.client, &mut key)
        .await
        .problem(401, "invalid_credentials");
}

#[tokio::test]
async fn switched_off_there_is_no_such_thing() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.set("auth.passkeys.enabled", false);
    });
    let person = world.person("ada").await;
    ask(&person.client, &person.access, "/auth/passkeys/options")
        .await
        .problem(404, "not_found");
    ask(&world.client(), "", "/auth/passkeys/login/options")
        .await
        .problem(404, "not_found");
    person.get("/auth/login").await.is(200);
}
