//! Signing in with somebody else's account, at a certified OpenID provider.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::driver::{Browser, until};
use crate::site::{account, sign_in, upstream};
use crate::world::openid::CLIENT_SECRET;
use crate::world::{Upstream, World};

/// The provider's process; it ends with its standard input, and would end at its next word if nobody listened any more.
struct Certified {
    process: Child,
    _output: BufReader<ChildStdout>,
}

impl Drop for Certified {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A gateway and the provider that it asks.
#[track_caller]
fn world(upstream: &Upstream) -> (World, Certified) {
    let mut world = World::stopped(upstream, |config| {
        config.route("app", "identity = { user = \"email\" }");
    });
    let root = env!("CARGO_MANIFEST_DIR");
    let mut provider = Command::new("node")
        .arg(format!("{root}/tests/browser/provider.mjs"))
        .arg(format!("{root}/target/oidc-provider"))
        .arg(format!("{}/auth/providers/corp/callback", world.origin()))
        .arg(format!("{}/auth/logout", world.origin()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("node starts; tests/run installs it");
    let mut issuer = String::new();
    let mut output = BufReader::new(provider.stdout.take().expect("its output"));
    output.read_line(&mut issuer).expect("its issuer");
    assert!(
        issuer.starts_with("http://"),
        "the provider does not start; tests/run brings it"
    );
    std::fs::write(world.dir().join("corp.secret"), CLIENT_SECRET).expect("a secret can be written");
    world.reconfigure(|config| {
        let lines = format!(
            "id = \"corp\"\nname = \"Corp\"\nissuer = \"{}\"\nclient_id = \"gateward\"\nclient_secret_file = \"corp.secret\"",
            issuer.trim()
        );
        let provider: toml::Table = lines.parse().expect("TOML");
        config.set("auth.providers", vec![toml::Value::Table(provider)]);
    });
    world.up();
    let provider = Certified {
        process: provider,
        _output: output,
    };
    (world, provider)
}

/// Says at the provider who one is, and agrees that the gateway is told.
#[track_caller]
fn agree(browser: &Browser, name: &str) {
    until("the provider asks who it is", || {
        browser.has("input[name=login]").then_some(())
    });
    browser.fill("input[name=login]", name);
    browser.fill("input[name=password]", "whatever it is");
    browser.follow("button[type=submit]");
    until("it asks whether the gateway may know", || {
        browser.has("#consent").then_some(())
    });
    browser.follow("button[type=submit]");
}

/// Signs out here and at the provider.
#[track_caller]
fn sign_out_of_both(world: &World, browser: &Browser) {
    browser.open(&format!("{}/auth/account", world.origin()));
    browser.follow(".top button");
    until("the provider asks whether to sign out there", || {
        browser.has("button[name=logout]").then_some(())
    });
    browser.follow("button[name=logout]");
    until("back here", || browser.url().ends_with("/auth/logout").then_some(()));
    assert!(browser.text().contains("You are signed out"), "{}", browser.text());
}

fn arrives(browser: &Browser, url: &str) {
    until(url, || (browser.url() == url).then_some(()));
}

#[test]
fn a_person_signs_in_at_a_certified_provider_again_and_out_of_it() {
    let upstream = upstream();
    let (world, _provider) = world(&upstream);
    let (browser, reports) = (Browser::start(), format!("{}/reports?week=3", world.origin()));
    browser.open(&reports);
    browser.follow(".choices button");
    agree(&browser, "ada");
    arrives(&browser, &reports);
    assert!(
        browser.text().contains("Private page of ada@example.com"),
        "{}",
        browser.text()
    );
    sign_out_of_both(&world, &browser);

    // Signed out of both, one is asked at both.
    browser.open(&reports);
    assert!(browser.url().contains("/auth/login?return_to="), "{}", browser.url());
    browser.follow(".choices button");
    agree(&browser, "ada");
    arrives(&browser, &reports);
    assert!(
        browser.text().contains("Private page of ada@example.com"),
        "{}",
        browser.text()
    );
    let accounts = world.run(&["user", "list", "--json"]).done().out;
    assert_eq!(accounts.matches("ada@example.com").count(), 1, "{accounts}");
}

#[test]
fn the_same_works_without_scripts() {
    let upstream = upstream();
    let (world, _provider) = world(&upstream);
    let browser = Browser::without_scripts();
    browser.open(&format!("{}/next", world.origin()));
    browser.follow(".choices button");
    agree(&browser, "ada");
    arrives(&browser, &format!("{}/next", world.origin()));
    assert!(
        browser.text().contains("Private page of ada@example.com"),
        "{}",
        browser.text()
    );
}

#[test]
fn an_account_is_connected_to_a_provider_and_disconnected_again() {
    let upstream = upstream();
    let (world, _provider) = world(&upstream);
    account(&world, "ben@example.com");
    let browser = Browser::start();
    let account_page = format!("{}/auth/account", world.origin());
    browser.open(&account_page);
    sign_in(&browser, "ben@example.com");
    browser.follow("button[aria-label='Connect Corp']");
    agree(&browser, "benjamin");
    arrives(&browser, &format!("{account_page}?done=tied"));
    assert!(browser.text().contains("Connected"), "{}", browser.text());

    let other = Browser::start();
    other.open(&account_page);
    other.follow(".choices button");
    agree(&other, "benjamin");
    arrives(&other, &account_page);
    assert!(other.text().contains("ben@example.com"), "{}", other.text());

    browser.follow("button[aria-label='Disconnect Corp']");
    assert!(browser.text().contains("Disconnected"), "{}", browser.text());
    sign_out_of_both(&world, &other);
    other.open(&account_page);
    other.follow(".choices button");
    agree(&other, "ben");
    // The provider says that this address is theirs; here nobody has proved it, so it is not enough.
    until("a refusal", || other.has("[role=alert]").then_some(()));
    assert!(
        other.text().contains("connect the provider on your account page"),
        "{}",
        other.text()
    );
}
