//! The site behind the gateway, and a person who uses it.

use crate::driver::Browser;
use crate::world::upstream::Recorded;
use crate::world::{Config, PASSWORD, Upstream, World};

/// A site of a few pages that greets whoever the gateway says is calling.
pub fn upstream() -> Upstream {
    Upstream::answering(|request| html(&page(request)))
}

/// A gateway before it, with a WebSocket route.
pub fn world(upstream: &Upstream) -> World {
    world_with(upstream, |_| {})
}

/// The same with changes to the settings.
pub fn world_with(upstream: &Upstream, change: impl FnOnce(&mut Config)) -> World {
    World::with(upstream, |config| {
        config.route("app", "identity = { user = \"email\" }");
        config.route("socket", "path = \"/socket\"\nwebsocket = true");
        change(config);
    })
}

/// An answer with a page.
pub fn html(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn page(request: &Recorded) -> String {
    let who = request
        .values("x-forwarded-user")
        .pop()
        .unwrap_or_else(|| "nobody".to_owned());
    let path = request.target().to_owned();
    let sent = String::from_utf8_lossy(&request.body).into_owned();
    format!(
        "<!doctype html><title>App</title><h1>Private page of {who}</h1><p id=path>{path}</p><p id=sent>{sent}</p>\
         <a id=next href=/next>next</a><form method=post action=/orders><input name=title id=title><button id=send>send</button></form>"
    )
}

/// Registers from the sign-in page that the browser is at; the form signs in at once.
#[track_caller]
pub fn register(browser: &Browser, email: &str) {
    browser.follow("a[href*='/auth/register']");
    browser.fill("#email", email);
    browser.fill("#password", PASSWORD);
    browser.follow("form .main");
}

/// Signs in on the sign-in page that the browser is at.
#[track_caller]
pub fn sign_in(browser: &Browser, email: &str) {
    browser.fill("#email", email);
    browser.fill("#password", PASSWORD);
    browser.follow("form .main");
}

/// Makes an account on the command line.
#[track_caller]
pub fn account(world: &World, email: &str) {
    world
        .run_with_input(&["user", "add", email, "--password-stdin"], &format!("{PASSWORD}\n"))
        .done();
}

/// A fresh browser in which `email` is signed in, at the site's front page.
#[track_caller]
pub fn signed_in(world: &World, email: &str) -> Browser {
    let browser = Browser::start();
    browser.open(&format!("{}/", world.origin()));
    sign_in(&browser, email);
    assert!(
        browser.text().contains(&format!("Private page of {email}")),
        "{}",
        browser.text()
    );
    browser
}
