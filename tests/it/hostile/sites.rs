//! Other sites in the same browser: they can make it send requests, with cookies; nothing may come of it.

use ::http::Method;
use serde_json::json;

use crate::world::{Client, PASSWORD, Upstream, World};

/// What a browser says about where a request comes from, when that is not a page of ours.
pub(super) fn strangers(world: &World) -> Vec<Vec<(&'static str, String)>> {
    let ours = world.origin();
    let one = |name: &'static str, value: &str| vec![(name, value.to_owned())];
    let two = |site: &str, origin: &str| vec![("sec-fetch-site", site.to_owned()), ("origin", origin.to_owned())];
    vec![
        one("origin", "https://evil.example"),
        one("origin", "null"),
        one("origin", "http://localhost"),
        one("origin", &ours.replace("https", "http")),
        one("origin", "https://localhost"),
        one("origin", &format!("{ours}.evil.example")),
        one("origin", &format!("{ours}@evil.example")),
        one("origin", &format!("{ours}/")),
        one("origin", &format!("{ours}, https://evil.example")),
        one("origin", &ours.replace("localhost", "sub.localhost")),
        one("sec-fetch-site", "cross-site"),
        one("sec-fetch-site", "same-site"),
        one("sec-fetch-site", "none"),
        one("sec-fetch-site", ""),
        one("sec-fetch-site", "same-origin, cross-site"),
        two("cross-site", &ours),
        two("same-site", &ours),
        one("referer", &format!("{ours}/")),
    ]
}

