//! Passkeys as people meet them: a real browser, and the authenticator that its driver plugs in.
//!
//! Where a browser may offer passkeys by itself, that authenticator takes up the first offer at once, faster than anybody clicks. Above a complaint
//! nothing is offered, which is where the buttons are tried.

use serde_json::json;

use crate::driver::{Browser, until};
use crate::site::{account, sign_in, signed_in, upstream, world};
use crate::world::World;

const ADA: &str = "ada@example.com";
const PASSKEYS: &str = "section[aria-labelledby=passkeys]";

/// Adds a passkey on the account page of somebody whose account has no second factor yet; returns the recovery codes.
fn add(world: &World, browser: &Browser, name: &str) -> Vec<String> {
    browser.open(&format!("{}/auth/security", world.origin()));
    browser.fill("#new-passkey", name);
    browser.click("[data-passkey-add] button");
    let codes = browser.text_of("[data-recovery-codes]");
    browser.follow("[data-passkey-add] button");
    assert!(browser.text_of("[role=status]").contains("The passkey was added"));
    assert!(browser.text_of(PASSKEYS).contains(name));
    codes.lines().map(str::to_owned).collect()
}

fn sign_out(world: &World, browser: &Browser) {
    browser.open(&format!("{}/auth/logout", world.origin()));
    browser.follow("form .main");
}

#[track_caller]
fn arrives(world: &World, browser: &Browser) {
    let there = format!("{}/next", world.origin());
    until("the page behind the gateway", || (browser.url() == there).then_some(()));
    assert!(
        browser.text().contains("Private page of ada@example.com"),
        "{}",
        browser.text()
    );
}

/// The sign-in page after a wrong password.
fn complained_at(world: &World, browser: &Browser) {
    browser.devtools("Emulation.setScriptExecutionDisabled", json!({"value": true}));
    browser.open(&format!("{}/next", world.origin()));
    browser.devtools("Emulation.setScriptExecutionDisabled", json!({"value": false}));
    browser.fill("#email", ADA);
    browser.fill("#password", "not the right password");
    browser.follow("form .main");
    assert!(browser.has("#error"), "{}", browser.text());
}

#[test]
fn the_browser_offers_a_passkey_in_the_first_field() {
    let upstream = upstream();
    let world = world(&upstream);
    account(&world, ADA);
    let browser = signed_in(&world, ADA);
    browser.plug_in_authenticator();
    assert_eq!(add(&world, &browser, "Laptop").len(), 10);
    sign_out(&world, &browser);
    browser.open(&format!("{}/next", world.origin()));
    arrives(&world, &browser);
}

#[test]
fn a_passkey_signs_in_alone_is_renamed_and_removed() {
    let upstream = upstream();
    let world = world(&upstream);
    account(&world, ADA);
    let browser = signed_in(&world, ADA);
    browser.plug_in_authenticator();
    add(&world, &browser, "Laptop");
    sign_out(&world, &browser);
    complained_at(&world, &browser);
    browser.click("[data-passkey-question] > [type=button]");
    arrives(&world, &browser);

    browser.open(&format!("{}/auth/security", world.origin()));
    browser.click(&format!("{PASSKEYS} summary"));
    browser.fill("#name", "Old laptop");
    browser.follow(&format!("{PASSKEYS} details .main"));
    assert!(browser.text_of(PASSKEYS).contains("Old laptop"));
    browser.follow("[aria-label='Remove the passkey Old laptop']");
    assert!(browser.text_of("[role=status]").contains("The passkey was removed"));
    assert!(!browser.text_of(PASSKEYS).contains("Old laptop"));

    // The authenticator still has it, and the browser offers it.
    sign_out(&world, &browser);
    browser.open(&format!("{}/next", world.origin()));
    until("the removed passkey is refused", || browser.has("#error").then_some(()));
    assert!(
        browser.text().contains("This passkey signs nobody in here"),
        "{}",
        browser.text()
    );
    sign_in(&browser, ADA);
    arrives(&world, &browser);
}

#[test]
fn after_a_password_a_passkey_or_a_recovery_code_is_the_second_step() {
    let upstream = upstream();
    let world = world(&upstream);
    account(&world, ADA);
    let browser = signed_in(&world, ADA);
    browser.plug_in_authenticator();
    let codes = add(&world, &browser, "Laptop");
    sign_out(&world, &browser);
    complained_at(&world, &browser);
    sign_in(&browser, ADA);
    assert!(browser.text().contains("Second step"), "{}", browser.text());
    browser.click("[data-passkey-asked] > [type=button]");
    arrives(&world, &browser);

    let elsewhere = Browser::without_scripts();
    elsewhere.open(&format!("{}/next", world.origin()));
    sign_in(&elsewhere, ADA);
    assert!(elsewhere.text().contains("Second step"), "{}", elsewhere.text());
    assert!(!elsewhere.has("[data-passkey-asked] > [type=button]"));
    elsewhere.fill("#code", &codes[0]);
    elsewhere.follow("form .main");
    arrives(&world, &elsewhere);
}
