//! A page as an answer, with the headers that keep it from being misused.

use askama::Template;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::Answer;
use crate::portal::return_to::Places;
use crate::wire::Body;
use crate::wire::reply::{self, Code, Problem};

const FIXED: [(HeaderName, HeaderValue); 6] = [
    (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// What a browser is told to refuse on our pages.
#[derive(Debug)]
pub(super) struct Policy(HeaderValue);

impl Policy {
    /// Browsers hold `form-action` against where a form's answer redirects to as well, so hosts that one may be sent back to stand there.
    pub(super) fn new(places: &Places) -> Self {
        let origins: Vec<String> = places.origins().collect();
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self' {}; \
             base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
            origins.join(" ")
        );
        Self(HeaderValue::try_from(policy.replace(" ;", ";")).unwrap_or(HeaderValue::from_static("default-src 'none'")))
    }

    /// A page.
    pub(super) fn page(&self, status: StatusCode, template: &impl Template) -> Answer {
        let html = render(template)?;
        let mut response = Response::new(Body::Full(html.into()));
        *response.status_mut() = status;
        self.protect(response.headers_mut());
        Ok(response)
    }

    /// A page in the place of an answer's body.
    pub(super) fn replace(&self, response: &mut Response<Body>, template: &impl Template) {
        let Ok(html) = render(template) else { return };
        *response.body_mut() = Body::Full(html.into());
        response.headers_mut().remove(CONTENT_LENGTH);
        self.protect(response.headers_mut());
    }

    fn protect(&self, headers: &mut HeaderMap) {
        for (name, value) in FIXED {
            headers.insert(name, value);
        }
        headers.insert(CONTENT_SECURITY_POLICY, self.0.clone());
    }
}

/// On with GET, whatever the method was (RFC 9110 §15.4.4).
pub(super) fn see_other(to: &str) -> Answer {
    reply::redirect(StatusCode::SEE_OTHER, to)
        .ok_or_else(|| Problem::new(Code::Internal, "The next page's address cannot be written."))
}

fn render(template: &impl Template) -> Result<String, Problem> {
    template.render().map_err(|error| {
        tracing::error!(%error, "a page cannot be written");
        Problem::new(Code::Internal, "The page cannot be written; the log says why.")
    })
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::*;

    #[derive(Template)]
    #[template(source = "<p>page</p>", ext = "html")]
    struct Page;

    #[test]
    fn a_page_in_the_place_of_a_problem_has_each_header_once() {
        let policy = Policy::new(&Places::new(&Uri::from_static("https://gate.example"), &[], "/auth"));
        let mut response = Problem::new(Code::NotFound, "nothing").into_response("id");
        policy.replace(&mut response, &Page);
        for name in response.headers().keys() {
            assert_eq!(response.headers().get_all(name).iter().count(), 1, "{name}");
        }
        assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    }

    #[test]
    fn the_policy_makes_no_exception_for_inline_code() {
        let hosts = ["app.example".to_owned()];
        let policy = Policy::new(&Places::new(
            &Uri::from_static("https://gate.example:8443"),
            &hosts,
            "/auth",
        ));
        let policy = policy.0.to_str().unwrap();
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(
            policy.contains("form-action 'self' https://app.example https://app.example:8443;"),
            "{policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    }
}
