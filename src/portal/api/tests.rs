//! The JSON face, asked without a network. Every answer is compared with the document that describes it.

use http::HeaderValue;
use http::header::{AUTHORIZATION, COOKIE};
use http::uri::Authority;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use super::*;
use crate::auth::world::{PASSWORD, World, caller};
use crate::portal::openapi::{self, conformity::Described};

const OURS: &str = "https://localhost:8443";

struct Site {
    world: World,
    api: Api,
    described: Described,
}

/// What came back.
struct Got {
    head: http::response::Parts,
    body: Value,
}

impl Got {
    #[track_caller]
    fn is(self, status: u16) -> Self {
        assert_eq!(
            self.head.status.as_u16(),
            status,
            "{} {:?}",
            self.body,
            self.head.headers
        );
        self
    }

    #[track_caller]
    fn into_problem(self, status: u16, code: &str) -> Self {
        let got = self.is(status);
        assert_eq!(got.body["code"], code);
        assert_eq!(got.body["instance"], "a-request");
        got
    }

    /// The value of a cookie that is set; an empty one takes it away.
    fn cookie(&self, name: &str) -> Option<String> {
        let lines = self.head.headers.get_all(SET_COOKIE).iter();
        let pairs = lines.filter_map(|line| line.to_str().ok()?.split(';').next()?.split_once('='));
        pairs
            .filter(|(of, _)| *of == name)
            .map(|(_, value)| value.to_owned())
            .next()
    }

    fn cookies(&self) -> (Option<String>, Option<String>) {
        (self.cookie(cookie::ACCESS), self.cookie(cookie::REFRESH))
    }

    fn text(&self, member: &str) -> String {
        self.body[member].as_str().unwrap().to_owned()
    }
}

