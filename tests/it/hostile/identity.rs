//! A forged identity by every road: each kind of route, each way to name a header, each way to have ours taken off.

use serde_json::Value;

use super::frames::{self, Frames};
use crate::world::upstream::Recorded;
use crate::world::{Config, Upstream, World};

/// Header lines with which clients got past the header boundary of some proxy, or of the application behind it.
pub(super) const FORGERIES: &[&str] = &[
    // oauth2-proxy GHSA-vjrc-mh2v-45x6, Caddy GHSA-f59h-q822-g45g: underscores.
    "X_Forwarded_User: root",
    "x-forwarded_user: root",
    "Remote_User: root\r\nREMOTE_GROUPS: admin",
    // Other signs that CGI and its imitators fold.
    "X~Forwarded~User: root\r\nX!Forwarded!User: root\r\nX'Forwarded'User: root\r\nX|Forwarded|User: root",
    "X.Forwarded.User: root\r\nX#Forwarded#User: root\r\nX*Forwarded+User: root",
    // Caddy GHSA-7r4p-vjf4-gxv4: names that this route does not set.
    "X-Forwarded-Preferred-Username: root\r\nX-Forwarded-Access-Token: root\r\nX-Auth-Request-Preferred-Username: root",
    "Remote-User: root\r\nRemote-Groups: admin\r\nRemote-Name: root\r\nRemote-Email: root@example.com",
    "X-Auth-Request-User: root\r\nX-Auth-Request-Groups: admin\r\nX-Gateward-Assertion: root\r\nX-Gateward-User: root",
    // Traefik CVE-2021-32813 and GHSA-62c8-mh53-4cqv: ours named in Connection.
    "Connection: X-Forwarded-User, X-Forwarded-Email, X-Forwarded-Groups, X-Request-Id, X-Forwarded-For",
    "Connection: close\r\nConnection: x-forwarded-user",
    "CONNECTION: keep-alive\r\ncOnNeCtIoN: ,,X-FORWARDED-USER ,\tx-forwarded-email",
    "Keep-Alive: x-forwarded-user\r\nProxy-Connection: x-forwarded-user\r\nTrailer: X-Forwarded-User",
    // An empty value, a list, spaces.
    "X-Forwarded-User:\r\nX-Forwarded-User: root",
    "X-Forwarded-User: root, admin\r\nX-Forwarded-User:  root",
    // httpoxy, CVE-2016-5385.
    "Proxy: http://root.example",
    // A request id and addresses of one's own, Traefik GHSA-h924-8g65-j9wg.
    "X-Request-Id: root\r\nX_Request_Id: root\r\nX-Forwarded-For: root\r\nX-Forwarded-Prefix: /root\r\nX-Real-Ip: root\r\nForwarded: for=root",
];

/// Routes of each kind: path, and who is named there when ada asks with her token.
const ROUTES: &[(&str, bool)] = &[
    ("/things", true),
    ("/optional", true),
    ("/public/x", false),
    ("/stripped/x", false),
    ("/socket", true),
    ("/plain", false),
    ("/whoami", true),
];

/// A route of each kind.
pub(super) fn routes(config: &mut Config) {
    config.route(
        "stripped",
        "path = \"/stripped\"\nauth = \"public\"\nstrip_prefix = true",
    );
    config.route("socket", "path = \"/socket\"\nwebsocket = true");
    config.route("plain", "path = \"/plain\"\nidentity = { preset = \"none\" }");
    config.route(
        "signed",
        "path = \"/signed\"\nidentity = { preset = \"none\", headers = { _Odd-User = \"sub\" } }",
    );
}

fn world(upstream: &Upstream) -> World {
    World::with(upstream, routes)
}

