//! Page or API? Whether the one who waits for an answer is a person looking at a page, or a program.
//!
//! People get pages and redirects; programs get problem documents, never HTML, never a redirect. Browsers say it themselves in `Sec-Fetch-Mode` (Fetch Metadata);
//! for older ones and for other programs `Accept` decides (RFC 9110 §12.5.1).

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, Method};

use crate::config::RouteKind;

/// Fetch Metadata: how the browser means to use the answer.
pub const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// Whether a request asks for a page.
pub fn is_page(method: &Method, headers: &HeaderMap, kind: RouteKind) -> bool {
    let reads = method == Method::GET || method == Method::HEAD;
    reads && shows_a_page(headers, kind)
}

/// Whether a request is a form that a person sent from a page.
pub fn is_form(method: &Method, headers: &HeaderMap, kind: RouteKind) -> bool {
    method == Method::POST && is_urlencoded(headers) && shows_a_page(headers, kind)
}

/// Whether a person waits for the answer, whatever it will be. Without `Sec-Fetch-Mode`, only what reads and what a plain form sends is a person's.
pub fn is_persons(method: &Method, headers: &HeaderMap, kind: RouteKind) -> bool {
    let sends = method == Method::GET
        || method == Method::HEAD
        || method == Method::POST && is_urlencoded(headers)
        || headers.contains_key(&SEC_FETCH_MODE);
    sends && shows_a_page(headers, kind)
}

/// Whether the body is what a plain HTML form sends.
pub fn is_urlencoded(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// Whether the answer would be shown to a person as a page, were it one.
fn shows_a_page(headers: &HeaderMap, kind: RouteKind) -> bool {
    if kind == RouteKind::Api {
        return false;
    }
    if let Some(mode) = headers.get(&SEC_FETCH_MODE) {
        return mode == "navigate";
    }
    let taste = Taste::of(headers);
    let named = taste.html > 0 || kind == RouteKind::Web;
    named && taste.html >= taste.other && !headers.contains_key(&X_REQUESTED_WITH)
}

/// How much a client likes HTML, and the best of what else it names, in thousandths.
#[derive(Default)]
struct Taste {
    html: u32,
    other: u32,
}

impl Taste {
    fn of(headers: &HeaderMap) -> Self {
        let mut taste = Self::default();
        for line in headers.get_all(ACCEPT) {
            for range in line.to_str().unwrap_or_default().split(',') {
                let (name, quality) = quality(range);
                let is = |range: &&str| name.eq_ignore_ascii_case(range);
                let place = if ["text/html", "application/xhtml+xml"].iter().any(is) {
                    &mut taste.html
                } else if ["*/*", "text/*", ""].iter().any(is) {
                    continue;
                } else {
                    &mut taste.other
                };
                *place = quality.max(*place);
            }
        }
        taste
    }
}

/// A media range and its weight; one that cannot be read counts as not wanted.
fn quality(range: &str) -> (&str, u32) {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let Some(text) = weight else { return (name, 1000) };
    let thousandths = text
        .parse::<f32>()
        .ok()
        .filter(|q| (0.0..=1.0).contains(q))
        .unwrap_or(0.0)
        * 1000.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 1000"
    )]
    (name, thousandths as u32)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn page(method: Method, kind: RouteKind, fields: &[(&'static str, &str)]) -> bool {
        let headers = fields
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect();
        is_page(&method, &headers, kind)
    }

    const FIREFOX: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    #[test]
    fn a_browser_that_navigates_gets_a_page() {
        let modern = [("sec-fetch-mode", "navigate"), ("accept", FIREFOX)];
        let older = [("accept", FIREFOX)];
        for kind in [RouteKind::Auto, RouteKind::Web] {
            assert!(page(Method::GET, kind, &modern));
            assert!(page(Method::HEAD, kind, &modern));
            assert!(page(Method::GET, kind, &older));
            assert!(!page(Method::POST, kind, &modern));
        }
    }

    #[test]
    fn a_program_never_gets_a_page() {
        for mode in ["cors", "no-cors", "same-origin", "websocket"] {
            for kind in [RouteKind::Auto, RouteKind::Web] {
                assert!(!page(
                    Method::GET,
                    kind,
                    &[("sec-fetch-mode", mode), ("accept", "text/html")]
                ));
            }
        }
        assert!(!page(Method::GET, RouteKind::Auto, &[]));
        assert!(!page(Method::GET, RouteKind::Auto, &[("accept", "*/*")]));
        assert!(!page(
            Method::GET,
            RouteKind::Auto,
            &[("accept", "application/json, text/html;q=0.5")]
        ));
        assert!(!page(
            Method::GET,
            RouteKind::Auto,
            &[("accept", "text/html;q=nonsense")]
        ));
        assert!(!page(Method::GET, RouteKind::Web, &[("accept", "application/json")]));
        assert!(!page(
            Method::GET,
            RouteKind::Web,
            &[("accept", FIREFOX), ("x-requested-with", "XMLHttpRequest")]
        ));
    }

    #[test]
    fn a_program_that_posts_gets_no_page_whatever_it_accepts() {
        let asks = |fields: &[(&'static str, &'static str)]| {
            let headers = fields
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            is_persons(&Method::POST, &headers, RouteKind::Auto)
        };
        assert!(!asks(&[("accept", FIREFOX)]));
        assert!(!asks(&[("accept", FIREFOX), ("content-type", "application/json")]));
        assert!(asks(&[
            ("accept", FIREFOX),
            ("content-type", "application/x-www-form-urlencoded")
        ]));
        assert!(asks(&[("accept", FIREFOX), ("sec-fetch-mode", "navigate")]));
    }

    #[test]
    fn the_kind_of_a_route_speaks_first() {
        let navigates = [("sec-fetch-mode", "navigate"), ("accept", FIREFOX)];
        assert!(!page(Method::GET, RouteKind::Api, &navigates));
        assert!(page(Method::GET, RouteKind::Web, &[]));
        assert!(page(Method::GET, RouteKind::Web, &[("accept", "*/*")]));
    }
}