impl Site {
    async fn new() -> Self {
        let world = World::new().await;
        let api = Api {
            base: "/auth".to_owned(),
            public_url: Uri::from_static(OURS),
            name: "Gateward".to_owned(),
            auth: world.auth.clone(),
            providers: Arc::default(),
            tokens: world.tokens.clone(),
            related_origins: vec!["https://example.net".to_owned()],
            description: openapi::document("/auth", &Uri::from_static(OURS), true),
        };
        let described = Described::new(&api.description);
        Self { world, api, described }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Got {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let origin = Origin {
            caller: caller(),
            peer: caller().ip,
            peer_text: HeaderValue::try_from(caller().ip.to_string()).unwrap(),
            trusted: false,
            https: true,
            authority: Authority::from_static("localhost:8443"),
        };
        let answer = self
            .api
            .answer(&origin, request.body(Full::new(body.into())).unwrap())
            .await;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let asked = (&Method::try_from(method).unwrap(), path);
        self.described.must_describe(asked, head.status, &head.headers, &body);
        Got { head, body }
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: Value) -> Got {
        let headers = [&[("content-type", "application/json")], headers].concat();
        self.ask("POST", path, &headers, body.to_string()).await
    }

    /// Signs Ada in, over cookies unless told otherwise.
    async fn login(&self, more: Value) -> Got {
        let mut body = json!({"email": "ada@example.com", "password": PASSWORD});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.post("/auth/login", &[], body).await.is(200)
    }

    async fn registered() -> Self {
        let site = Self::new().await;
        site.world.register().await;
        site
    }
}

fn jar(got: &Got) -> String {
    let (access, refresh) = got.cookies();
    format!(
        "{}={}; {}={}",
        cookie::ACCESS,
        access.unwrap(),
        cookie::REFRESH,
        refresh.unwrap()
    )
}

fn cleared_both() -> (Option<String>, Option<String>) {
    (Some(String::new()), Some(String::new()))
}

#[tokio::test]
async fn registering_signing_in_and_seeing_oneself() {
    let site = Site::new().await;
    let body = json!({"email": "Ada@Example.com", "password": PASSWORD, "unknown": 1});
    let made = site.post("/auth/register", &[], body).await.is(201);
    assert_eq!(made.body["user"]["email"], "ada@example.com");
    assert_eq!(made.body["user"].as_object().unwrap().len(), 3);

    let got = site.login(json!({})).await;
    assert_eq!(got.head.headers[CACHE_CONTROL], "no-store");
    assert_eq!(
        (got.body["token_type"].as_str(), got.body["expires_in"].as_u64()),
        (Some("Bearer"), Some(900))
    );
    assert_eq!(got.body.get("refresh_token"), None);
    assert_eq!(got.cookie(cookie::ACCESS).unwrap(), got.text("access_token"));
    let life = format!("Max-Age={}", 14 * 24 * 3600);
    for line in got.head.headers.get_all(SET_COOKIE) {
        let line = line.to_str().unwrap();
        let is_device = line.starts_with(cookie::DEVICE);
        assert!(is_device || line.ends_with(&life), "as long as the session");
    }

    let cookies = jar(&got);
    let bearer = format!("Bearer {}", got.text("access_token"));
    for (name, value) in [("cookie", cookies.as_str()), ("authorization", bearer.as_str())] {
        let me = site.ask("GET", "/auth/me", &[(name, value)], "").await.is(200);
        assert_eq!(me.body["user"]["id"], made.body["user"]["id"]);
        assert_eq!(me.body["session"]["amr"], json!(["pwd"]));
        assert!(me.body["user"]["created_at"].as_str().unwrap().ends_with('Z'));
    }
}

#[tokio::test]
async fn tokens_in_the_body_come_without_cookies_and_are_refreshed_there() {
    let site = Site::registered().await;
    let got = site.login(json!({"transport": "body"})).await;
    assert_eq!(got.cookies(), (None, None));
    assert_eq!(got.body["refresh_expires_in"], 14 * 24 * 3600);
    let token = got.text("refresh_token");
    let next = site
        .post("/auth/refresh", &[], json!({"refresh_token": token}))
        .await
        .is(200);
    assert_ne!(next.text("refresh_token"), token);
    assert_eq!(next.cookies(), (None, None));
    let other = site.post(
        "/auth/login",
        &[],
        json!({"email": "a", "password": "b", "transport": "pigeon"}),
    );
    other.await.into_problem(400, "bad_request");
}

#[tokio::test]
async fn a_refresh_by_cookie_answers_by_cookie() {
    let site = Site::registered().await;
    let cookies = jar(&site.login(json!({})).await);
    let headers = [("cookie", cookies.as_str()), ("sec-fetch-site", "same-origin")];
    let got = site.ask("POST", "/auth/refresh", &headers, "").await.is(200);
    assert!(jar(&got) != cookies && got.body.get("refresh_token").is_none());
    let both = site
        .post("/auth/refresh", &headers, json!({"refresh_token": "x"}))
        .await;
    both.into_problem(400, "bad_request");
    site.ask("POST", "/auth/refresh", &[], "")
        .await
        .into_problem(401, "no_token");
}

#[tokio::test]
async fn cookies_go_only_when_the_session_is_certainly_over() {
    let site = Site::registered().await;
    let own = ("origin", OURS);
    let cookies = jar(&site.login(json!({})).await);
    let refresh = async |cookies: &str| site.ask("POST", "/auth/refresh", &[("cookie", cookies), own], "").await;

    site.world.sessions.set_down(true);
    let failed = refresh(&cookies).await.into_problem(503, "store_unavailable");
    assert!(failed.cookies() == (None, None) && failed.head.headers.contains_key("retry-after"));
    site.world.sessions.set_down(false);

    let forged = format!("{}=bm9uc2Vuc2U", cookie::REFRESH);
    let got = refresh(&forged).await.into_problem(401, "invalid_token");
    assert_eq!(got.cookies(), (None, None));
    let second = jar(&refresh(&cookies).await.is(200));
    refresh(&second).await.is(200);
    let reused = refresh(&cookies).await.into_problem(401, "invalid_token");
    assert_eq!(reused.cookies(), cleared_both());
}

#[tokio::test]
async fn signing_out_clears_this_browser_even_when_the_store_is_away() {
    let site = Site::registered().await;
    let cookies = jar(&site.login(json!({})).await);
    let headers = [("cookie", cookies.as_str()), ("origin", OURS)];
    site.world.ephemeral.set_down(true);
    let failed = site
        .ask("POST", "/auth/logout", &headers, "")
        .await
        .into_problem(503, "store_unavailable");
    assert_eq!(failed.cookies(), cleared_both());
    assert!(failed.text("detail").contains("may live on"));
    site.world.ephemeral.set_down(false);

    let out = site.ask("POST", "/auth/logout", &headers, "").await.is(204);
    assert_eq!(out.cookies(), cleared_both());
    assert_eq!(out.head.headers["clear-site-data"], r#""cache", "storage""#);
    site.ask("GET", "/auth/me", &headers, "")
        .await
        .into_problem(401, "invalid_token");
    site.ask("POST", "/auth/logout", &headers, "").await.is(204);
    site.ask("POST", "/auth/logout", &[], "").await.is(204);
}

#[tokio::test]
async fn a_request_by_cookie_must_come_from_our_own_pages() {
    let site = Site::registered().await;
    let cookies = jar(&site.login(json!({})).await);
    for path in [
        "/auth/logout",
        "/auth/logout/all",
        "/auth/refresh",
        "/auth/password",
        "/auth/email",
        "/auth/confirm",
        "/auth/login",
    ] {
        for proof in [
            ("x-none", ""),
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "cross-site"),
        ] {
            let headers = [("cookie", cookies.as_str()), proof];
            let got = site
                .ask("POST", path, &headers, "")
                .await
                .into_problem(403, "cross_site");
            assert_eq!(got.cookies(), (None, None));
        }
    }
    let headers = [("cookie", cookies.as_str())];
    site.ask("DELETE", "/auth/me", &headers, "")
        .await
        .into_problem(403, "cross_site");
    site.ask("GET", "/auth/me", &headers, "").await.is(200);
}

#[tokio::test]
async fn another_site_cannot_sign_anybody_in_out_or_up_without_cookies_either() {
    let site = Site::registered().await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    for path in ["/auth/login", "/auth/register", "/auth/logout"] {
        for proof in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
            site.post(path, &[proof], body.clone())
                .await
                .into_problem(403, "cross_site");
        }
    }
    site.post("/auth/login", &[("origin", OURS)], body.clone())
        .await
        .is(200);
    site.post("/auth/login", &[], body).await.is(200);
}

