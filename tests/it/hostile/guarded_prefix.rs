//! A guarded prefix within an open site: no spelling of its path leads round the guard. The upstream here is imagined to be as lenient as any: it decodes,
//! decodes again, folds case, drops parameters and forgets what Windows forgets.

use super::{arrived, frames, status};
use crate::world::{Config, Upstream, World};

/// Spellings that some server takes for `/admin/x`, or for what is below it.
pub(super) const SPELLINGS: &[&str] = &[
    "/%61dmin/x",
    "/%61%64%6d%69%6e/x",
    "/admi%6E/x",
    "/%2561dmin/x",
    "/%252561dmin/x",
    "/ADMIN/x",
    "/Admin/x",
    "/aDmIn",
    "/admin;v=1/x",
    "/admin;/x",
    "/admin%3bv=1/x",
    "/admin%3Fx",
    "/admin%23x",
    "/admin%2fx",
    "/admin%2Fx",
    "/admin%252fx",
    "/admin%5cx",
    "/admin\\x",
    "/admin./x",
    "/admin.",
    "/admin%2e/x",
    "/admin%20/x",
    "/admin%20",
    "/admin%00/x",
    "/admin%00.css",
    "/admin%09",
    "//admin/x",
    "///admin/x",
    "/%2fadmin/x",
    "/%2f%2fadmin/x",
    "/\\admin/x",
    "/./admin/x",
    "/%2e/admin/x",
    "/.;/admin/x",
    "/;/admin/x",
    "/;v/admin/x",
    "/open/../admin/x",
    "/open/%2e%2e/admin/x",
    "/open/.%2e/admin/x",
    "/open/%2E./admin/x",
    "/open/..%2fadmin/x",
    "/open%2f..%2fadmin/x",
    "/open/..%5cadmin/x",
    "/open/..;/admin/x",
    "/open/..;v=1/admin/x",
    "/open/..%3b/admin/x",
    "/open/%252e%252e/admin/x",
    "/open/%25252e%25252e/admin/x",
    "/open/%252e%252e%252fadmin/x",
    "/open/%c0%ae%c0%ae/admin/x",
    "/open/%e0%80%ae%e0%80%ae/admin/x",
    "/%c0%afadmin/x",
    "/%u0061dmin/x",
    "/%u002e%u002e/admin/x",
    "/%1admin",
    "/admin%",
    "/strip/../admin/x",
    "/strip/%2e%2e/admin/x",
    "/strip/%252e%252e/admin/x",
    "/open/x/../../admin",
    "/admin/../admin/x",
    "/admin#x",
    "/%61dmin#/../open",
    "/admin?x=/open",
    "/admin/x?/../open#/open",
    "/adm\tin",
    "/adm\u{7f}in",
];

/// A guarded `/admin` within an open site.
pub(super) fn routes(config: &mut Config) {
    config.route("app", "auth = \"public\"");
    config.route("admin", "path = \"/admin\"");
    config.route("open", "path = \"/open\"\nauth = \"public\"");
    config.route("strip", "path = \"/strip\"\nauth = \"public\"\nstrip_prefix = true");
    config.route(
        "lax",
        "path = \"/lax\"\nauth = \"public\"\npath_exceptions = [\";\", \"%2F\"]",
    );
}

fn world(upstream: &Upstream) -> World {
    World::with(upstream, routes)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_guarded_path_gets_round_the_guard() {
    let upstream = Upstream::friendly();
    let world = world(&upstream);
    let host = world.authority();
    for path in SPELLINGS {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let seen = status(&world, &head);
        assert!(matches!(seen, 400 | 401), "{path}: {seen:?}");
    }
    assert!(arrived(&upstream).is_empty(), "{:?}", arrived(&upstream));
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_in_absolute_form_nor_over_http_2() {
    let upstream = Upstream::friendly();
    let world = world(&upstream);
    let host = world.authority();
    for path in SPELLINGS {
        let head = format!("GET https://{host}{path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let seen = status(&world, &head);
        assert!(matches!(seen, 400 | 401), "{path}: {seen:?}");
        let head = [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", host.as_str()),
            (":path", path),
        ];
        let answer = frames::ask(&world, &head, b"");
        assert!(matches!(answer, None | Some(400 | 401)), "{path}: {answer:?}");
    }
    assert!(arrived(&upstream).is_empty(), "{:?}", arrived(&upstream));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_lets_odd_characters_through_is_no_way_round_either() {
    let upstream = Upstream::friendly();
    let world = world(&upstream);
    for path in [
        "/lax/..;/admin",
        "/lax/..%2fadmin",
        "/lax/%2e%2e%2fadmin",
        "/lax/..;x=1/admin",
        "/lax/a%2f..%2f..%2fadmin",
        "/lax%2f..%2fadmin",
    ] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", world.authority());
        let seen = status(&world, &head);
        assert!(matches!(seen, 400 | 401), "{path}: {seen:?}");
    }
    for path in ["/lax/a;v=1/b", "/lax/a%2fb", "/lax;v=1"] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", world.authority());
        let seen = status(&world, &head);
        assert!(matches!(seen, 200 | 400), "{path}: {seen:?}");
    }
    assert!(
        arrived(&upstream).iter().all(|path| path.starts_with("/lax/a")),
        "{:?}",
        arrived(&upstream)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ordinary_paths_with_capitals_and_escapes_go_on_byte_for_byte() {
    let upstream = Upstream::friendly();
    let world = world(&upstream);
    let paths = [
        "/open/Caf%C3%A9",
        "/open/a%20b",
        "/open/%7Eada",
        "/open/%41%42",
        "/open/ADMIN/x",
        "/open/x.css",
        "/open/a%2525",
        "/Download/Report.PDF",
        "/.well-known/security.txt",
        "/open/?admin=/../admin",
    ];
    for path in paths {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", world.authority());
        assert_eq!(status(&world, &head), 200, "{path}");
    }
    assert_eq!(arrived(&upstream), paths);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_of_our_own_is_taken_for_one_of_an_upstream() {
    let upstream = Upstream::friendly();
    let world = world(&upstream);
    for path in [
        "/auth",
        "/auth/",
        "/auth/nothing",
        "/auth/login/x",
        "/auth/../admin",
        "/auth//x",
        "/.well-known/jwks.json",
    ] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", world.authority());
        status(&world, &head);
    }
    assert_eq!(upstream.count(), 0, "{:?}", arrived(&upstream));
}
