//! The header boundary: an upstream sees the gateway's word on who is calling and never the client's. Judged on the raw bytes that arrive there.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

use crate::world::upstream::Recorded;
use crate::world::{Person, Upstream, World};

/// Ways to write a header so that some upstream takes it for `X-Forwarded-User`.
const SPELLINGS: &[&str] = &[
    "X-Forwarded-User: root",
    "x-forwarded-user: root",
    "x_forwarded_user: root",
    "X.Forwarded-User: root",
    "X_Forwarded.User: root",
    "X-FORWARDED_USER: root",
    "X-Forwarded-User: root\r\nx-forwarded-user: root",
    "X-Forwarded-User: root\r\nX_Forwarded_User: admin",
    "Connection: close, x-forwarded-user",
    "Connection: X-Forwarded-User\r\nX-Forwarded-User: root",
    "Connection: keep-alive\r\nConnection: close, x-forwarded-user",
    "Connection: keep-alive\r\nX-Forwarded-User: root\r\nconnection: X-Forwarded-User, x-forwarded-email",
    "Connection: X-Forwarded-User\r\nConnection: X-Forwarded-Email, X-Forwarded-Groups, X-Request-Id",
    "X-Forwarded-Email: root@example.com\r\nX-Forwarded-Groups: admin\r\nX_Forwarded_Groups: admin",
    "Keep-Alive: x-forwarded-user\r\nProxy-Connection: x-forwarded-user",
];

fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

/// Every value of every header that folds to `name`.
fn seen(request: &Recorded, name: &str) -> Vec<String> {
    let lines = request.head.lines().skip(1).filter_map(|line| line.split_once(':'));
    lines
        .filter(|(n, _)| folded(n.trim()) == name)
        .map(|(_, value)| value.trim().to_owned())
        .collect()
}

/// Sends exactly these header lines, on a connection of their own.
#[track_caller]
fn ask(world: &World, path: &str, lines: &str) -> u16 {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{lines}\r\n\r\n", world.authority());
    world.tls().ask(&head).status
}

fn bearer(person: &Person) -> String {
    format!("Authorization: Bearer {}", person.access)
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_protected_route_the_upstream_sees_exactly_the_gateways_value() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let ada = world.person("ada").await;
    for path in ["/things", "/optional"] {
        for spelling in SPELLINGS {
            let before = upstream.count();
            assert_eq!(
                ask(&world, path, &format!("{spelling}\r\n{}", bearer(&ada))),
                200,
                "{spelling}"
            );
            assert_eq!(
                ask(&world, path, &format!("{}\r\n{spelling}", bearer(&ada))),
                200,
                "{spelling}"
            );
            assert_eq!(upstream.count(), before + 2);
            for request in &upstream.requests()[before..] {
                assert_eq!(
                    seen(request, "x-forwarded-user"),
                    [ada.id.as_str()],
                    "{spelling}: {}",
                    request.head
                );
                assert_eq!(
                    seen(request, "x-forwarded-email"),
                    [ada.email.as_str()],
                    "{spelling}: {}",
                    request.head
                );
                assert!(
                    seen(request, "x-forwarded-groups").iter().all(String::is_empty),
                    "{spelling}: {}",
                    request.head
                );
                assert_eq!(seen(request, "x-request-id").len(), 1, "{spelling}: {}", request.head);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_public_route_the_upstream_sees_nobodys_value() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let ada = world.person("ada").await;
    for path in ["/public", "/optional"] {
        for spelling in SPELLINGS {
            assert_eq!(ask(&world, path, spelling), 200, "{spelling}");
            let request = upstream.last();
            for name in ["x-forwarded-user", "x-forwarded-email", "x-forwarded-groups"] {
                assert!(seen(&request, name).is_empty(), "{spelling}: {}", request.head);
            }
        }
    }
    assert_eq!(ask(&world, "/public", &bearer(&ada)), 200);
    assert!(
        seen(&upstream.last(), "x-forwarded-user").is_empty(),
        "a public route identifies nobody"
    );
}

/// Fields by which some upstreams serve another path, do another method, or take the client for somebody else than routes have judged.
#[tokio::test(flavor = "multi_thread")]
async fn no_field_takes_a_request_elsewhere_than_it_was_judged_for() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.route("readers", "path = \"/readers\"\nauth = \"public\"\nmethods = [\"GET\"]");
    });
    let lines = "X-Original-URL: /admin\r\nX_Rewrite_URL: /admin\r\nX-HTTP-Method-Override: DELETE\r\nX-Method-Override: DELETE\r\n\
        SCRIPT_NAME: /readers\r\nPATH_INFO: /admin\r\nDaphne-Root-Path: /readers\r\nX-SSL-Client-DN: CN=root\r\nX-Remote-User: root\r\n\
        Client-IP: 127.0.0.1\r\nTrue-Client-IP: 127.0.0.1\r\nCF_Connecting_IP: 127.0.0.1\r\nX-Client-IP: 127.0.0.1";
    for path in ["/readers/x", "/public"] {
        assert_eq!(ask(&world, path, lines), 200);
        let request = upstream.last();
        let names: Vec<String> = request
            .head
            .lines()
            .skip(1)
            .filter_map(|line| Some(folded(line.split_once(':')?.0)))
            .collect();
        let others = [
            "url",
            "override",
            "client-ip",
            "connecting",
            "script",
            "path",
            "ssl",
            "remote",
        ];
        assert!(
            names
                .iter()
                .all(|name| others.iter().all(|other| !name.contains(other))),
            "{path}: {}",
            request.head
        );
    }
}

