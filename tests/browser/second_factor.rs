//! Signing in in two steps, as people do it: the QR code is read off the screen, codes are typed in.

use std::process::Command;

use crate::driver::Browser;
use crate::site::{account, sign_in, signed_in, upstream, world_with};
use crate::world::World;
use crate::world::authenticator::App;

const ADA: &str = "ada@example.com";

/// What a phone's camera would read off the page.
#[track_caller]
fn scanned(browser: &Browser) -> App {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.png");
    std::fs::write(&file, browser.picture()).unwrap();
    let read = Command::new("zbarimg")
        .args(["--quiet", "--raw", "-Sdisable", "-Sqrcode.enable"])
        .arg(&file)
        .output();
    let read = String::from_utf8(read.expect("zbarimg is there; tests/run installs it").stdout).unwrap();
    assert!(
        read.starts_with("otpauth://totp/Gateward"),
        "no QR code was seen: {read:?}"
    );
    App::reading(read.trim())
}

/// Adds an app, from the page that offers it. Returns the app and the recovery codes.
#[track_caller]
fn add_app(world: &World, browser: &Browser) -> (App, Vec<String>) {
    browser.follow("button[value=begin_totp]");
    let app = scanned(browser);
    let typed = browser.text_of("#secret").replace(' ', "");
    let by_hand = App::reading(&format!("otpauth://totp/Gateward:ada?secret={typed}"));
    assert_eq!(app.code(9), by_hand.code(9), "the text and the picture differ");
    browser.fill("#code", "000000");
    browser.follow("form .main");
    assert!(
        browser.text_of("[role=alert]").contains("Wrong code"),
        "{}",
        browser.text()
    );
    browser.fill("#code", &app.code(0));
    browser.follow("form .main");
    let codes: Vec<String> = browser
        .text_of(".codes")
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    assert_eq!(codes.len(), 10, "{codes:?}");
    codes.iter().for_each(|code| world.secret(code));
    (app, codes)
}

#[track_caller]
fn sign_out(world: &World, browser: &Browser) {
    browser.open(&format!("{}/auth/logout", world.origin()));
    browser.follow("form .main");
}

#[track_caller]
fn is_at(world: &World, browser: &Browser, path: &str) {
    assert_eq!(browser.url(), format!("{}{path}", world.origin()), "{}", browser.text());
    assert!(browser.text().contains("Private page of ada"), "{}", browser.text());
}

#[test]
fn an_app_is_added_by_its_qr_code_and_then_a_sign_in_takes_two_steps() {
    let upstream = upstream();
    let world = world_with(&upstream, |_| {});
    account(&world, ADA);
    let browser = signed_in(&world, ADA);
    browser.open(&format!("{}/auth/account", world.origin()));
    browser.follow("a[href$='/auth/security']");
    let (app, codes) = add_app(&world, &browser);
    browser.follow("a.main");
    assert!(browser.text().contains("10 are left"), "{}", browser.text());

    sign_out(&world, &browser);
    browser.open(&format!("{}/reports?week=3", world.origin()));
    sign_in(&browser, ADA);
    assert!(browser.text().contains("Second step"), "{}", browser.text());
    browser.fill("#code", "123456");
    browser.follow("form .main");
    assert!(
        browser.text_of("[role=alert]").contains("Wrong code"),
        "{}",
        browser.text()
    );
    browser.fill("#code", &app.code(1));
    browser.follow("form .main");
    is_at(&world, &browser, "/reports?week=3");

    sign_out(&world, &browser);
    browser.open(&format!("{}/next", world.origin()));
    sign_in(&browser, ADA);
    browser.follow("button[value=recovery]");
    browser.fill("#code", &codes[7].to_uppercase());
    browser.follow("form .main");
    is_at(&world, &browser, "/next");
    browser.open(&format!("{}/auth/security", world.origin()));
    assert!(browser.text().contains("9 are left"), "{}", browser.text());
    browser.follow("button[value=remove_totp]");
    sign_out(&world, &browser);
    browser.open(&format!("{}/next", world.origin()));
    sign_in(&browser, ADA);
    is_at(&world, &browser, "/next");
}

#[test]
fn a_page_that_wants_two_factors_takes_one_through_the_step_and_back() {
    let upstream = upstream();
    let world = world_with(&upstream, |config| {
        config.route(
            "vault",
            "path = \"/vault\"\nrequire = \"mfa\"\nidentity = { user = \"email\" }",
        );
    });
    account(&world, ADA);
    let (here, elsewhere) = (signed_in(&world, ADA), signed_in(&world, ADA));
    let vault = format!("{}/vault/7?x=1", world.origin());
    // Somebody without a second factor is led to add one, and then on.
    here.open(&vault);
    assert!(here.url().contains("/auth/security?need=mfa"), "{}", here.url());
    let (_, codes) = add_app(&world, &here);
    here.follow("a.main");
    is_at(&world, &here, "/vault/7?x=1");
    // A session that has shown one factor is asked for the other only.
    elsewhere.open(&vault);
    assert!(elsewhere.text().contains("Second step"), "{}", elsewhere.text());
    elsewhere.follow("button[value=recovery]");
    elsewhere.fill("#code", &codes[0]);
    elsewhere.follow("form .main");
    is_at(&world, &elsewhere, "/vault/7?x=1");
    assert_eq!(world.metric("gateward_login_total", &["succeeded"]), 3.0);
    // It says so for good: a renewed token passes as well.
    elsewhere.delete_cookie("__Host-gateward");
    elsewhere.open(&vault);
    is_at(&world, &elsewhere, "/vault/7?x=1");
}

#[test]
fn a_page_that_wants_a_recent_sign_in_asks_for_the_password_and_goes_back() {
    let upstream = upstream();
    let (world, clock) = World::with_wall_clock(&upstream, |config| {
        config.route("app", "identity = { user = \"email\" }");
        config.route(
            "till",
            "path = \"/till\"\nmax_age = \"10m\"\nidentity = { user = \"email\" }",
        );
    });
    account(&world, ADA);
    let browser = signed_in(&world, ADA);
    let till = format!("{}/till", world.origin());
    browser.open(&till);
    is_at(&world, &browser, "/till");
    clock.set_ahead(std::time::Duration::from_secs(11 * 60));
    browser.open(&till);
    assert!(browser.text().contains("Confirm that it is you"), "{}", browser.text());
    browser.fill("#password", "not the right password");
    browser.follow("form .main");
    assert!(browser.text_of("[role=alert]").contains("Wrong"), "{}", browser.text());
    browser.fill("#password", crate::world::PASSWORD);
    browser.follow("form .main");
    is_at(&world, &browser, "/till");
}
