//! A form that meets an ended session is kept, shown, and sent once the person says so.

use crate::driver::Browser;
use crate::site::{account, sign_in, signed_in, upstream, world};
use crate::world::{PASSWORD, Upstream, World};

const ADA: &str = "ada@example.com";
const TITLE: &str = "Forty-two chairs & a <table>";

/// A browser at the sign-in page that keeps what it was just sending.
#[track_caller]
fn stopped_while_sending(world: &World, upstream: &Upstream) -> Browser {
    account(world, ADA);
    let browser = signed_in(world, ADA);
    world.run(&["session", "end-all", ADA]).done();
    browser.fill("#title", TITLE);
    browser.follow("#send");
    is_kept(&browser);
    assert_eq!(orders(upstream), Vec::<Vec<u8>>::new());
    browser
}

#[track_caller]
fn is_kept(browser: &Browser) {
    let text = browser.text();
    assert!(text.contains("What you were sending is kept"), "{text}");
}

/// What was ordered.
fn orders(upstream: &Upstream) -> Vec<Vec<u8>> {
    let mut requests = upstream.requests();
    requests.retain(|request| request.line() == "POST /orders HTTP/1.1");
    requests.into_iter().map(|request| request.body).collect()
}

/// The page that asks, and what comes of a yes.
#[track_caller]
fn is_sent_once_confirmed(world: &World, upstream: &Upstream, browser: &Browser) {
    assert_eq!(browser.text_of("h1"), "Send it now?");
    assert_eq!(browser.text_of(".kept dd"), TITLE);
    browser.follow("form .main");
    assert_eq!(browser.url(), format!("{}/orders", world.origin()));
    assert_eq!(orders(upstream), [b"title=Forty-two+chairs+%26+a+%3Ctable%3E"]);
}

#[test]
fn a_small_form_survives_an_ended_session() {
    let upstream = upstream();
    let world = world(&upstream);
    let browser = stopped_while_sending(&world, &upstream);
    sign_in(&browser, ADA);
    is_sent_once_confirmed(&world, &upstream, &browser);
}

#[test]
fn a_small_form_survives_making_an_account_and_every_mistake_on_the_way() {
    let upstream = upstream();
    let world = world(&upstream);
    let browser = stopped_while_sending(&world, &upstream);
    // To the other page and back, wrong at each, and once more over.
    browser.follow(".aside .link");
    is_kept(&browser);
    browser.fill("#email", ADA);
    browser.fill("#password", PASSWORD);
    browser.follow("form .main");
    assert!(
        browser.text_of("[role=alert]").contains("account"),
        "{}",
        browser.text()
    );
    is_kept(&browser);
    browser.follow(".aside .link");
    assert_eq!(browser.text_of("h1"), "Sign in");
    sign_in(&browser, "grace@example.com");
    assert!(browser.text_of("[role=alert]").contains("Wrong"), "{}", browser.text());
    is_kept(&browser);
    browser.follow(".aside .link");
    assert_eq!(browser.text_of("h1"), "Create an account");
    browser.fill("#email", "grace@example.com");
    browser.fill("#password", PASSWORD);
    browser.follow("form .main");
    is_sent_once_confirmed(&world, &upstream, &browser);
    assert!(
        browser.text().contains("Private page of grace@example.com"),
        "{}",
        browser.text()
    );
}