async fn ask(browser: &Client, method: &Method, path: &str, body: &str, says: &[(&str, String)]) -> u16 {
    let mut call = browser
        .call(method.clone(), path)
        .header("content-type", "application/json");
    for (name, value) in says {
        call = call.header(name, value);
    }
    // Keeps the jar from adding an origin of its own.
    if says.iter().all(|(name, _)| *name == "referer") {
        call = call.header("origin", "null");
    }
    call.body(body.to_owned()).send().await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn no_stranger_moves_anything_by_cookie() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.route("any", "path = \"/any\"\nauth = \"optional\"");
    });
    let ada = world.person("ada").await;
    let browser = ada.in_browser(&world).await;
    let session = browser.get("/auth/me").send().await.is(200).json()["session"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let one_session = format!("/auth/sessions/{session}");
    let mean = json!({"email": "eve@example.com", "password": PASSWORD, "current": PASSWORD, "new": "another good pass phrase"});
    let endpoints = [
        (Method::POST, "/auth/login"),
        (Method::POST, "/auth/register"),
        (Method::POST, "/auth/refresh"),
        (Method::POST, "/auth/logout"),
        (Method::POST, "/auth/logout/all"),
        (Method::POST, "/auth/password"),
        (Method::POST, "/auth/password/forgot"),
        (Method::POST, "/auth/password/reset"),
        (Method::POST, "/auth/confirm"),
        (Method::POST, "/auth/confirm/resend"),
        (Method::POST, "/auth/email"),
        (Method::DELETE, "/auth/me"),
        (Method::DELETE, one_session.as_str()),
        (Method::POST, "/things"),
        (Method::PUT, "/things"),
        (Method::PATCH, "/things"),
        (Method::DELETE, "/things"),
        (Method::from_bytes(b"get").expect("a method"), "/things"),
        (Method::from_bytes(b"PURGE").expect("a method"), "/things"),
        (Method::POST, "/any"),
        (Method::POST, "/whoami"),
    ];
    for (method, path) in &endpoints {
        for says in strangers(&world) {
            let status = ask(&browser, method, path, &mean.to_string(), &says).await;
            assert_eq!(status, 403, "{method} {path} from {says:?}");
        }
    }
    assert_eq!(upstream.count(), 0);
    browser.get("/auth/me").send().await.is(200);
    ada.get("/things").await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_stranger_signs_anybody_in_or_out_without_a_cookie_either() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let ada = world.person("ada").await;
    let body = json!({"email": ada.email, "password": PASSWORD}).to_string();
    for path in ["/auth/login", "/auth/logout", "/auth/logout/all", "/auth/register"] {
        for says in strangers(&world).iter().filter(|says| says[0].0 != "referer") {
            let status = ask(&world.client(), &Method::POST, path, &body, says).await;
            assert_eq!(status, 403, "{path} from {says:?}");
        }
    }
    // What a form can send without a preflight.
    for kind in [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
    ] {
        for text in [body.clone(), format!("email={}&password={PASSWORD}", ada.email)] {
            for path in ["/auth/login", "/auth/register", "/auth/account"] {
                let call = world.client().post(path).header("content-type", kind);
                let answer = call
                    .header("origin", "https://evil.example")
                    .body(text.clone())
                    .send()
                    .await;
                assert!(
                    answer
                        .cookies()
                        .iter()
                        .all(|cookie| cookie.is_cleared() || cookie.name.ends_with("-csrf")),
                    "{kind}"
                );
                assert!(
                    answer.status >= 400 || answer.status == 303 && path == "/auth/account",
                    "{path} {kind}: {}",
                    answer.status
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_takes_over_no_session_that_was_planted() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let planted = eve.in_browser(&world).await;
    let theirs = planted.cookie("__Host-gateward").expect("a cookie");
    let browser = world.browser();
    browser.set_cookie("__Host-gateward", &theirs);
    browser.set_cookie(
        "__Host-gateward-refresh",
        &planted.cookie("__Host-gateward-refresh").expect("a cookie"),
    );
    let body = json!({"email": ada.email, "password": PASSWORD});
    browser.post("/auth/login").json(&body).send().await.is(200);
    assert_ne!(browser.cookie("__Host-gateward").expect("a cookie"), theirs);
    let me = browser.get("/auth/me").send().await.is(200).json();
    assert_eq!(me["user"]["id"], ada.id.as_str());
    browser.get("/things").send().await.is(200);
    assert_eq!(upstream.last().value("x-forwarded-user"), ada.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_return_address_leaves_our_origin() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let ada = world.person("ada").await;
    let browser = ada.in_browser(&world).await;
    for place in [
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example",
        "https:evil.example",
        "https:/evil.example",
        "https://localhost@evil.example",
        "https://localhost.evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "/%09/evil.example",
        "/%2f/evil.example",
        "/%5cevil.example",
        "%2f%2fevil.example",
        "/%0d%0aLocation:%20https://evil.example",
    ] {
        let encoded: String = place.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let call = browser
            .get(&format!("/auth/login?return_to={encoded}"))
            .header("accept", "text/html");
        let answer = call.header("sec-fetch-mode", "navigate").send().await;
        let to = answer
            .headers
            .get("location")
            .map(|value| value.to_str().expect("ASCII").to_owned());
        assert!(
            to.as_deref()
                .is_none_or(|to| to.starts_with('/') && !to[1..].starts_with(['/', '\\'])),
            "{place}: {to:?}"
        );
        assert!(
            !answer.text().contains("evil.example") || answer.status != 303,
            "{place}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_ours_says_how_browsers_must_treat_it() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let browser = world.person("ada").await.in_browser(&world).await;
    for path in ["/auth/login", "/auth/register", "/auth/account", "/auth/nothing"] {
        for client in [&browser, &world.browser()] {
            let call = client.get(path).header("accept", "text/html");
            let answer = call.header("sec-fetch-mode", "navigate").send().await;
            if answer.status == 303 {
                continue;
            }
            let policy = answer.header("content-security-policy");
            for part in ["frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"] {
                assert!(policy.contains(part), "{path}: {policy}");
            }
            assert!(!policy.contains("unsafe"), "{path}: {policy}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
            assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
            assert!(answer.header("cache-control").contains("no-store"), "{path}");
            assert!(!answer.text().contains("<script>"), "{path}");
        }
    }
    for path in ["/auth/me", "/auth/sessions"] {
        let answer = browser.get(path).send().await.is(200);
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
    }
    let out = browser.post("/auth/logout").send().await.is(204);
    assert!(out.header("clear-site-data").contains("\"cache\""));
}

/// A sibling site can plant a cookie of any octets for the whole domain; browsers send it along with ours on one line.
#[tokio::test(flavor = "multi_thread")]
async fn a_planted_cookie_that_is_no_text_locks_nobody_out() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let (host, origin) = (world.authority(), world.origin());
    let page = world.tls().ask(&format!(
        "GET /auth/login HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n\r\n"
    ));
    let cookie = page.value("set-cookie");
    let cookie = cookie.split(';').next().expect("a pair");
    let text = page.text();
    let token = text.split("name=\"form_token\" value=\"").nth(1).expect("a form token");
    let token = token.split('"').next().expect("its end");
    let form = format!("form_token={token}&email=ada@example.com&password=not the right password");
    for planted in [b"a=b".as_slice(), b"a=\xff", b"a=\xc3\xa9"] {
        let head = format!(
            "POST /auth/login HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nAccept: text/html\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nCookie: ",
            form.len()
        );
        let rest = format!("; {cookie}\r\n\r\n{form}");
        let mut wire = world.tls();
        wire.send(&[head.as_bytes(), planted, rest.as_bytes()].concat())
            .expect("bytes can be sent");
        let answer = wire.answer("POST").expect("an answer");
        // Judged like any other, and not sent to the page about browsers that refuse cookies.
        assert_eq!(answer.status, 401, "{planted:?}: {}", answer.text());
    }
}
