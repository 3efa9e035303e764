//! A form that meets an ended session is kept, shown, and sent once the person says so.

use crate::site::{account, sign_in, signed_in, upstream, world};

#[test]
fn a_small_form_survives_an_ended_session() {
    let upstream = upstream();
    let world = world(&upstream);
    account(&world, "ada@example.com");
    let browser = signed_in(&world, "ada@example.com");
    world.run(&["session", "end-all", "ada@example.com"]).done();
    browser.fill("#title", "Forty-two chairs & a <table>");
    browser.follow("#send");
    assert!(
        browser.text().contains("What you were sending is kept"),
        "{}",
        browser.text()
    );
    assert!(
        !upstream
            .requests()
            .iter()
            .any(|request| request.line().starts_with("POST"))
    );
    sign_in(&browser, "ada@example.com");
    assert_eq!(browser.text_of("h1"), "Send it now?");
    assert_eq!(browser.text_of(".kept dd"), "Forty-two chairs & a <table>");
    browser.follow("form .main");
    assert_eq!(browser.url(), format!("{}/orders", world.origin()));
    let mut requests = upstream.requests();
    requests.retain(|request| request.line() == "POST /orders HTTP/1.1");
    assert_eq!(requests.len(), 1);
    let sent = requests.remove(0);
    assert_eq!(sent.body, b"title=Forty-two+chairs+%26+a+%3Ctable%3E");
}
