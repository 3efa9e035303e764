//! How the pages look, for whom they work, and what they cost.
//!
//! Pictures of every page go to `target/screenshots`, for people to look at. The accessibility checker is axe-core, which `tests/run` puts into `target/axe`.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::driver::Browser;
use crate::it::servers::mail::Mail;
use crate::site::{account, sign_in, signed_in, upstream, world_with};
use crate::world::authenticator::App;
use crate::world::{Upstream, World};

const ADA: &str = "ada.lovelace@example.com";

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target")
}

/// Brings a browser to each page in turn and has it judged there.
fn visit_every_page(mut judge: impl FnMut(&Browser, &str)) {
    let mut broken = upstream();
    let mail = Mail::start();
    let world = world_with(&broken, |config| {
        config.set("mail.url", mail.url());
        config.set("mail.from", "no-reply@example.com");
        config.set("auth.limits.per_account_ip", "5/5m");
        config.route("staff", "path = \"/staff\"\nroles = [\"staff\"]");
        config.route("elsewhere", "path = \"/elsewhere\"\nhost = \"elsewhere.example\"");
        config.set("upstreams.dead.servers", vec!["http://127.0.0.1:1".to_owned()]);
        config.route("dead", "path = \"/dead\"\nupstream = \"dead\"");
        config.set("upstreams.slow.servers", vec![broken.url()]);
        config.set("upstreams.slow.timeouts.response", "100ms");
        config.route("slow", "path = \"/slow\"\nupstream = \"slow\"");
    });
    account(&world, ADA);
    let at = |path: &str| format!("{}{path}", world.origin());
    let stranger = Browser::start();
    stranger.open(&at("/auth/login?return_to=/reports"));
    judge(&stranger, "sign-in");
    stranger.fill("#email", ADA);
    stranger.fill("#password", "this is not the password");
    stranger.follow("form .main");
    judge(&stranger, "sign-in-refused");
    stranger.open(&at("/auth/register"));
    judge(&stranger, "register");
    stranger.fill("#email", "grace@example.com");
    stranger.fill("#password", "grace@example.com");
    judge(&stranger, "register-filled");
    stranger.follow("form .main");
    judge(&stranger, "register-refused");
    letters(&world, &mail, &mut judge);

    second_step(&world, &mut judge);
    let (phone, person) = (signed_in(&world, ADA), signed_in(&world, ADA));
    person.open(&at("/auth/account"));
    judge(&person, "account");
    person.click("section[aria-labelledby=delete] summary");
    judge(&person, "account-delete");
    person.open(&at("/staff"));
    judge(&person, "error-403");
    person.open(&at("/auth/nothing-here"));
    judge(&person, "error-404");
    person.open(&at("/dead"));
    judge(&person, "error-502");
    slow_down(&mut broken);
    person.open(&at("/slow"));
    judge(&person, "error-504");
    person.open(&at("/auth/logout"));
    judge(&person, "sign-out");
    person.follow("form .main");
    judge(&person, "signed-out");
    kept(&world, &phone, &mut judge);
    store_in_use(&world, &phone, &mut judge);
    let refusing = Browser::start();
    refusing.open(&at("/"));
    refusing.delete_cookie("__Host-gateward-csrf");
    sign_in(&refusing, ADA);
    judge(&refusing, "cookies-refused");
    limited(&at("/auth/login"), &stranger);
    judge(&stranger, "error-429");
}

fn second_step(world: &World, judge: &mut impl FnMut(&Browser, &str)) {
    const MAE: &str = "mae@example.com";
    account(world, MAE);
    let browser = signed_in(world, MAE);
    let at = |path: &str| format!("{}{path}", world.origin());
    browser.open(&at("/auth/login?prove=again&max_age=0"));
    judge(&browser, "prove-again");
    browser.open(&at("/auth/security?need=mfa"));
    judge(&browser, "security-needed");
    browser.follow("button[value=begin_totp]");
    judge(&browser, "totp-setup");
    let secret = browser.text_of("#secret").replace(' ', "");
    let app = App::reading(&format!("otpauth://totp/Gateward:mae?secret={secret}&issuer=Gateward"));
    browser.fill("#code", &app.code(0));
    browser.follow("form .main");
    judge(&browser, "recovery-codes");
    browser.open(&at("/auth/security"));
    judge(&browser, "security");
    browser.open(&at("/auth/logout"));
    browser.follow("form .main");
    browser.open(&at("/auth/login"));
    sign_in(&browser, MAE);
    judge(&browser, "second-step");
    browser.follow(".aside .link");
    judge(&browser, "second-step-recovery");
}

