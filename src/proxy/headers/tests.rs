//! Every way known to get a header of one's own past the boundary.

use proptest::prelude::*;

use super::*;
use crate::proxy::world::{origin, route};

const CREDENTIAL: Spared = Spared {
    authorization: true,
    proxy: false,
};

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    map
}

fn sent(origin: &Origin, lines: &[(&str, &str)]) -> HeaderMap {
    let route = route();
    let mut headers = headers(lines);
    let prior = Prior::read(origin, &headers);
    let spared = Spared {
        authorization: true,
        proxy: origin.trusted,
    };
    Boundary::new([&route].into_iter()).strip_request(&mut headers, spared);
    let told = Told {
        origin,
        route: &route,
        who: None,
        assertion: None,
    };
    tell(&mut headers, told, prior);
    headers
}

#[track_caller]
fn says(headers: &HeaderMap, name: &str, expected: &[&str]) {
    let found: Vec<&str> = headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect();
    assert_eq!(found, expected, "{name}");
}

#[test]
fn a_managed_name_that_begins_with_a_sign_is_taken_off_as_well() {
    let mut odd = route();
    odd.identity.headers = vec![(HeaderName::from_static("_user"), crate::config::Claim::Subject)];
    let boundary = Boundary::new([&odd].into_iter());
    for name in ["_user", "_USER", "-user", "~user"] {
        let mut headers = headers(&[(name, "root")]);
        boundary.strip_request(&mut headers, CREDENTIAL);
        assert!(headers.is_empty(), "{name}");
    }
}

#[test]
fn no_spelling_of_a_managed_name_gets_through() {
    for name in [
        "Proxy",
        "X-Forwarded-User",
        "x_forwarded_user",
        "X.Forwarded-User",
        "x-forwarded.email",
        "X_Forwarded-Groups",
        "x-forwarded-preferred-username",
        "x~forwarded!user",
        "Remote-User",
        "remote_user",
        "remote.groups",
        "REMOTE_EMAIL",
        "X-Auth-Request-User",
        "x_auth_request_email",
        "x-auth-request-access-token",
        "X-Gateward-Assertion",
        "x_gateward_assertion",
        "x-gateward-anything",
        "X-Real-IP",
        "x_real_ip",
        "x_request_id",
        "x_forwarded_for",
        "x_forwarded_host",
        "x-forwarded-port",
        "tenant-id",
        "Tenant_Id",
        "tenant.id",
        "X-Original-URL",
        "x_original_uri",
        "X-Rewrite.Url",
        "Client-IP",
        "x_client_ip",
        "True-Client-IP",
        "CF-Connecting-IP",
        "cf_connecting_ipv6",
        "Fastly-Client-IP",
        "X-Cluster-Client-Ip",
        "X-Vhm-Root",
        "X-Outside-Url",
        "X-Scheme",
        "$WSSN",
        "WL-Proxy-SSL",
        "Remote-User-Group",
        "X-Proxy-User",
        "X-Arr-ClientCert",
        "SCRIPT_NAME",
        "Script-Name",
        "PATH_INFO",
        "Daphne-Root-Path",
        "X-Script-Name",
        "X-Original-Host",
        "X-HTTP-Host-Override",
        "WL-Proxy-Client-IP",
        "X-Sendfile-Type",
        "X_Accel_Mapping",
        "Client-Cert",
        "Client-Cert-Chain",
        "SSL_CLIENT_S_DN",
        "X-SSL-Client-Verify",
        "X-Remote-User",
        "X-Remote-Extra-Scopes",
        "X-WebAuth-User",
        "Cf-Access-Authenticated-User-Email",
        "X-Amzn-Oidc-Identity",
        "X-MS-CLIENT-PRINCIPAL-NAME",
        "Tailscale-User-Login",
    ] {
        let headers = sent(&origin(false), &[(name, "forged"), (name, "twice"), ("accept", "*/*")]);
        assert!(
            headers.values().all(|value| value != "forged" && value != "twice"),
            "{name}"
        );
        assert!(headers.contains_key("accept"));
    }
}

