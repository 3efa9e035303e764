//! Links out of letters: used once, whoever asks and wherever; looked at as often as mail scanners like; told nobody apart.

use serde_json::json;

use super::{ADA, NEW, about, account, confirm, forgot, post, register, reset, sends_by, world};
use crate::servers::mail::Mail;
use crate::shared::SharedStores;
use crate::world::person::login;
use crate::world::{PASSWORD, Upstream};

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_uses_at_once_of_one_link_over_two_gateways_one_succeeds() {
    let (upstream, mail) = (Upstream::friendly(), Mail::start());
    let stores = SharedStores::new().await;
    let gateway = || {
        let mut world = stores.stopped(&upstream, |config| sends_by(config, &mail));
        world.up();
        world
    };
    let (a, b) = (gateway(), gateway());
    account(&a, ADA);
    forgot(&a.client(), ADA).await.is(202);
    let token = mail.wait_for(ADA, 1).token("reset");
    let clients = [a.client(), b.client()];
    let racers: Vec<_> = (0..20)
        .map(|n| {
            let (client, token) = (clients[n % 2].clone(), token.clone());
            tokio::spawn(async move { (n, reset(&client, &token, &format!("{NEW} {n}")).await) })
        })
        .collect();
    let mut winners = Vec::new();
    for racer in racers {
        let (n, answer) = racer.await.unwrap();
        match answer.status {
            204 => winners.push(n),
            _ => drop(answer.problem(410, "invalid_link")),
        }
    }
    let [winner] = winners.as_slice() else {
        panic!("these all set the password: {winners:?}");
    };
    for client in &clients {
        login(client, ADA, &format!("{NEW} {winner}"), true).await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_at_a_link_uses_nothing_up_and_only_a_form_of_ours_does() {
    let (upstream, mail) = (Upstream::friendly(), Mail::start());
    let world = world(&upstream, &mail);
    account(&world, ADA);
    let client = world.client();
    forgot(&client, ADA).await.is(202);
    let token = mail.wait_for(ADA, 1).token("reset");
    let path = format!("/auth/reset?token={token}");
    world.secret(&token);
    for method in ["GET", "HEAD", "GET"] {
        let answer = client
            .call(method.parse().unwrap(), &path)
            .header("accept", "text/html")
            .send()
            .await
            .is(200);
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    // A form without our token, as another site or a scanner that submits forms would send it.
    let form = |form_token: &str| {
        let new = NEW.replace(' ', "+");
        format!("token={token}&new={new}&form_token={form_token}")
    };
    let body = form("x");
    let refused = world.tls().ask(&format!(
        "POST /auth/reset HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        world.authority(),
        body.len()
    ));
    assert_eq!(refused.status, 403);
    let browser = world.browser();
    let page = browser
        .get(&path)
        .header("accept", "text/html")
        .send()
        .await
        .is(200)
        .text();
    let form_token = page.split("name=\"form_token\" value=\"").nth(1).unwrap();
    let form_token = form_token.split('"').next().unwrap();
    login(&client, ADA, PASSWORD, true).await.is(200);
    let done = browser
        .post("/auth/reset")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form(form_token))
        .send()
        .await
        .is(303);
    assert_eq!(done.header("location"), "/auth/reset?done=set");
    login(&client, ADA, NEW, true).await.is(200);
    let over = browser.get(&path).header("accept", "text/html").send().await.is(410);
    assert!(over.text().contains("not good any more"), "{}", over.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_again_changing_the_password_or_signing_out_everywhere_ends_a_link() {
    let (upstream, mail) = (Upstream::friendly(), Mail::start());
    let world = world(&upstream, &mail);
    account(&world, ADA);
    let client = world.client();
    let mut count = 0;
    let mut ask = async || {
        forgot(&client, ADA).await.is(202);
        count += 1;
        crate::world::until("the link", || {
            let letters = mail
                .to(ADA)
                .into_iter()
                .filter(|letter| letter.text.contains("/reset?token="));
            letters
                .collect::<Vec<_>>()
                .get(count - 1)
                .map(|letter| letter.token("reset"))
        })
    };
    let first = ask().await;
    let second = ask().await;
    reset(&client, &first, NEW).await.problem(410, "invalid_link");
    world.run(&["session", "end-all", ADA]).done();
    reset(&client, &second, NEW).await.problem(410, "invalid_link");
    let third = ask().await;
    let here = login(&client, ADA, PASSWORD, true).await.is(200).member("access_token");
    let other = "another long enough password";
    crate::world::person::change_password(&client, &here, PASSWORD, other)
        .await
        .is(204);
    reset(&client, &third, NEW).await.problem(410, "invalid_link");
    let fourth = ask().await;
    world.run(&["user", "disable", ADA]).done();
    reset(&client, &fourth, NEW).await.problem(410, "invalid_link");
    // A link of one kind is none of the other.
    register(&client, "ben@example.com", PASSWORD).await.is(202);
    let token = mail.wait_for("ben@example.com", 1).token("confirm");
    reset(&client, &token, NEW).await.problem(410, "invalid_link");
    confirm(&client, &token, PASSWORD).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_letter_of_a_registration_is_sent_once_more_and_then_the_older_link_is_over() {
    let (upstream, mail) = (Upstream::friendly(), Mail::start());
    let world = world(&upstream, &mail);
    let client = world.client();
    register(&client, ADA, PASSWORD).await.is(202);
    let first = mail.wait_for(ADA, 1).token("confirm");
    for email in [ADA, "nobody@example.com"] {
        let answer = post(&client, "/auth/confirm/resend", json!({"email": email})).await;
        assert!(answer.is(202).body.is_empty());
    }
    let second = mail.wait_for(ADA, 2).token("confirm");
    confirm(&client, &first, PASSWORD).await.problem(410, "invalid_link");
    confirm(&client, &second, PASSWORD).await.is(200);
    assert!(mail.to("nobody@example.com").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn known_and_unknown_addresses_get_the_same_answer_wherever_a_letter_is_asked_for() {
    let (upstream, mail) = (Upstream::friendly(), Mail::start());
    let world = world(&upstream, &mail);
    account(&world, ADA);
    let client = world.client();
    for path in ["/auth/password/forgot", "/auth/confirm/resend"] {
        for email in [ADA, "nobody@example.com"] {
            let answer = post(&client, path, json!({"email": email})).await.is(202);
            let names: Vec<&str> = answer.headers.keys().map(|name| name.as_str()).collect();
            assert!(answer.body.is_empty() && !names.contains(&"set-cookie"), "{names:?}");
        }
    }
    about(&mail, ADA, "new password");
    // Too many letters to one address are left out without a word.
    for _ in 0..15 {
        forgot(&client, ADA).await.is(202);
    }
    register(&client, "last@example.com", PASSWORD).await.is(202);
    mail.wait_for("last@example.com", 1);
    assert!(mail.to(ADA).len() <= 10, "{}", mail.to(ADA).len());
    assert!(mail.to("nobody@example.com").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_gets_a_header_or_a_recipient_of_its_own_into_a_letter() {
    let (upstream, mail) = (Upstream::friendly(), Mail::start());
    let world = world(&upstream, &mail);
    let client = world.client();
    for email in [
        "ada@example.com\r\nBcc: eve@example.com",
        "ada@example.com\nSubject: x",
        "ada@example.com, eve@example.com",
        "eve@example.com>\r\nRCPT TO:<ada@example.com",
        "\"ada\r\nBcc: eve\"@example.com",
        "Ada <ada@example.com>",
    ] {
        register(&client, email, PASSWORD).await.problem(422, "invalid_email");
        forgot(&client, email).await.problem(422, "invalid_email");
    }
    register(&client, ADA, PASSWORD).await.is(202);
    // Where the request says that it is does not matter either.
    let body = json!({"email": "ben@example.com", "password": PASSWORD});
    client
        .post("/auth/register")
        .header("x-forwarded-host", "evil.example")
        .header("origin", &world.origin())
        .json(&body)
        .send()
        .await
        .is(202);
    let letter = mail.wait_for("ben@example.com", 1);
    assert!(!letter.text.contains("evil.example") && letter.link("confirm").starts_with(&world.origin()));
    assert_eq!(mail.wait_for(ADA, 1).envelope, "ada@example.com clear nobody");
    assert_eq!(mail.letters().len(), 2);
}