fn letters(world: &World, mail: &Mail, judge: &mut impl FnMut(&Browser, &str)) {
    let at = |path: &str| format!("{}{path}", world.origin());
    let browser = Browser::start();
    browser.open(&at("/auth/forgot"));
    judge(&browser, "forgot");
    browser.fill("#email", ADA);
    browser.follow("form .main");
    judge(&browser, "forgot-sent");
    browser.open(&mail.wait_for(ADA, 1).link("reset"));
    judge(&browser, "reset");
    browser.open(&at("/auth/reset?token=none"));
    judge(&browser, "reset-over");
    browser.open(&at("/auth/confirm?done=asked"));
    judge(&browser, "confirm-waiting");
    browser.open(&at("/auth/confirm?token=any"));
    judge(&browser, "confirm");
}

fn slow_down(upstream: &mut Upstream) {
    upstream.now(|request, wire| {
        if request.target() == "/slow" {
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
        wire.send(crate::site::html("late").as_bytes())?;
        Ok(crate::world::upstream::Then::Keep)
    });
}

fn kept(world: &World, browser: &Browser, judge: &mut impl FnMut(&Browser, &str)) {
    world.run(&["session", "end-all", ADA]).done();
    browser.fill("#title", "Forty-two chairs for the large hall");
    browser.follow("#send");
    judge(browser, "sign-in-kept");
    browser.follow(".aside .link");
    judge(browser, "register-kept");
    browser.follow(".aside .link");
    sign_in(browser, ADA);
    judge(browser, "kept-form");
}

/// Somebody else holds the database's one lock for writing while a session is to be renewed.
fn store_in_use(world: &World, browser: &Browser, judge: &mut impl FnMut(&Browser, &str)) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let file = SqliteConnectOptions::new().filename(world.dir().join("data/gateward.db"));
    let mut holder = runtime.block_on(file.connect()).unwrap();
    let hold = sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut holder);
    runtime.block_on(hold).unwrap();
    browser.delete_cookie("__Host-gateward");
    browser.open(&format!("{}/", world.origin()));
    assert!(browser.text().contains("Error 503"), "{}", browser.text());
    judge(browser, "error-503");
    runtime.block_on(holder.close()).unwrap();
}

fn limited(sign_in_page: &str, browser: &Browser) {
    for _ in 0..6 {
        browser.open(sign_in_page);
        browser.fill("#email", ADA);
        browser.fill("#password", "this is not the password");
        browser.follow("form .main");
        if browser.text().contains("Too many attempts") {
            return;
        }
    }
    panic!("no limit was met");
}

#[test]
fn every_page_has_its_picture() {
    let folder = target().join("screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    visit_every_page(|browser, name| {
        for width in [390, 1280] {
            for (dark, scheme) in [(false, "light"), (true, "dark")] {
                browser.look(width, dark);
                let wide = browser.run("return document.documentElement.scrollWidth");
                assert!(
                    wide.as_u64().unwrap() <= u64::from(width),
                    "{name} scrolls sideways at {width}"
                );
                std::fs::write(folder.join(format!("{name}-{width}-{scheme}.png")), browser.picture()).unwrap();
            }
        }
    });
}

#[test]
fn no_page_violates_a_rule_of_accessibility() {
    let axe = std::fs::read_to_string(target().join("axe/package/axe.min.js"));
    let axe = axe.expect("axe-core is in target/axe; tests/run puts it there");
    visit_every_page(|browser, name| {
        for dark in [false, true] {
            browser.look(390, dark);
            let found = browser.run(&format!("{axe}\nreturn axe.run().then(result => result.violations)"));
            let found = found.as_array().unwrap();
            let words: Vec<String> = found.iter().map(|violation| format!("{violation:#}")).collect();
            assert!(found.is_empty(), "{name} (dark: {dark}): {}", words.join("\n"));
        }
    });
}

/// What a script asks once the page is there is not part of showing it.
#[test]
fn no_page_sends_more_than_thirty_kilobytes_or_three_requests() {
    visit_every_page(|browser, name| {
        let sizes = browser.run(
            "return performance.getEntriesByType('navigation').concat(performance.getEntriesByType('resource')\
             .filter(entry => !entry.name.startsWith('data:') && entry.initiatorType !== 'fetch')).map(entry => entry.encodedBodySize)",
        );
        let sizes: Vec<u64> = sizes.as_array().unwrap().iter().filter_map(Value::as_u64).collect();
        assert!(sizes.len() <= 3, "{name}: {sizes:?}");
        assert!(sizes.iter().sum::<u64>() <= 30_000, "{name}: {sizes:?}");
    });
}
