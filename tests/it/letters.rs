//! What people get by mail, from a real gateway by way of a real mail server: confirmations, new passwords, other addresses, notices.

mod courier;
mod links;

use serde_json::{Value, json};

use crate::servers::mail::{Letter, Mail};
use crate::world::person::{login, refresh};
use crate::world::{Answer, Client, Config, PASSWORD, Upstream, World, until};

const ADA: &str = "ada@example.com";
const NEW: &str = "a quite different long sentence";

/// A gateway that sends its letters there.
fn world(upstream: &Upstream, mail: &Mail) -> World {
    World::with(upstream, |config| sends_by(config, mail))
}

pub fn sends_by(config: &mut Config, mail: &Mail) {
    config.set("mail.url", mail.url());
    config.set("mail.from", "Acme <no-reply@example.com>");
    // The machine that runs the tests may be busy; a letter whose claim was not answered waits until the lease is over.
    config.set("store.connect_timeout", "15s");
    config.set("store.timeout", "20s");
}

async fn post(client: &Client, path: &str, body: Value) -> Answer {
    client.post(path).json(&body).send().await
}

async fn register(client: &Client, email: &str, password: &str) -> Answer {
    post(client, "/auth/register", json!({"email": email, "password": password})).await
}

async fn confirm(client: &Client, token: &str, password: &str) -> Answer {
    post(client, "/auth/confirm", json!({"token": token, "password": password})).await
}

async fn forgot(client: &Client, email: &str) -> Answer {
    post(client, "/auth/password/forgot", json!({"email": email})).await
}

async fn reset(client: &Client, token: &str, new: &str) -> Answer {
    post(client, "/auth/password/reset", json!({"token": token, "new": new})).await
}

/// Makes an account on the command line.
fn account(world: &World, email: &str) {
    world
        .run_with_input(&["user", "add", email, "--password-stdin"], &format!("{PASSWORD}\n"))
        .done();
}