#[test]
fn what_overrides_the_method_is_taken_off_where_a_route_judges_by_method() {
    let mut by_method = route();
    by_method.methods = vec![http::Method::GET];
    for name in ["X-HTTP-Method-Override", "x_http_method", "X-Method-Override"] {
        let left = |routes: &[&Route]| {
            let mut headers = headers(&[(name, "DELETE")]);
            Boundary::new(routes.iter().copied()).strip_request(&mut headers, CREDENTIAL);
            headers.len()
        };
        assert_eq!(left(&[&route()]), 1, "{name}: the application's own");
        assert_eq!(left(&[&route(), &by_method]), 0, "{name}");
    }
}

#[test]
fn where_a_trusted_proxy_says_its_client_is_goes_on_and_where_it_points_to_does_not() {
    let lines = [("cf-connecting-ip", "203.0.113.9"), ("x-original-url", "/admin")];
    let headers = sent(&origin(true), &lines);
    says(&headers, "cf-connecting-ip", &["203.0.113.9"]);
    says(&headers, "x-original-url", &[]);
}

#[test]
fn ordinary_names_stay() {
    for name in [
        "x-forward",
        "x-forwardeduser",
        "remote-users",
        "referer",
        "x-requested-with",
        "x-real",
        "tenant",
        "forwarded-to",
        "range",
        "x-original",
        "x-original-filename",
        "x-hosts",
        "script",
        "path",
        "cf-ray",
        "client-id",
        "x-sslish",
        "x-arr-log-id",
        "x-vhm",
        "scheme",
        "destination",
        "x-remotely",
        "x-http-method-override",
        "client",
        "content-length",
    ] {
        says(&sent(&origin(false), &[(name, "kept")]), name, &["kept"]);
    }
}

#[test]
fn every_connection_line_names_fields_to_take_off_and_never_ours() {
    let headers = sent(
        &origin(false),
        &[
            ("connection", "close, X-Secret"),
            ("Connection", "x-other,x-forwarded-for, X-Request-Id,host"),
            ("x-secret", "1"),
            ("x-other", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("upgrade", "websocket"),
            ("proxy-authorization", "Basic x"),
            ("proxy-connection", "keep-alive"),
            ("expect", "100-continue"),
            ("accept", "*/*"),
        ],
    );
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "forwarded",
            "host",
            "traceparent",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-request-id"
        ]
    );
}

#[test]
fn where_a_request_comes_from_is_what_we_saw() {
    let forged = [
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "evil.test"),
        ("forwarded", "for=10.0.0.1"),
        ("x-request-id", "mine"),
        ("host", "app.test:8443"),
    ];
    let headers = sent(&origin(false), &forged);
    says(&headers, "x-forwarded-for", &["192.0.2.1"]);
    says(&headers, "x-forwarded-proto", &["https"]);
    says(&headers, "x-forwarded-host", &["app.test:8443"]);
    says(
        &headers,
        "forwarded",
        &["for=192.0.2.1;host=\"app.test:8443\";proto=https"],
    );
    says(&headers, "x-request-id", &["0190a3b2-7c4d-7e5f-8a9b-0c1d2e3f4a5b"]);
    says(&headers, "host", &["app.test:8443"]);
}

#[test]
fn a_request_id_of_zeros_begins_no_trace_of_zeros() {
    let mut origin = origin(true);
    origin.caller.request_id = "00000000-0000-0000-0000-000000000000".into();
    let headers = sent(&origin, &[]);
    let trace = headers.get("traceparent").unwrap().to_str().unwrap();
    assert!(!trace.contains("0000000000000000"), "{trace}");
}

#[test]
fn a_trusted_proxy_is_appended_to() {
    let lines = [
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-for", "198.51.100.2"),
        ("x_forwarded_for", "10.0.0.1"),
        ("x-forwarded-host", "public.test"),
        ("forwarded", "for=203.0.113.9"),
    ];
    let headers = sent(&origin(true), &lines);
    says(&headers, "x-forwarded-for", &["203.0.113.9, 198.51.100.2, 192.0.2.1"]);
    says(&headers, "x_forwarded_for", &[]);
    says(&headers, "x-forwarded-host", &["public.test"]);
    says(
        &headers,
        "forwarded",
        &["for=203.0.113.9, for=192.0.2.1;host=\"app.test:8443\";proto=https"],
    );
    let two = sent(
        &origin(true),
        &[("x-forwarded-host", "a.test"), ("x-forwarded-host", "b.test")],
    );
    says(&two, "x-forwarded-host", &["app.test:8443"]);
}

