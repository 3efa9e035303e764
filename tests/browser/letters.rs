//! A person and their mail: an address is confirmed, and a forgotten password set, by the letter that a real mail server received.

use crate::driver::Browser;
use crate::it::servers::mail::Mail;
use crate::site::{account, register, sign_in, upstream, world_with};
use crate::world::{PASSWORD, Upstream, World};

const ADA: &str = "ada@example.com";

fn world(upstream: &Upstream, mail: &Mail) -> World {
    world_with(upstream, |config| {
        config.set("mail.url", mail.url());
        config.set("mail.from", "Acme <no-reply@example.com>");
    })
}

/// Registers, waits, follows the link, gives the password, and is in.
fn confirm(browser: &Browser) {
    let (upstream, mail) = (upstream(), Mail::start());
    let world = world(&upstream, &mail);
    browser.open(&format!("{}/", world.origin()));
    register(browser, ADA);
    assert!(browser.text().contains("Look into your mail"), "{}", browser.text());
    let first = mail.wait_for(ADA, 1);
    // It does not come, they think.
    browser.fill("#email", ADA);
    browser.follow("main form button");
    assert!(browser.text().contains("once more"), "{}", browser.text());
    let second = mail.wait_for(ADA, 2);
    browser.open(&first.link("confirm"));
    browser.fill("#password", PASSWORD);
    browser.follow("form .main");
    assert!(browser.text().contains("not good any more"), "{}", browser.text());
    browser.open(&second.link("confirm"));
    browser.fill("#password", "not the password at all");
    browser.follow("form .main");
    assert!(browser.text_of("[role=alert]").contains("Wrong"), "{}", browser.text());
    browser.fill("#password", PASSWORD);
    browser.follow("form .main");
    assert!(browser.url().ends_with("/auth/account"), "{}", browser.url());
    assert!(browser.text().contains(ADA), "{}", browser.text());
}

#[test]
fn an_address_is_confirmed_by_the_letter_that_the_mail_server_received() {
    confirm(&Browser::start());
}

#[test]
fn the_same_works_without_scripts() {
    confirm(&Browser::without_scripts());
}

#[test]
fn a_forgotten_password_is_set_by_the_letter_and_the_old_one_is_over() {
    const NEW: &str = "a quite different long sentence";
    let (upstream, mail) = (upstream(), Mail::start());
    let world = world(&upstream, &mail);
    account(&world, ADA);
    let browser = Browser::start();
    browser.open(&format!("{}/", world.origin()));
    browser.follow("a[href$='/auth/forgot']");
    browser.fill("#email", ADA);
    browser.follow("form .main");
    assert!(browser.text().contains("Look into your mail"), "{}", browser.text());
    browser.open(&mail.wait_for(ADA, 1).link("reset"));
    browser.fill("#new", NEW);
    browser.follow("form .main");
    assert!(browser.text().contains("Your password is set"), "{}", browser.text());
    assert!(!browser.url().contains("token="), "{}", browser.url());
    browser.follow("main a.main");
    sign_in(&browser, ADA);
    assert!(browser.text_of("[role=alert]").contains("Wrong"), "{}", browser.text());
    browser.fill("#password", NEW);
    browser.follow("form .main");
    assert!(browser.text().contains(ADA), "{}", browser.text());

    // And on to another address, from the account's own page.
    browser.open(&format!("{}/auth/account", world.origin()));
    browser.click("section[aria-labelledby=address] summary");
    browser.fill("#email", "countess@example.com");
    browser.fill("#prove", NEW);
    browser.follow("section[aria-labelledby=address] button.main");
    assert!(
        browser.text().contains("on its way to the new address"),
        "{}",
        browser.text()
    );
    browser.open(&mail.wait_for("countess@example.com", 1).link("confirm"));
    browser.fill("#password", NEW);
    browser.follow("form .main");
    assert!(browser.text().contains("has its new address"), "{}", browser.text());
    assert!(browser.text().contains("countess@example.com"), "{}", browser.text());
}