#[tokio::test]
async fn credentials_that_are_bad_doubled_or_disagree_are_refused() {
    let site = Site::registered().await;
    let ada = site.login(json!({})).await;
    site.world.register_as("ben@example.com").await;
    let ben = site.login(json!({"email": "ben@example.com"})).await;
    let cookies = jar(&ada);
    let me = async |headers: &[(&str, &str)]| site.ask("GET", "/auth/me", headers, "").await;
    let bearer = |got: &Got| format!("Bearer {}", got.text("access_token"));

    me(&[]).await.into_problem(401, "no_token");
    let bad = me(&[("cookie", &cookies), ("authorization", "Bearer nonsense")]).await;
    assert!(
        bad.into_problem(401, "invalid_token")
            .head
            .headers
            .contains_key("www-authenticate")
    );
    me(&[("cookie", &cookies), ("authorization", &bearer(&ben))])
        .await
        .into_problem(400, "bad_request");
    me(&[("cookie", &cookies), ("authorization", &bearer(&ada))])
        .await
        .is(200);
    me(&[("cookie", &cookies), ("authorization", "Basic YTpi")])
        .await
        .is(200);
    me(&[("cookie", &cookies), ("cookie", &cookies)])
        .await
        .into_problem(400, "bad_request");
    let twice = [
        (AUTHORIZATION.as_str(), bearer(&ada)),
        (AUTHORIZATION.as_str(), bearer(&ada)),
    ];
    me(&twice.each_ref().map(|(name, value)| (*name, value.as_str())))
        .await
        .into_problem(400, "bad_request");
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let site = Site::registered().await;
    let (here, there) = (site.login(json!({})).await, site.login(json!({})).await);
    let bearer = format!("Bearer {}", here.text("access_token"));
    let headers = [("authorization", bearer.as_str())];
    let list = site.ask("GET", "/auth/sessions", &headers, "").await.is(200);
    let list = list.body["sessions"].as_array().unwrap().clone();
    let other = list.iter().find(|session| session["current"] == false).unwrap();
    assert_eq!((list.len(), other["ip"].as_str()), (2, Some("192.0.2.1")));
    let path = format!("/auth/sessions/{}", other["id"].as_str().unwrap());
    site.ask("DELETE", &path, &headers, "").await.is(204);
    site.ask("DELETE", &path, &headers, "")
        .await
        .into_problem(404, "not_found");
    site.ask("DELETE", "/auth/sessions/nonsense", &headers, "")
        .await
        .into_problem(404, "not_found");
    let gone = format!("Bearer {}", there.text("access_token"));
    site.ask("GET", "/auth/me", &[("authorization", &gone)], "")
        .await
        .into_problem(401, "invalid_token");
}

