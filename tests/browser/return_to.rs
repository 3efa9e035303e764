//! Whatever an address says about where to go on to, the browser ends on our origin.

use crate::driver::Browser;
use crate::site::{account, sign_in, upstream, world};
use crate::world::World;

const ATTACKS: [&str; 18] = [
    "//evil.test",
    "///evil.test/",
    "/\\evil.test",
    "\\\\evil.test",
    "/%09/evil.test",
    "/%0a/evil.test",
    "/%2f/evil.test",
    "https:evil.test",
    "https:/evil.test",
    "https://evil.test/",
    "javascript:document.title='evil'",
    "https://localhost@evil.test/",
    "https://localhost%00.evil.test/",
    "/x\r\nLocation: https://evil.test",
    "/\u{2215}evil.test",
    "\u{ff0f}\u{ff0f}evil.test",
    "/\u{2044}/evil.test",
    "data:text/html,evil",
];

#[track_caller]
fn stays(world: &World, browser: &Browser, attack: &str) {
    let url = browser.url();
    assert!(
        url.starts_with(&format!("{}/", world.origin())),
        "{attack:?} led to {url}"
    );
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'.' => char::from(byte).to_string(),
        _ => format!("%{byte:02x}"),
    };
    text.bytes().map(byte).collect()
}

#[test]
fn no_return_address_leads_away_from_our_origin() {
    let upstream = upstream();
    let world = world(&upstream);
    account(&world, "ada@example.com");
    let browser = Browser::start();
    let long = format!("/{}", "a".repeat(10_240));
    let attacks: Vec<String> = ATTACKS
        .iter()
        .map(|attack| (*attack).to_owned())
        .chain([long])
        .collect();
    for attack in &attacks {
        // Signing in there.
        browser.open(&format!("{}/auth/login?return_to={}", world.origin(), encoded(attack)));
        sign_in(&browser, "ada@example.com");
        stays(&world, &browser, attack);
        // Being signed in already; once raw, as far as an address can hold it.
        browser.open(&format!("{}/auth/login?return_to={}", world.origin(), encoded(attack)));
        stays(&world, &browser, attack);
        if attack.is_ascii() && !attack.contains(['\r', '\n']) {
            browser.open(&format!("{}/auth/login?return_to={attack}", world.origin()));
            stays(&world, &browser, attack);
        }
        browser.open(&format!("{}/auth/logout", world.origin()));
        if browser.has("form .main") {
            browser.follow("form .main");
        }
    }
    assert!(
        upstream
            .requests()
            .iter()
            .all(|request| !request.target().contains("evil"))
    );
}