/// WebDAV names a second place, where the upstream would write.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_copied_to_where_another_route_judges() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let ask = |method: &str, path: &str, lines: &str| {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{lines}\r\n\r\n",
            world.authority()
        );
        world.tls().ask(&head).status
    };
    let here = world.origin();
    for method in ["COPY", "MOVE"] {
        for (destination, status) in [
            (format!("{here}/things/planted"), 403),
            ("/things/planted".to_owned(), 403),
            ("/".to_owned(), 403),
            ("https://elsewhere.example/public/y".to_owned(), 403),
            ("/public/../things/planted".to_owned(), 400),
            ("/public/%2e%2e/things/planted".to_owned(), 400),
            ("/public/y\r\nDestination: /things/planted".to_owned(), 400),
            ("public/y".to_owned(), 400),
            ("/public/y#/things".to_owned(), 400),
            (format!("{here}/public/y"), 200),
            ("/public/y?z".to_owned(), 200),
        ] {
            let before = upstream.count();
            let told = ask(method, "/public/x", &format!("Destination: {destination}"));
            assert_eq!(told, status, "{method} {destination}");
            assert_eq!(
                upstream.count() - before,
                usize::from(status == 200),
                "{method} {destination}"
            );
        }
        assert_eq!(ask(method, "/public/x", "Overwrite: F"), 200);
    }
    // To others it means nothing, and is theirs.
    assert_eq!(
        ask("PUT", "/public/x", "Destination: /things\r\nContent-Length: 0"),
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_managed_header_is_taken_off_on_every_route() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.route(
            "custom",
            "path = \"/custom\"\nidentity = { preset = \"none\", headers = { X-Session = \"sid\" } }",
        );
        config.route("remote", "path = \"/remote\"\nidentity = { preset = \"remote-user\" }");
    });
    let ada = world.person("ada").await;
    let lines = "X-Session: forged\r\nx_session: forged\r\nRemote-User: root\r\nREMOTE_USER: root\r\nX-Gateward-Assertion: forged\r\n\
        x_gateward_assertion: forged";
    for path in ["/custom", "/remote", "/things", "/public", "/optional"] {
        assert_eq!(
            ask(&world, path, &format!("{lines}\r\n{}", bearer(&ada))),
            200,
            "{path}"
        );
        let head = upstream.last().head;
        assert!(!head.contains("forged") && !head.contains("root"), "{path}: {head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_carries_no_forged_identity_either() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let ada = world.person("ada").await;
    let call = |path: &str| {
        let call = world.client().h2().get(path);
        call.header("x-forwarded-user", "root")
            .header("x_forwarded_user", "root")
            .header("x.forwarded-user", "root")
    };
    call("/things").bearer(&ada.access).send().await.is(200);
    assert_eq!(seen(&upstream.last(), "x-forwarded-user"), [ada.id.as_str()]);
    call("/public").send().await.is(200);
    assert!(seen(&upstream.last(), "x-forwarded-user").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_request_comes_from_is_rebuilt_for_strangers() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let lines = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: evil.example\r\n\
        Forwarded: for=6.6.6.6;host=evil.example\r\nX-Request-Id: chosen-by-the-client\r\nX-Real-IP: 6.6.6.6\r\n\
        X_Forwarded_For: 6.6.6.6";
    assert_eq!(ask(&world, "/public", lines), 200);
    let request = upstream.last();
    assert_eq!(request.value("x-forwarded-for"), "127.0.0.1");
    assert_eq!(request.value("x-forwarded-proto"), "https");
    assert_eq!(request.value("x-forwarded-host"), world.authority());
    assert!(request.value("forwarded").contains("127.0.0.1"), "{}", request.head);
    assert_ne!(request.value("x-request-id"), "chosen-by-the-client");
    assert_eq!(request.value("host"), world.authority());
    assert!(seen(&request, "traceparent").len() == 1, "{}", request.head);
    assert!(!request.head.contains("evil.example"), "{}", request.head);
    for name in ["x-forwarded-for", "forwarded", "x-forwarded-host"] {
        assert!(
            !seen(&request, name).iter().any(|value| value.contains("6.6.6.6")),
            "{}",
            request.head
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_is_believed_and_appended_to() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.set("server.trusted_proxies", vec!["127.0.0.0/8"]);
    });
    let lines = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Request-Id: from-the-edge-1\r\nX-Forwarded-User: root";
    assert_eq!(ask(&world, "/public", lines), 200);
    let request = upstream.last();
    assert_eq!(request.value("x-forwarded-for").replace(' ', ""), "192.0.2.7,127.0.0.1");
    assert_eq!(request.value("x-request-id"), "from-the-edge-1");
    assert!(
        seen(&request, "x-forwarded-user").is_empty(),
        "no proxy says who is calling"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn our_cookies_and_tokens_stay_here_and_the_clients_own_pass() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.route("forwarding", "path = \"/forwarding\"\nforward_token = true");
    });
    let ada = world.person("ada").await;
    let browser = ada.in_browser(&world).await;
    let access = browser.cookie("__Host-gateward").expect("an access cookie");
    let cookies =
        format!("Cookie: a=1; __Host-gateward={access}; theme=\"dark; x\"\r\nCookie: __Host-gateward-refresh=xyz; b=2");
    assert_eq!(ask(&world, "/things", &cookies), 200);
    let sent = upstream.last().values("cookie").join("; ");
    assert!(!sent.contains("gateward"), "{sent}");
    assert!(
        sent.contains("a=1") && sent.contains("theme=\"dark; x\"") && sent.contains("b=2"),
        "{sent}"
    );

    assert_eq!(ask(&world, "/things", &bearer(&ada)), 200);
    assert!(upstream.last().values("authorization").is_empty());
    assert_eq!(ask(&world, "/forwarding", &bearer(&ada)), 200);
    assert_eq!(upstream.last().value("authorization"), format!("Bearer {}", ada.access));
    // What is not ours is the upstream's to judge, where the route asks for nothing.
    assert_eq!(ask(&world, "/public", "Authorization: Basic dXNlcjpzZWNyZXQ="), 200);
    assert_eq!(upstream.last().value("authorization"), "Basic dXNlcjpzZWNyZXQ=");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_cannot_set_our_cookies() {
    let upstream = Upstream::answering(|_| {
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: __Host-gateward=planted; Path=/; Secure\r\n\
         Set-Cookie: theme=dark\r\nSet-Cookie: __Host-gateward-refresh=planted; Path=/; Secure\r\n\r\n"
            .to_owned()
    });
    let world = World::start(&upstream);
    let answer = world.client().get("/public").send().await.is(200);
    let names: Vec<String> = answer.cookies().into_iter().map(|cookie| cookie.name).collect();
    assert_eq!(names, ["theme"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hop_by_hop_headers_go_no_further_in_either_direction() {
    let upstream = Upstream::answering(|_| {
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-Stays: 1\r\n\
         Proxy-Authenticate: Basic\r\n\r\n"
            .to_owned()
    });
    let world = World::start(&upstream);
    let head = format!(
        "GET /public HTTP/1.1\r\nHost: {}\r\nConnection: x-mine, keep-alive\r\nX-Mine: 1\r\nTE: trailers\r\nKeep-Alive: 5\r\n\
         Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\nX-Stays: 1\r\n\r\n",
        world.authority()
    );
    let answer = world.tls().ask(&head);
    assert_eq!(answer.status, 200);
    for name in ["x-hop", "keep-alive"] {
        assert!(answer.values(name).is_empty(), "{}", answer.head);
    }
    assert_eq!(answer.value("x-stays"), "1");
    let request = upstream.last();
    for name in ["x-mine", "te", "keep-alive", "proxy-connection", "proxy-authorization"] {
        assert!(request.values(name).is_empty(), "{}", request.head);
    }
    assert_eq!(request.value("x-stays"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn presets_and_custom_headers_say_what_the_route_asks_for() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.route(
            "remote",
            "path = \"/remote\"\nidentity = { preset = \"remote-user\", user = \"email\" }",
        );
        config.route(
            "request",
            "path = \"/request\"\nidentity = { preset = \"x-auth-request\" }",
        );
        config.route(
            "custom",
            "path = \"/custom\"\nidentity = { preset = \"none\", headers = { X-Session = \"sid\" } }",
        );
    });
    world.person("ada").await;
    world
        .run(&["user", "set-roles", "ada@example.com", "staff", "billing"])
        .done();
    let ada = world.person("ben").await;
    world.run(&["user", "set-roles", &ada.email, "staff", "billing"]).done();
    let ada = ada.again().await;

    ada.get("/remote").await.is(200);
    assert_eq!(upstream.last().value("remote-user"), ada.email);
    assert_eq!(upstream.last().value("remote-groups"), "staff,billing");
    assert!(upstream.last().values("x-forwarded-user").is_empty());
    ada.get("/request").await.is(200);
    assert_eq!(upstream.last().value("x-auth-request-user"), ada.id);
    ada.get("/custom").await.is(200);
    assert_eq!(
        upstream.last().value("x-session"),
        crate::world::forge::part(&ada.access, 1)["sid"].as_str().unwrap()
    );
    assert!(upstream.last().values("x-forwarded-user").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_assertion_verifies_against_the_jwks_and_is_no_access_token() {
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

    let set = world.client().get("/.well-known/jwks.json").send().await.is(200).json();
    let set: JwkSet = serde_json::from_value(set).expect("a JWK set");
    let header = jsonwebtoken::decode_header(&assertion).expect("a header");
    assert_eq!(header.typ.as_deref(), Some("gateward-assertion+jwt"));
    let key = DecodingKey::from_jwk(set.find(header.kid.as_deref().expect("a kid")).expect("its key")).expect("a key");
    let mut wanted = Validation::new(Algorithm::RS256);
    wanted.set_audience(&["proved"]);
    wanted.set_issuer(&[world.origin()]);
    let claims = jsonwebtoken::decode::<Value>(&assertion, &key, &wanted)
        .expect("the assertion verifies")
        .claims;
    assert_eq!(claims["sub"], ada.id.as_str());
    let life = claims["exp"]
        .as_u64()
        .zip(claims["iat"].as_u64())
        .map(|(exp, iat)| exp - iat)
        .expect("a life");
    assert!(life <= 60, "{life} s");

    let reused = world.client().get("/things").bearer(&assertion).send().await;
    reused.problem(401, "invalid_token");
}