#[tokio::test]
async fn a_password_is_changed_and_an_account_deleted() {
    let site = Site::registered().await;
    let bearer = format!("Bearer {}", site.login(json!({})).await.text("access_token"));
    let headers = [("authorization", bearer.as_str())];
    let new = "a quite different long sentence";
    let wrong = site
        .post(
            "/auth/password",
            &headers,
            json!({"current": "no, not this", "new": new}),
        )
        .await;
    wrong.into_problem(401, "invalid_credentials");
    let weak = site
        .post("/auth/password", &headers, json!({"current": PASSWORD, "new": "short"}))
        .await;
    weak.into_problem(422, "weak_password");
    site.post("/auth/password", &headers, json!({"current": PASSWORD, "new": new}))
        .await
        .is(204);
    let json = [headers[0], ("content-type", "application/json")];
    let gone = site
        .ask("DELETE", "/auth/me", &json, json!({"password": new}).to_string())
        .await
        .is(204);
    assert_eq!(gone.cookies(), cleared_both());
    site.ask("GET", "/auth/me", &headers, "")
        .await
        .into_problem(401, "invalid_token");
}

#[tokio::test]
async fn a_body_is_json_small_and_whole() {
    let site = Site::new().await;
    let json = ("content-type", "application/json; charset=utf-8");
    let send =
        async |headers: &[(&str, &str)], body: &str| site.ask("POST", "/auth/login", headers, body.to_owned()).await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
        send(&[("content-type", kind)], "{}")
            .await
            .into_problem(415, "unsupported_media_type");
    }
    send(&[], "{}").await.into_problem(415, "unsupported_media_type");
    send(&[json, json], "{}")
        .await
        .into_problem(415, "unsupported_media_type");
    for bad in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"email":1,"password":"x"}"#,
        r#"{"email":"a","email":"b","password":"c"}"#,
    ] {
        let got = send(&[json], bad).await.into_problem(400, "bad_request");
        assert!(!got.text("detail").contains("line"), "no parser's words");
    }
    let large = format!(r#"{{"email":"a","password":"{}"}}"#, "x".repeat(17_000));
    send(&[json], &large).await.into_problem(413, "payload_too_large");
    send(&[json], r#"{"email":"a","password":"b"}"#)
        .await
        .into_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn methods_and_paths_that_are_not_ours_are_told_so() {
    let site = Site::new().await;
    site.ask("GET", "/auth/nothing", &[], "")
        .await
        .into_problem(404, "not_found");
    let got = site
        .ask("GET", "/auth/logout", &[], "")
        .await
        .into_problem(405, "method_not_allowed");
    assert_eq!(got.head.headers[ALLOW], "POST, OPTIONS");
    let got = site
        .ask("OPTIONS", "/auth/me", &[("origin", "https://evil.example")], "")
        .await
        .is(204);
    assert_eq!(got.head.headers[ALLOW], "GET, HEAD, DELETE, OPTIONS");
    assert!(!got.head.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn the_public_keys_may_be_cached_and_have_a_head() {
    let site = Site::new().await;
    let keys = site.ask("GET", "/.well-known/jwks.json", &[], "").await.is(200);
    assert_eq!(keys.body["keys"].as_array().unwrap().len(), 1);
    assert!(
        keys.head.headers[CACHE_CONTROL]
            .to_str()
            .unwrap()
            .starts_with("public, max-age=")
    );
    let head = site.ask("HEAD", "/.well-known/jwks.json", &[], "").await.is(200);
    assert_eq!(head.body, Value::Null);
    assert!(
        head.head.headers[CONTENT_LENGTH]
            .to_str()
            .unwrap()
            .parse::<usize>()
            .unwrap()
            > 50
    );
}

#[tokio::test]
async fn an_unknown_account_and_a_wrong_password_get_the_same_answer() {
    let site = Site::registered().await;
    let mut answers = Vec::new();
    for email in ["ada@example.com", "nobody@example.com", "no address", ""] {
        let body = json!({"email": email, "password": "not the right password"});
        let got = site
            .post("/auth/login", &[], body)
            .await
            .into_problem(401, "invalid_credentials");
        answers.push((got.head.headers, got.body));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert!(!answers[0].0.contains_key(COOKIE));
}