/// A letter of a subject: others may come in between.
#[track_caller]
fn about(mail: &Mail, email: &str, subject: &str) -> Letter {
    until(subject, || {
        let mut letters = mail.to(email).into_iter().rev();
        letters.find(|letter| letter.header("Subject").contains(subject))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_registers_signs_in_once_the_letter_was_answered_with_the_password() {
    let (upstream, mail) = (Upstream::friendly(), Mail::start());
    let world = world(&upstream, &mail);
    let client = world.client();
    let asked = register(&client, ADA, PASSWORD).await.is(202);
    assert!(asked.body.is_empty());
    login(&client, ADA, PASSWORD, true)
        .await
        .problem(401, "invalid_credentials");

    let letter = mail.wait_for(ADA, 1);
    assert_eq!(letter.header("From"), "Acme <no-reply@example.com>");
    assert!(letter.link("confirm").starts_with(&world.origin()), "{letter:?}");
    assert!(letter.text.contains("text/plain") && letter.text.contains("text/html"));
    let token = letter.token("confirm");
    // Whoever only has the letter cannot answer it, and does not use it up.
    confirm(&client, &token, "the wrong password, but a long one")
        .await
        .problem(401, "invalid_credentials");
    let user = confirm(&client, &token, PASSWORD).await.is(200).json();
    assert_eq!(user["user"]["email"], ADA);
    login(&client, ADA, PASSWORD, true).await.is(200);
    confirm(&client, &token, PASSWORD).await.problem(410, "invalid_link");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_has_an_account_is_registered_with_the_same_answer_and_its_owner_is_told() {
    let (upstream, mail) = (Upstream::friendly(), Mail::start());
    let world = world(&upstream, &mail);
    account(&world, ADA);
    let client = world.client();
    let known = register(&client, ADA, NEW).await.is(202);
    let unknown = register(&client, "ben@example.com", NEW).await.is(202);
    let told = |answer: &Answer| {
        let mut headers = answer.headers.clone();
        headers.remove("x-request-id");
        headers.remove("date");
        (headers, answer.body.clone())
    };
    assert_eq!(told(&known), told(&unknown));
    let letter = mail.wait_for(ADA, 1);
    assert!(
        letter.header("Subject").starts_with("You have an account"),
        "{letter:?}"
    );
    assert!(!letter.text.contains("token="), "{letter:?}");
    login(&client, ADA, PASSWORD, true).await.is(200);
    login(&client, ADA, NEW, true).await.is(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_registers_somebodys_address_gains_nothing_by_their_click() {
    let (upstream, mail) = (Upstream::friendly(), Mail::start());
    let world = world(&upstream, &mail);
    let client = world.client();
    register(&client, ADA, "the password of a stranger").await.is(202);
    let strangers = mail.wait_for(ADA, 1).token("confirm");
    // Ada, who knows nothing of that, registers as well: the stranger's link is over.
    register(&client, ADA, PASSWORD).await.is(202);
    let adas = mail.wait_for(ADA, 2).token("confirm");
    confirm(&client, &strangers, PASSWORD)
        .await
        .problem(410, "invalid_link");
    confirm(&client, &adas, PASSWORD).await.is(200);
    login(&client, ADA, "the password of a stranger", true).await.is(401);
    login(&client, ADA, PASSWORD, true).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_set_by_a_letter_and_ends_everything_that_was_open() {
    let (upstream, mail) = (Upstream::friendly(), Mail::start());
    let world = world(&upstream, &mail);
    account(&world, ADA);
    let client = world.client();
    let here = login(&client, ADA, PASSWORD, true).await.is(200);
    let (access, refresh_token) = (here.member("access_token"), here.member("refresh_token"));

    forgot(&client, ADA).await.is(202);
    let token = mail.wait_for(ADA, 1).token("reset");
    reset(&client, &token, "short").await.problem(422, "weak_password");
    let done = reset(&client, &token, NEW).await.is(204);
    assert!(done.cookies().is_empty(), "nobody is signed in by it");
    client.get("/things").bearer(&access).send().await.is(401);
    refresh(&client, &refresh_token).await.problem(401, "invalid_token");
    login(&client, ADA, PASSWORD, true).await.is(401);
    login(&client, ADA, NEW, true).await.is(200);
    about(&mail, ADA, "password at Gateward was changed");
    reset(&client, &token, NEW).await.problem(410, "invalid_link");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_moves_to_an_address_whose_owner_knows_its_password() {
    let (upstream, mail) = (Upstream::friendly(), Mail::start());
    let world = world(&upstream, &mail);
    account(&world, ADA);
    account(&world, "ben@example.com");
    let client = world.client();
    let here = login(&client, ADA, PASSWORD, true).await.is(200);
    let ask = async |email: &str, password: &str| {
        let body = json!({"email": email, "password": password});
        client
            .post("/auth/email")
            .bearer(&here.member("access_token"))
            .json(&body)
            .send()
            .await
    };
    ask("countess@example.com", NEW)
        .await
        .problem(401, "invalid_credentials");
    ask("nonsense", PASSWORD).await.problem(422, "invalid_email");
    // To an address that has an account: told to its owner alone.
    ask("ben@example.com", PASSWORD).await.is(202);
    assert!(!mail.wait_for("ben@example.com", 1).text.contains("token="));

    ask("countess@example.com", PASSWORD).await.is(202);
    let token = mail.wait_for("countess@example.com", 1).token("confirm");
    about(&mail, ADA, "address at Gateward is being changed");
    confirm(&client, &token, NEW).await.problem(401, "invalid_credentials");
    confirm(&client, &token, PASSWORD).await.is(200);
    login(&client, ADA, PASSWORD, true).await.is(401);
    login(&client, "countess@example.com", PASSWORD, true).await.is(200);
    // Its sessions live on, and say the new address from the next renewal on.
    let renewed = refresh(&client, &here.member("refresh_token")).await.is(200).json();
    assert_eq!(renewed["user"]["email"], "countess@example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_is_told_of_a_changed_password_and_of_a_token_used_twice() {
    let (upstream, mail) = (Upstream::friendly(), Mail::start());
    let world = World::with(&upstream, |config| {
        sends_by(config, &mail);
        config.set("tokens.reuse_window", "0s");
    });
    account(&world, ADA);
    let client = world.client();
    let first = login(&client, ADA, PASSWORD, true).await.is(200);
    let token = first.member("refresh_token");
    let second = refresh(&client, &token).await.is(200).member("refresh_token");
    refresh(&client, &second).await.is(200);
    refresh(&client, &token).await.problem(401, "invalid_token");
    about(&mail, ADA, "You were signed out");
    let here = login(&client, ADA, PASSWORD, true).await.is(200);
    crate::world::person::change_password(&client, &here.member("access_token"), PASSWORD, NEW)
        .await
        .is(204);
    about(&mail, ADA, "password at Gateward was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_is_invited_chooses_their_password_with_or_without_mail() {
    let (upstream, mail) = (Upstream::friendly(), Mail::start());
    let mut world = World::with(&upstream, |_| ());
    let client = world.client();
    let invited = world.run(&["user", "invite", ADA, "--role", "staff", "--json"]).done();
    assert_eq!(invited.json()["roles"], json!(["staff"]));
    let link = invited.err.split_whitespace().last().unwrap();
    let first = link
        .strip_prefix(&format!("{}/auth/reset?token=", world.origin()))
        .unwrap();
    world.secret(first);

    // Once more, with mail: the printed link is over.
    world.reconfigure(|config| sends_by(config, &mail));
    world.kill();
    world.up();
    let again = world.run(&["user", "invite", ADA, "--role", "staff"]).done();
    assert!(!again.err.contains("token="), "{again:?}");
    let token = mail.wait_for(ADA, 1).token("reset");
    reset(&client, first, NEW).await.problem(410, "invalid_link");
    reset(&client, &token, NEW).await.is(204);
    let here = login(&client, ADA, NEW, true).await.is(200).json();
    assert_eq!(here["user"]["roles"], json!(["staff"]));
    world.run(&["user", "invite", ADA]).refused();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_mail_nobody_can_ask_for_a_letter() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let client = world.client();
    forgot(&client, ADA).await.problem(404, "not_found");
    post(&client, "/auth/confirm/resend", json!({"email": ADA}))
        .await
        .problem(404, "not_found");
    client
        .get("/auth/forgot")
        .header("accept", "text/html")
        .send()
        .await
        .is(404);
    let page = client
        .get("/auth/login")
        .header("accept", "text/html")
        .send()
        .await
        .is(200);
    assert!(!page.text().contains("/auth/forgot"));
}
