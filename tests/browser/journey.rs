//! A person's way through the gateway: in, along, and out again.

use std::time::Duration;

use crate::driver::{Browser, until};
use crate::site::{account, register, sign_in, signed_in, upstream, world, world_with};
use crate::world::World;

const ADA: &str = "ada@example.com";

/// Opens a page, is asked to sign in, makes an account, lands on the page; signs out, signs in again.
fn travel(world: &World, browser: &Browser) {
    browser.open(&format!("{}/reports?week=3", world.origin()));
    assert!(browser.url().contains("/auth/login?return_to="), "{}", browser.url());
    register(browser, ADA);
    assert_eq!(browser.url(), format!("{}/reports?week=3", world.origin()));
    assert!(browser.text().contains("Private page of ada@example.com"));
    browser.open(&format!("{}/auth/logout", world.origin()));
    browser.follow("form .main");
    assert!(browser.text().contains("You are signed out"), "{}", browser.text());
    browser.open(&format!("{}/next", world.origin()));
    sign_in(browser, ADA);
    assert_eq!(browser.url(), format!("{}/next", world.origin()));
    assert!(browser.text().contains("Private page of ada@example.com"));
}

#[test]
fn a_person_registers_signs_in_and_lands_where_they_wanted_to_go() {
    let upstream = upstream();
    travel(&world(&upstream), &Browser::start());
}

#[test]
fn the_same_works_without_scripts() {
    let upstream = upstream();
    let (world, browser) = (world(&upstream), Browser::without_scripts());
    travel(&world, &browser);
    assert!(!browser.has(".secret button"), "scripts run after all");
    browser.open(&format!("{}/auth/account", world.origin()));
    browser.fill("#current", "not the password at all");
    browser.fill("#new", "another long enough password");
    browser.follow("#current ~ button, section[aria-labelledby=change] button");
    assert!(browser.text_of("[role=alert]").contains("Wrong"), "{}", browser.text());
}

#[test]
fn an_expired_access_token_is_renewed_without_a_visible_hop() {
    let upstream = upstream();
    let world = world_with(&upstream, |config| {
        config.set("tokens.access_ttl", "1s");
    });
    account(&world, ADA);
    let browser = signed_in(&world, ADA);
    let renewed =
        || world.metric("gateward_refresh_total", &["rotated"]) + world.metric("gateward_refresh_total", &["repeated"]);
    until("the token has expired and the next click renews it", || {
        browser.follow("#next");
        assert_eq!(browser.url(), format!("{}/next", world.origin()));
        assert!(browser.text().contains("Private page of ada"), "{}", browser.text());
        (renewed() > 0.0).then_some(())
    });
}

#[test]
fn two_tabs_at_once_are_never_signed_out() {
    let upstream = upstream();
    let world = world(&upstream);
    account(&world, ADA);
    let browser = signed_in(&world, ADA);
    let first = browser.new_tab();
    browser.open(&format!("{}/", world.origin()));
    for round in 0..50 {
        // Without the access token every request renews, and these eight race.
        browser.delete_cookie("__Host-gateward");
        let statuses = browser.run(
            "return Promise.all([...Array(8).keys()].map(n => fetch('/data?' + n).then(answer => answer.status)))",
        );
        let all = statuses.as_array().unwrap();
        assert!(all.iter().all(|status| *status == 200), "round {round}: {statuses}");
    }
    browser.switch_to(&first);
    browser.follow("#next");
    assert!(browser.text().contains("Private page of ada"));
    assert_eq!(world.metric("gateward_refresh_total", &["reused"]), 0.0);
}

/// Both tabs of a browser click at once: a message from the tab in front takes the other one along.
#[track_caller]
fn click_in_both(browser: &Browser, [front, back]: [&str; 2]) {
    browser.switch_to(back);
    browser.about_to_leave();
    browser.run("new BroadcastChannel('both').onmessage = () => document.querySelector('#next').click()");
    browser.switch_to(front);
    browser.about_to_leave();
    browser.run("new BroadcastChannel('both').postMessage('now'); document.querySelector('#next').click()");
    for tab in [front, back] {
        browser.switch_to(tab);
        browser.arrived();
        let text = browser.text();
        assert!(
            text.contains("Private page of ada@example.com"),
            "{}: {text}",
            browser.url()
        );
    }
}