#[test]
fn a_valid_trace_goes_on_and_any_other_begins_anew() {
    let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let kept = sent(&origin(false), &[("traceparent", valid), ("tracestate", "a=b")]);
    says(&kept, "traceparent", &[valid]);
    says(&kept, "tracestate", &["a=b"]);
    let begun = "00-0190a3b27c4d7e5f8a9b0c1d2e3f4a5b-8a9b0c1d2e3f4a5b-01";
    for bad in [
        "",
        "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ] {
        let headers = sent(&origin(false), &[("traceparent", bad), ("tracestate", "a=b")]);
        says(&headers, "traceparent", &[begun]);
        says(&headers, "tracestate", &[]);
    }
    says(
        &sent(&origin(false), &[("traceparent", valid), ("traceparent", valid)]),
        "traceparent",
        &[begun],
    );
}

#[test]
fn our_credentials_stay_here() {
    let route = route();
    let boundary = Boundary::new([&route].into_iter());
    let lines = [("cookie", "a=1; __Host-gateward=t; b=2"), ("authorization", "Bearer t")];
    let mut kept = headers(&lines);
    boundary.strip_request(&mut kept, CREDENTIAL);
    says(&kept, "cookie", &["a=1; b=2"]);
    says(&kept, "authorization", &["Bearer t"]);
    let mut taken = headers(&lines);
    boundary.strip_request(&mut taken, Spared::default());
    says(&taken, "authorization", &[]);
}

#[test]
fn an_upstream_cannot_speak_in_our_name() {
    let route = route();
    let mut answer = headers(&[
        ("connection", "close, x-private"),
        ("x-private", "1"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("trailer", "x-sum"),
        ("set-cookie", "__Host-gateward=x"),
        ("set-cookie", "theirs=1"),
        ("x-gateward-assertion", "x"),
        ("x-frame-options", "DENY"),
        ("x-forwarded-user", "theirs to say"),
    ]);
    Boundary::new([&route].into_iter()).strip_response(&mut answer);
    let mut names: Vec<&str> = answer.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["set-cookie", "trailer", "x-forwarded-user", "x-frame-options"]);
    says(&answer, "set-cookie", &["theirs=1"]);
}

#[test]
fn an_upgrade_must_be_named_by_connection() {
    let websocket = headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
    assert!(wanted_upgrade(&websocket).is_some());
    assert!(wanted_upgrade(&headers(&[("upgrade", "websocket")])).is_none());
    assert!(
        wanted_upgrade(&headers(&[
            ("connection", "upgrade"),
            ("upgrade", "a"),
            ("upgrade", "b")
        ]))
        .is_none()
    );
}

/// As RFC 3875 §4.1.18 and its imitators fold a name; written anew here, so that the boundary is not judged by itself.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
        .replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

fn is_managed(name: &str) -> bool {
    let name = folded(name);
    let families = FAMILIES
        .iter()
        .chain(&FAMILIES_OF_PROXIES)
        .any(|family| name == *family || name.starts_with(&format!("{family}-")));
    let standing = [HOP_BY_HOP.as_slice(), &MANAGED, &REROUTING, &OF_PROXIES];
    families || name == "tenant-id" || standing.iter().any(|names| names.contains(&&*name))
}

proptest! {
    #[test]
    fn whatever_a_client_names_no_managed_field_is_left_and_no_other_is_touched(
        names in prop::collection::vec("(x|X|remote|tenant|proxy|keep|accept|te|client|cf)?[-_.~]?(forwarded|Forwarded|real|auth|request|alive|gateward|original|client|connecting)?[-_.~]?(user|USER|ip|id|for|x|url|URL)?", 0..12),
        nominated in prop::collection::vec("(close|accept|x-forwarded-user|keep-alive|tenant-id|,| |x-y)", 0..4),
    ) {
        let mut before = HeaderMap::new();
        for name in names.iter().filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok()) {
            before.append(name, HeaderValue::from_static("client"));
        }
        before.append(CONNECTION, nominated.join(",").parse().unwrap());
        let mut after = before.clone();
        Boundary::new([&route()].into_iter()).strip_request(&mut after, CREDENTIAL);
        prop_assert!(after.keys().all(|name| !is_managed(name.as_str())), "{after:?}");
        let named = |name: &HeaderName| nominated.iter().any(|word| word == name.as_str());
        for name in before.keys().filter(|name| !is_managed(name.as_str()) && !named(name)) {
            prop_assert!(before.get_all(name).iter().eq(after.get_all(name).iter()), "{name}");
        }
    }
}
