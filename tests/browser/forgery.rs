//! Another site can make this browser send requests, and nothing comes of them.

use crate::driver::{Browser, until};
use crate::site::{account, html, signed_in, upstream, world};
use crate::world::{PASSWORD, Upstream, World};

const ADA: &str = "ada@example.com";

/// A page of another site that does something as soon as it is opened, to the gateway at `origin`.
fn evil_page(does: String) -> Upstream {
    Upstream::answering(move |_| html(&does))
}

fn evil_url(evil: &Upstream) -> String {
    evil.url().replace("127.0.0.1", "evil.test")
}

fn posting(to: &str, fields: &str) -> String {
    format!("<form id=f method=post action='{to}'>{fields}</form><script>f.submit()</script>")
}

#[track_caller]
fn still_ada(world: &World, browser: &Browser) {
    browser.open(&format!("{}/", world.origin()));
    assert!(
        browser.text().contains("Private page of ada@example.com"),
        "{}",
        browser.text()
    );
}

#[track_caller]
fn arrives(browser: &Browser, evil: &Upstream, at: &str) {
    browser.open(&evil_url(evil));
    until("the forged request is answered", || {
        browser.url().contains(at).then_some(())
    });
}

#[test]
fn a_cross_site_post_never_reaches_the_upstream() {
    let upstream = upstream();
    let world = world(&upstream);
    account(&world, ADA);
    let browser = signed_in(&world, ADA);
    let evil = evil_page(posting(
        &format!("{}/orders", world.origin()),
        "<input name=title value=evil>",
    ));
    arrives(&browser, &evil, "/orders");
    assert!(!browser.text().contains("Private"), "{}", browser.text());
    assert!(!browser.has("input[name=kept]"), "another site's form is not kept");
    assert!(
        !upstream
            .requests()
            .iter()
            .any(|request| request.line().starts_with("POST"))
    );
    still_ada(&world, &browser);
}

#[test]
fn a_cross_site_post_signs_nobody_out() {
    let upstream = upstream();
    let world = world(&upstream);
    account(&world, ADA);
    let browser = signed_in(&world, ADA);
    for path in ["/auth/logout", "/auth/account"] {
        let fields = "<input name=action value=sign_out_everywhere>";
        let evil = evil_page(posting(&format!("{}{path}", world.origin()), fields));
        arrives(&browser, &evil, path);
        assert!(browser.text().contains("another site"), "{}", browser.text());
        still_ada(&world, &browser);
    }
}

#[test]
fn a_cross_site_post_signs_nobody_in_as_somebody_else() {
    let upstream = upstream();
    let world = world(&upstream);
    account(&world, ADA);
    account(&world, "mallory@example.com");
    let fields = format!("<input name=email value=mallory@example.com><input name=password value='{PASSWORD}'>");
    let evil = evil_page(posting(&format!("{}/auth/login", world.origin()), &fields));
    let victim = signed_in(&world, ADA);
    arrives(&victim, &evil, "/auth/login");
    still_ada(&world, &victim);
    let stranger = Browser::start();
    arrives(&stranger, &evil, "/auth/login");
    stranger.open(&format!("{}/", world.origin()));
    assert!(stranger.url().contains("/auth/login?return_to="), "{}", stranger.url());
}

#[test]
fn a_cross_site_web_socket_is_refused() {
    let upstream = upstream();
    let world = world(&upstream);
    account(&world, ADA);
    let browser = signed_in(&world, ADA);
    let address = format!("wss://{}/socket", world.authority());
    let evil = evil_page(format!(
        "<p id=o>waiting</p><script>const s = new WebSocket('{address}'); s.onopen = () => o.textContent = 'open'; s.onerror = () => o.textContent = 'refused'</script>"
    ));
    browser.open(&evil_url(&evil));
    until("the handshake is answered", || {
        (browser.text() == "refused").then_some(())
    });
    assert!(!upstream.requests().iter().any(|request| request.target() == "/socket"));
    still_ada(&world, &browser);
}
