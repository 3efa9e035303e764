//! Letters on their way: none is lost and none sent twice, whatever dies in between.

use std::time::Duration;

use super::{ADA, PASSWORD, account, forgot, login, register, sends_by, world};
use crate::servers::mail::{self, Mail};
use crate::world::{Upstream, World, until};

/// Waits until a metric says so.
#[track_caller]
fn counted(world: &World, name: &str, label: &str, value: f64) {
    until(label, || (world.metric(name, &[label]) == value).then_some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_go_over_starttls_to_a_server_that_proves_itself_and_asks_who_we_are() {
    let upstream = Upstream::friendly();
    let (server, authority) = Mail::guarded();
    let mut world = World::stopped(&upstream, |config| {
        let url = format!("smtp://{}@localhost:{}?tls=starttls", mail::USER, server.port);
        sends_by(config, &server);
        config.set("mail.url", url);
        config.set("mail.password_file", "mail.password");
        config.set("mail.ca_file", authority.to_str().unwrap());
    });
    std::fs::write(world.dir().join("mail.password"), mail::PASSWORD).unwrap();
    world.up();
    world.secret(mail::PASSWORD);
    register(&world.client(), ADA, PASSWORD).await.is(202);
    assert_eq!(server.wait_for(ADA, 1).envelope, "ada@example.com tls somebody");
    counted(&world, "gateward_mail_total", "sent", 1.0);

    // A server whose certificate nobody vouches for is told nothing.
    world.reconfigure(|config| {
        config.remove("mail.ca_file");
    });
    world.kill();
    world.up();
    register(&world.client(), "ben@example.com", PASSWORD).await.is(202);
    until("the failure is counted", || {
        (world.metric("gateward_mail_total", &["failed"]) > 0.0).then_some(())
    });
    counted(&world, "gateward_mail_waiting", "", 1.0);
    assert_eq!(server.letters().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_is_away_for_an_hour_loses_no_letter_and_holds_nobody_up() {
    let (upstream, mut mail) = (Upstream::friendly(), Mail::start());
    let (mut world, clock) = World::with_wall_clock(&upstream, |config| sends_by(config, &mail));
    account(&world, ADA);
    mail.down();
    let client = world.client();
    let people: Vec<String> = (0..10).map(|n| format!("p{n}@example.com")).collect();
    for email in &people {
        register(&client, email, PASSWORD).await.is(202);
    }
    let failed = |world: &World| world.metric("gateward_mail_total", &["failed"]);
    until("each was tried", || (failed(&world) >= 10.0).then_some(()));
    for step in 1..=4 {
        let before = failed(&world);
        clock.set_ahead(Duration::from_secs(step * 15 * 60));
        until("some are tried again", || (failed(&world) > before).then_some(()));
        login(&client, ADA, PASSWORD, true).await.is(200);
    }
    // A gateway that dies while they wait loses none either.
    world.kill();
    mail.up();
    world.up();
    clock.set_ahead(Duration::from_secs(3 * 60 * 60));
    for email in &people {
        mail.wait_for(email, 1);
    }
    counted(&world, "gateward_mail_total", "sent", 10.0);
    clock.set_ahead(Duration::from_secs(6 * 60 * 60));
    let more = "late@example.com";
    register(&client, more, PASSWORD).await.is(202);
    mail.wait_for(more, 1);
    assert_eq!(mail.letters().len(), people.len() + 1, "each went once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_survives_a_kill_and_one_that_was_accepted_is_not_sent_again() {
    let (upstream, mut mail) = (Upstream::friendly(), Mail::start());
    let (mut world, clock) = World::with_wall_clock(&upstream, |config| sends_by(config, &mail));
    account(&world, ADA);
    mail.down();
    forgot(&world.client(), ADA).await.is(202);
    world.kill();
    mail.up();
    world.up();
    clock.set_ahead(Duration::from_secs(10 * 60));
    let first = mail.wait_for(ADA, 1);
    counted(&world, "gateward_mail_total", "sent", 1.0);
    world.kill();
    world.up();
    clock.set_ahead(Duration::from_secs(20 * 60));

    // The one moment that cannot be helped: the server has a letter, and we die before it says so. It comes twice, under one name.
    mail.hold(true);
    register(&world.client(), "ben@example.com", PASSWORD).await.is(202);
    let held = mail.wait_for("ben@example.com", 1);
    world.kill();
    mail.hold(false);
    world.up();
    clock.set_ahead(Duration::from_secs(40 * 60));
    let again = mail.wait_for("ben@example.com", 2);
    assert_eq!(held.header("Message-ID"), again.header("Message-ID"));
    assert_ne!(held.header("Message-ID"), first.header("Message-ID"));
    assert_eq!(mail.to(ADA).len(), 1, "what was taken out is not sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_told_to_end_finishes_the_letter_in_hand() {
    let (upstream, mail) = (Upstream::friendly(), Mail::start());
    let mut world = world(&upstream, &mail);
    mail.hold(true);
    register(&world.client(), ADA, PASSWORD).await.is(202);
    mail.wait_for(ADA, 1);
    world.signal("TERM");
    until("it drains", || (!world.is_ready()).then_some(()));
    mail.hold(false);
    assert!(world.wait_for_end());
    world.up();
    register(&world.client(), "ben@example.com", PASSWORD).await.is(202);
    mail.wait_for("ben@example.com", 1);
    assert_eq!(mail.letters().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_that_the_server_refuses_for_good_is_given_up_and_said_and_others_are_not() {
    let (upstream, mail) = (Upstream::friendly(), Mail::start());
    let world = world(&upstream, &mail);
    let client = world.client();
    mail.refuse("550 no such person here");
    register(&client, ADA, PASSWORD).await.is(202);
    counted(&world, "gateward_mail_total", "given_up", 1.0);
    until("it is said", || {
        world.output().contains("no such person here").then_some(())
    });
    mail.refuse("451 come back later");
    register(&client, "ben@example.com", PASSWORD).await.is(202);
    counted(&world, "gateward_mail_total", "failed", 1.0);
    counted(&world, "gateward_mail_waiting", "", 1.0);
    assert!(mail.letters().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_can_be_written_into_a_folder_and_in_the_operators_words() {
    let upstream = Upstream::friendly();
    let mut world = World::stopped(&upstream, |config| {
        config.set("mail.url", "file:data/outbox");
        config.set("mail.from", "no-reply@example.com");
        config.set("mail.templates", "letters");
    });
    let folder = world.dir().join("letters");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(
        folder.join("confirm.txt"),
        "Subject: Nur noch ein Klick\n\nHier: {{lnik}}\n",
    )
    .unwrap();
    let wrong = world.run(&["check"]);
    assert!(wrong.code == 1 && (wrong.out + &wrong.err).contains("`link`"));
    std::fs::write(
        folder.join("confirm.txt"),
        "Subject: Nur noch ein Klick\n\nHier: {{link}}\n",
    )
    .unwrap();
    world.up();
    register(&world.client(), ADA, PASSWORD).await.is(202);
    let outbox = world.dir().join("data/outbox");
    let letter = until("the letter", || {
        let mut files = std::fs::read_dir(&outbox).unwrap().map(|entry| entry.unwrap().path());
        let file = files.find(|file| file.extension().is_some_and(|kind| kind == "eml"))?;
        std::fs::read_to_string(file).ok()
    });
    assert!(letter.contains("Subject: Nur noch ein Klick"), "{letter}");
    assert!(letter.contains(&format!("Hier: {}", world.origin())), "{letter}");
}
