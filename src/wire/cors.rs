//! Cross-origin resource sharing as a route allows it (Fetch §3.2): preflights answered, and our own answers made readable for those who may read them.
//!
//! An origin is compared with a list, never echoed unseen; `*` never goes together with credentials.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::{Body, reply};
use crate::config::Cors;

/// The method that a preflight asks for; `None`: the request is no preflight.
pub fn preflight(method: &Method, headers: &HeaderMap) -> Option<Method> {
    if method != Method::OPTIONS || !headers.contains_key(ORIGIN) {
        return None;
    }
    let asked = headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    Method::from_bytes(asked.as_bytes()).ok()
}

/// The answer to a preflight. A stranger's gets the same status and no permission: what it may not do, the browser then does not do.
pub fn answer(cors: &Cors, headers: &HeaderMap) -> Response<Body> {
    let mut response = reply::empty(StatusCode::NO_CONTENT);
    let answer = response.headers_mut();
    if !allow(cors, headers, answer) {
        return response;
    }
    let lists = [
        (
            ACCESS_CONTROL_ALLOW_METHODS,
            join(cors.methods.iter().map(Method::as_str)),
        ),
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            join(cors.headers.iter().map(http::HeaderName::as_str)),
        ),
    ];
    for (name, list) in lists {
        if let Some(list) = list {
            answer.insert(name, list);
        }
    }
    answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(cors.max_age.as_secs()));
    response
}

/// Lets the page that asked read an answer. What an upstream said about it stays as it is.
pub fn share(cors: &Cors, request: &HeaderMap, answer: &mut HeaderMap) {
    if answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) || !allow(cors, request, answer) {
        return;
    }
    answer.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("www-authenticate, retry-after, x-request-id"),
    );
}

/// Whether a request comes from an origin that may act for a person here, cookies and all.
pub fn trusts(cors: &Cors, headers: &HeaderMap) -> bool {
    cors.credentials && listed(cors, headers).is_some()
}

fn allow(cors: &Cors, request: &HeaderMap, answer: &mut HeaderMap) -> bool {
    answer.append(VARY, HeaderValue::from_static("origin"));
    let any = cors.any_origin && !cors.credentials && request.contains_key(ORIGIN);
    let allowed = match listed(cors, request) {
        Some(origin) => origin.clone(),
        None if any => HeaderValue::from_static("*"),
        None => return false,
    };
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    if cors.credentials {
        answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    true
}

fn listed<'a>(cors: &Cors, request: &'a HeaderMap) -> Option<&'a HeaderValue> {
    let mut lines = request.get_all(ORIGIN).iter();
    let origin = lines.next().filter(|_| lines.next().is_none())?;
    cors.origins
        .iter()
        .any(|known| known.as_bytes() == origin.as_bytes())
        .then_some(origin)
}

fn join<'a>(words: impl Iterator<Item = &'a str>) -> Option<HeaderValue> {
    let list = words.collect::<Vec<_>>().join(", ");
    HeaderValue::try_from(list).ok().filter(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn cors(credentials: bool, any_origin: bool) -> Cors {
        Cors {
            origins: vec!["https://app.example".to_owned()],
            any_origin,
            methods: vec![Method::GET, Method::PUT],
            headers: vec![http::header::CONTENT_TYPE],
            credentials,
            max_age: Duration::from_secs(600),
        }
    }

    fn from(origin: &'static str) -> HeaderMap {
        HeaderMap::from_iter([
            (ORIGIN, HeaderValue::from_static(origin)),
            (ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("PUT")),
        ])
    }

    #[test]
    fn a_preflight_of_a_listed_origin_is_allowed() {
        let headers = from("https://app.example");
        assert_eq!(preflight(&Method::OPTIONS, &headers), Some(Method::PUT));
        let response = answer(&cors(true, false), &headers);
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example");
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert_eq!(response.headers()[ACCESS_CONTROL_ALLOW_METHODS], "GET, PUT");
        assert_eq!(response.headers()[VARY], "origin");
    }

    #[test]
    fn a_stranger_is_never_reflected() {
        for stranger in [
            "https://evil.example",
            "null",
            "https://app.example.evil.example",
            "http://app.example",
        ] {
            let response = answer(&cors(true, false), &from(stranger));
            assert!(
                !response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN),
                "{stranger}"
            );
            assert!(!trusts(&cors(true, true), &from(stranger)), "{stranger}");
        }
    }

    #[test]
    fn any_origin_never_goes_with_credentials() {
        let open = answer(&cors(false, true), &from("https://anybody.example"));
        assert_eq!(open.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        let wrong = answer(&cors(true, true), &from("https://anybody.example"));
        assert!(!wrong.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    }

    #[test]
    fn what_an_upstream_said_stays() {
        let mut headers = HeaderMap::from_iter([(
            ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("https://own.example"),
        )]);
        share(&cors(true, false), &from("https://app.example"), &mut headers);
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://own.example");
    }

    #[test]
    fn only_an_options_request_with_both_fields_is_a_preflight() {
        assert_eq!(preflight(&Method::GET, &from("https://app.example")), None);
        let bare = HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static("https://app.example"))]);
        assert_eq!(preflight(&Method::OPTIONS, &bare), None);
    }
}
