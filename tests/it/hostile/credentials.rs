//! Ways to carry a token that must not count, and ways to make two of them count at once.

use serde_json::json;

use super::{arrived, canary};
use crate::world::forge::encode;
use crate::world::{Client, Person, Upstream, World};

#[track_caller]
fn status(world: &World, path: &str, lines: &str) -> u16 {
    let lines = if lines.is_empty() { "X-Plain: 1" } else { lines };
    let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{lines}\r\n\r\n", world.authority());
    world.tls().ask(&head).status
}

fn access(browser: &Client) -> String {
    browser.cookie("__Host-gateward").expect("an access cookie")
}

async fn two(world: &World) -> (Person, Person) {
    (world.person("ada").await, world.person("ben").await)
}

/// Good tokens in places where none counts.
pub(super) fn misplaced(bearer: &str, access: &str, refresh: &str) -> Vec<String> {
    vec![
        format!("Authorization: {bearer}"),
        format!("Authorization: Token {bearer}"),
        format!("Authorization: Basic {}", encode(format!("bearer:{bearer}").as_bytes())),
        format!("Authorization: Bearer{bearer}"),
        format!("Authorization: Bearer \"{bearer}\""),
        format!("Authorization: Bearer Bearer {bearer}"),
        format!("Authorization: Bearer {bearer}, Basic eA=="),
        format!("Authorization: Bearer {bearer} {bearer}"),
        format!("Authorization: Bearer {bearer}="),
        format!("Authorization: Bearer {bearer}."),
        format!("Authorization: Bearer {}", refresh),
        format!("Proxy-Authorization: Bearer {bearer}"),
        format!("X-Authorization: Bearer {bearer}"),
        format!("Authorization_: Bearer {bearer}"),
        format!("X-Access-Token: {bearer}"),
        format!("X-Forwarded-Access-Token: {bearer}"),
        format!("Sec-WebSocket-Protocol: bearer, {bearer}"),
        format!("Cookie: access_token={bearer}"),
        format!("Cookie: gateward={access}"),
        format!("Cookie: __host-gateward={access}"),
        format!("Cookie: __HOST-GATEWARD={access}"),
        format!("Cookie: __Secure-gateward={access}"),
        format!("Cookie: __Host-gateward2={access}"),
        format!("Cookie: __Host-gateward%3d{access}"),
        format!("Cookie: \"__Host-gateward\"={access}"),
        format!("Cookie: =__Host-gateward={access}"),
        format!("Cookie: x\u{a0}__Host-gateward={access}"),
        format!("Cookie: __Host-gateward=\"{access}\""),
        format!("Cookie: __Host-gateward={refresh}"),
        format!("Cookie2: __Host-gateward={access}"),
        format!("Set-Cookie: __Host-gateward={access}"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_counts_only_where_it_belongs() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let ada = world.person("ada").await;
    let browser = ada.in_browser(&world).await;
    let (bearer, cookie) = (&ada.access, access(&browser));
    let refresh = browser.cookie("__Host-gateward-refresh").expect("a refresh cookie");
    for lines in misplaced(bearer, &cookie, &refresh) {
        assert_eq!(status(&world, "/things", &lines), 401, "{lines}");
    }
    for query in ["access_token", "token", "jwt", "authorization", "bearer"] {
        let path = format!("/things?{query}={bearer}");
        assert_eq!(status(&world, &path, ""), 401, "{query}");
        assert_eq!(
            status(&world, &format!("/auth/me?{query}={bearer}"), ""),
            401,
            "{query}"
        );
    }
    assert!(arrived(&upstream).is_empty());
    let form = ada
        .client
        .post("/things")
        .header("content-type", "application/x-www-form-urlencoded");
    form.body(format!("access_token={bearer}")).send().await.is(401);
    assert_eq!(
        status(&world, "/things", &format!("Authorization: bEaReR \t{bearer}")),
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_credentials_never_make_one_that_counts() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let (ada, ben) = two(&world).await;
    let cookie = access(&ada.in_browser(&world).await);
    let ours = format!("Cookie: __Host-gateward={cookie}");
    for path in ["/things", "/optional", "/auth/me", "/auth/sessions"] {
        for (what, lines) in [
            (
                "two of one",
                format!("Authorization: Bearer {0}\r\nAuthorization: Bearer {0}", ada.access),
            ),
            (
                "a good and a bad one",
                format!("Authorization: Bearer {}\r\nAuthorization: Bearer x", ada.access),
            ),
            ("two people", format!("Authorization: Bearer {}\r\n{ours}", ben.access)),
            ("a doubled cookie", format!("{ours}; __Host-gateward={cookie}")),
            ("a doubled cookie over two lines", format!("{ours}\r\n{ours}")),
            (
                "a planted one before ours",
                format!("Cookie: __Host-gateward=x; __Host-gateward={cookie}"),
            ),
            ("a planted one behind ours", format!("{ours}; __Host-gateward=")),
            ("a bad bearer", format!("Authorization: Bearer x\r\n{ours}")),
            (
                "a bad bearer behind a tab",
                format!("Authorization: Bearer\tx\r\n{ours}"),
            ),
            ("an empty bearer", format!("Authorization: Bearer\r\n{ours}")),
            ("a bearer of spaces", format!("Authorization: Bearer   \r\n{ours}")),
            ("a bearer in capitals", format!("Authorization: BEARER x\r\n{ours}")),
        ] {
            let seen = status(&world, path, &lines);
            assert!(matches!(seen, 400 | 401), "{path}, {what}: {seen}");
        }
    }
    assert!(arrived(&upstream).is_empty(), "{:?}", arrived(&upstream));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_costs_much_to_read_costs_nobody_else_anything() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let many: Vec<String> = (0..800).map(|number| format!("\"{number:x}\":0")).collect();
    let deep = "[".repeat(6000);
    for header in [
        format!("{{{}}}", many.join(",")),
        deep,
        "\"".repeat(6000),
        "\u{0}".repeat(6000),
    ] {
        let token = format!("{}.e30.AAAA", encode(header.as_bytes()));
        for _ in 0..20 {
            assert_eq!(
                status(&world, "/things", &format!("Authorization: Bearer {token}")),
                401
            );
        }
        canary(&world);
    }
    let long = "a".repeat(20_000);
    assert_eq!(
        status(&world, "/things", &format!("Authorization: Bearer {long}.{long}")),
        431
    );
    assert_eq!(status(&world, "/things", &format!("Authorization: Bearer {long}")), 401);
    assert_eq!(
        status(
            &world,
            "/things",
            &format!("Authorization: Bearer {}", ".".repeat(8000))
        ),
        401
    );
}

/// Sign-out while the same token is being verified on both workers for the first time, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn no_race_between_a_first_verification_and_a_sign_out_leaves_the_token_good() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let ada = world.person("ada").await;
    for _ in 0..30 {
        let session = ada.again().await;
        let asks: Vec<_> = (0..6)
            .map(|_| {
                let session = session.clone();
                tokio::spawn(async move { session.get("/things").await.status })
            })
            .collect();
        let out = session.client.post("/auth/logout").bearer(&session.access).send().await;
        out.is(204);
        for _ in 0..4 {
            session.get("/things").await.is(401);
        }
        for ask in asks {
            let status = ask.await.expect("an answer");
            assert!(matches!(status, 200 | 401), "{status}");
        }
        session.get("/things").await.is(401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_tokens_of_our_own_open_nothing() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.route(
            "proved",
            "path = \"/proved\"\nidentity = { preset = \"x-forwarded\", assertion = true }",
        );
    });
    let ada = world.person("ada").await;
    ada.get("/proved").await.is(200);
    let assertion = upstream.last().value("x-gateward-assertion");
    for token in [assertion.as_str(), ada.refresh.as_str()] {
        for path in ["/things", "/auth/me", "/auth/sessions"] {
            ada.client
                .get(path)
                .bearer(token)
                .send()
                .await
                .problem(401, "invalid_token");
        }
        let refreshed = ada
            .client
            .post("/auth/refresh")
            .json(&json!({"refresh_token": assertion}))
            .send()
            .await;
        assert_eq!(refreshed.status, 401);
    }
    let swapped = ada
        .client
        .post("/auth/refresh")
        .json(&json!({"refresh_token": ada.access}))
        .send()
        .await;
    assert_eq!(swapped.status, 401);
    ada.refresh(&ada.refresh).await.is(200);
}