#[test]
fn two_tabs_that_click_at_once_stay_signed_in_from_morning_to_night() {
    const STEP: Duration = Duration::from_secs(16 * 60);
    const STEPS: u32 = 46;
    let upstream = upstream();
    let (world, clock) = World::with_wall_clock(&upstream, |config| {
        config.route("app", "identity = { user = \"email\" }");
    });
    account(&world, ADA);
    let browser = signed_in(&world, ADA);
    let first = browser.new_tab();
    browser.open(&format!("{}/", world.origin()));
    let second = browser.tab();
    for step in 1..=STEPS {
        // An access token lives for fifteen minutes: whichever click is first renews.
        clock.set_ahead(STEP * step);
        click_in_both(&browser, [&first, &second]);
        let rotated = world.metric("gateward_refresh_total", &["outcome=\"rotated\""]);
        assert_eq!(rotated, f64::from(step), "each step renews the session once");
    }
    for outcome in ["replaced", "reused", "unknown", "expired"] {
        let label = format!("outcome=\"{outcome}\"");
        assert_eq!(world.metric("gateward_refresh_total", &[&label]), 0.0, "{outcome}");
    }
    browser.open(&format!("{}/auth/account", world.origin()));
    assert_eq!(
        browser.run("return document.querySelectorAll('.sessions li').length"),
        1
    );
    let hours = browser.run(
        "const [opened, used] = document.querySelectorAll('.sessions time');\
         return (Date.parse(used.dateTime) - Date.parse(opened.dateTime)) / 3_600_000",
    );
    assert!(
        hours.as_f64().unwrap() >= 12.0,
        "the session was in use for {hours} hours"
    );
}

#[test]
fn a_session_ended_from_another_browser_asks_for_sign_in_at_the_next_click() {
    let upstream = upstream();
    let world = world(&upstream);
    account(&world, ADA);
    let (lost, other) = (signed_in(&world, ADA), signed_in(&world, ADA));
    other.open(&format!("{}/auth/account", world.origin()));
    assert_eq!(other.text_of(".here"), "This one");
    other.follow(".sessions form button");
    assert!(other.text().contains("That session has ended."), "{}", other.text());
    lost.follow("#next");
    assert!(lost.url().contains("/auth/login?return_to=%2Fnext"), "{}", lost.url());
    other.open(&format!("{}/", world.origin()));
    assert!(other.text().contains("Private page of ada"));
}

#[test]
fn after_signing_out_the_back_button_shows_nothing_private() {
    let upstream = upstream();
    let world = world(&upstream);
    account(&world, ADA);
    let browser = signed_in(&world, ADA);
    browser.follow("#next");
    browser.open(&format!("{}/auth/account", world.origin()));
    browser.follow(".top button");
    assert!(browser.text().contains("You are signed out"));
    for _ in 0..3 {
        browser.back();
        let shown = browser.text();
        assert!(!shown.contains("ada@example.com"), "{} shows {shown}", browser.url());
    }
    assert!(
        !browser
            .cookies()
            .iter()
            .any(|name| name == "__Host-gateward" || name == "__Host-gateward-refresh")
    );
}

#[test]
fn somebody_signed_in_who_opens_the_sign_in_page_goes_on_at_once() {
    let upstream = upstream();
    let world = world(&upstream);
    account(&world, ADA);
    let browser = signed_in(&world, ADA);
    let sign_in_page = format!("{}/auth/login?return_to=/next", world.origin());
    browser.open(&sign_in_page);
    assert_eq!(browser.url(), format!("{}/next", world.origin()));
    // The third time within a minute it looks like a circle: the page names what it may come from.
    browser.open(&sign_in_page);
    browser.open(&sign_in_page);
    assert!(
        browser.text().contains("Signing in does not hold"),
        "{}",
        browser.text()
    );
    assert!(browser.text().contains("cookies"));
}

#[test]
fn a_browser_that_refuses_cookies_is_told_so() {
    let upstream = upstream();
    let world = world(&upstream);
    account(&world, ADA);
    let browser = Browser::start();
    browser.open(&format!("{}/", world.origin()));
    browser.delete_cookie("__Host-gateward-csrf");
    sign_in(&browser, ADA);
    assert!(
        browser.text().contains("The browser refuses cookies"),
        "{}",
        browser.text()
    );
}

#[test]
fn everything_on_the_account_page_does_what_it_says() {
    let upstream = upstream();
    let world = world(&upstream);
    account(&world, ADA);
    let (browser, other) = (signed_in(&world, ADA), signed_in(&world, ADA));
    let account_page = format!("{}/auth/account", world.origin());
    browser.open(&account_page);
    browser.follow("button[value=end_others]");
    assert!(
        browser.text().contains("All your other sessions have ended."),
        "{}",
        browser.text()
    );
    other.follow("#next");
    assert!(other.url().contains("/auth/login"));

    browser.open(&format!("{}/.well-known/change-password", world.origin()));
    assert_eq!(browser.url(), format!("{account_page}#change"));
    let new = "an even longer passphrase";
    world.secret(new);
    browser.fill("#current", crate::world::PASSWORD);
    browser.fill("#new", new);
    browser.follow("section[aria-labelledby=change] .main");
    assert!(
        browser.text().contains("Your password was changed"),
        "{}",
        browser.text()
    );

    browser.follow("button[value=sign_out_everywhere]");
    assert!(
        browser.text().contains("You are signed out everywhere"),
        "{}",
        browser.text()
    );
    browser.open(&account_page);
    browser.fill("#email", ADA);
    browser.fill("#password", new);
    browser.follow("form .main");
    assert_eq!(browser.url(), account_page);
    browser.click("summary");
    browser.fill("#confirm", new);
    browser.follow(".danger");
    assert!(browser.text().contains("Your account is deleted"), "{}", browser.text());
}