/// Fails when an upstream's head says anything that only we may say, beyond ada's name where she is known.
#[track_caller]
pub(super) fn is_honest(what: &str, request: &Recorded, ada: Option<&str>) {
    let head = request.head.to_ascii_lowercase();
    assert!(!head.contains("root") && !head.contains("admin"), "{what}: {head}");
    let users: Vec<String> = request
        .head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| {
            name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
                .eq_ignore_ascii_case("x-forwarded-user")
        })
        .map(|(_, value)| value.trim().to_owned())
        .collect();
    assert_eq!(users, ada.into_iter().collect::<Vec<_>>(), "{what}: {head}");
    for name in [
        "x-request-id",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "host",
    ] {
        assert_eq!(request.values(name).len(), 1, "{what}: {name} in {head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_forgery_reaches_an_upstream_on_any_kind_of_route() {
    let upstream = Upstream::friendly();
    let world = world(&upstream);
    let ada = world.person("ada").await;
    let host = world.authority();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket";
    for (path, identified) in ROUTES {
        for forgery in FORGERIES {
            let more = if *path == "/socket" { upgrade } else { "X-Plain: 1" };
            let head = format!(
                "GET {path} HTTP/1.1\r\nHost: {host}\r\n{forgery}\r\nAuthorization: Bearer {}\r\n{more}\r\n\r\n",
                ada.access
            );
            let answer = world.tls().ask(&head);
            assert_eq!(answer.status, 200, "{path} {forgery}: {answer:?}");
            if *path == "/whoami" {
                let told: Value = serde_json::from_slice(&answer.body).expect("JSON");
                assert_eq!(
                    told["headers"]["x-forwarded-user"],
                    ada.id.as_str(),
                    "{forgery}: {told}"
                );
                assert!(!answer.text().contains("root"), "{forgery}: {told}");
            } else {
                is_honest(
                    &format!("{path} {forgery}"),
                    &upstream.last(),
                    identified.then_some(ada.id.as_str()),
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_without_a_token_nor_over_http_2() {
    let upstream = Upstream::friendly();
    let world = world(&upstream);
    let host = world.authority();
    for path in ["/public/x", "/optional", "/stripped/x"] {
        for forgery in FORGERIES {
            let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{forgery}\r\n\r\n");
            assert_eq!(world.tls().ask(&head).status, 200, "{path} {forgery}");
            is_honest(&format!("{path} {forgery}"), &upstream.last(), None);
        }
        for forgery in FORGERIES
            .iter()
            .filter(|lines| !lines.to_ascii_lowercase().contains("connection"))
        {
            let lines: Vec<(String, &str)> = forgery
                .split("\r\n")
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
                .collect();
            let mut fields = frames::get(&host, path);
            fields.extend(lines.iter().map(|(name, value)| (name.as_str(), *value)));
            assert_eq!(frames::ask(&world, &fields, b""), Some(200), "{path} {forgery}");
            is_honest(&format!("{path} {forgery}"), &upstream.last(), None);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_of_ones_own_choice_is_taken_off_on_every_route_however_it_begins() {
    let upstream = Upstream::friendly();
    let world = world(&upstream);
    let ada = world.person("ada").await;
    let lines = "_Odd-User: root\r\n-odd-user: root\r\n~odd_user: root\r\n_ODD_USER: root";
    for (path, expected) in [
        ("/public/x", &[][..]),
        ("/things", &[]),
        ("/signed", std::slice::from_ref(&ada.id)),
    ] {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\n{lines}\r\nAuthorization: Bearer {}\r\n\r\n",
            world.authority(),
            ada.access
        );
        assert_eq!(world.tls().ask(&head).status, 200, "{path}");
        let request = upstream.last();
        assert!(!request.head.contains("root"), "{path}: {}", request.head);
        assert_eq!(request.values("_odd-user"), expected, "{path}: {}", request.head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstreams_answer_takes_no_cookie_of_ours_in_its_trailers() {
    let upstream = Upstream::answering(|_| {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Set-Cookie, X-Sum\r\n\r\n5\r\nhello\r\n0\r\n\
         Set-Cookie: __Host-gateward=planted; Path=/; Secure\r\nX-Sum: 1\r\n\r\n"
            .to_owned()
    });
    let world = World::start(&upstream);
    let mut wire = world.tls();
    let head = format!(
        "GET /public HTTP/1.1\r\nHost: {}\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n",
        world.authority()
    );
    wire.send(head.as_bytes()).expect("a request");
    let all = String::from_utf8_lossy(&wire.rest().expect("an answer")).into_owned();
    assert!(all.contains("hello") && !all.contains("planted"), "{all}");

    // Over HTTP/2 they go on unasked; the line with the cookie alone would take more octets than these.
    let host = world.authority();
    let mut frames = Frames::open(&world);
    let head = frames::block(&frames::get(&host, "/public"));
    let flags = frames::END_HEADERS | frames::END_STREAM;
    frames.send(frames::HEADERS, flags, 1, &head).expect("a request");
    let trailers = loop {
        let frame = frames.next().expect("a frame");
        if frame.flags & frames::END_STREAM != 0 && matches!(frame.kind, frames::HEADERS | frames::DATA) {
            break frame;
        }
    };
    assert_eq!(trailers.kind, frames::HEADERS, "X-Sum is passed on");
    assert!(
        trailers.payload.len() < 24,
        "{} octets of trailers",
        trailers.payload.len()
    );
}
