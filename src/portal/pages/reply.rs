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
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; form-action 'self' {}; \
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
