//! Which site made a browser send a request.
//!
//! A request proves that a page of ours made it, or it is taken for somebody else's: silence is no proof.

use http::uri::Authority;
use http::{HeaderMap, Method, Uri, header};

use super::origin::{Origin, only};

/// Whether a request may lean on a cookie: always for safe methods (RFC 9110 §9.2.1), else when `comes_from_us`.
pub fn is_same_site(method: &Method, headers: &HeaderMap, ours: &Uri, origin: &Origin) -> bool {
    method.is_safe() || comes_from_us(headers, ours, origin)
}

/// Whether a request proves that a page of ours made it: `Sec-Fetch-Site` must be `same-origin` (or `none`, for a navigation: a person's own doing), or,
/// without that header, `Origin` must be `ours` or the origin that the request itself was sent to; without either there is no proof.
///
/// `Sec-Fetch-Site` goes first, since a page with `Referrer-Policy: no-referrer` sends its own forms with `Origin: null` (Fetch §3.2).
pub fn comes_from_us(headers: &HeaderMap, ours: &Uri, origin: &Origin) -> bool {
    if headers.contains_key("sec-fetch-site") {
        return match only(headers, "sec-fetch-site") {
            Some("same-origin") => true,
            Some("none") => only(headers, "sec-fetch-mode") == Some("navigate"),
            _ => false,
        };
    }
    let Some(claimed) = only(headers, header::ORIGIN).and_then(Site::parse) else {
        return false;
    };
    let itself = Site::of(if origin.https { "https" } else { "http" }, &origin.authority);
    claimed == itself || Site::of_uri(ours).is_some_and(|ours| claimed == ours)
}

/// A web origin (RFC 6454 §4).
struct Site<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Site<'a> {
    /// An origin as `Origin` spells it; `null` is none.
    fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
            _ => (rest, None),
        };
        let port = port.or(default_port(scheme));
        Some(Self { scheme, host, port })
    }

    fn of(scheme: &'a str, authority: &'a Authority) -> Self {
        let port = authority.port_u16().or(default_port(scheme));
        let host = authority.host();
        Self { scheme, host, port }
    }

    fn of_uri(uri: &'a Uri) -> Option<Self> {
        Some(Self::of(uri.scheme_str()?, uri.authority()?))
    }
}

impl PartialEq for Site<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.host.eq_ignore_ascii_case(other.host) && self.port == other.port
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::origin::{self, Peer};
    use http::HeaderValue;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    /// Of a request to `https://app.example.com`.
    fn asked() -> Origin {
        let peer = Peer {
            tls: true,
            ..Peer::new("192.0.2.9".parse().unwrap())
        };
        let authority = Authority::from_static("app.example.com");
        origin::read(&peer, authority, &HeaderMap::new(), &[], "fresh".into())
    }

    #[track_caller]
    fn same_site(lines: &[(&'static str, &str)], is: bool) {
        let ours = Uri::from_static("https://localhost:8443");
        let origin = asked();
        assert_eq!(
            is_same_site(&Method::POST, &headers(lines), &ours, &origin),
            is,
            "{lines:?}"
        );
        assert!(is_same_site(&Method::GET, &headers(lines), &ours, &origin));
    }

    #[test]
    fn an_unsafe_request_must_prove_its_origin() {
        const SITE: &str = "sec-fetch-site";
        same_site(&[], false);
        same_site(&[(SITE, "same-origin")], true);
        same_site(&[(SITE, "same-origin"), ("origin", "null")], true);
        same_site(&[(SITE, "none"), ("sec-fetch-mode", "navigate")], true);
        same_site(&[(SITE, "none")], false);
        same_site(&[(SITE, "same-site")], false);
        same_site(&[(SITE, "cross-site")], false);
        same_site(&[(SITE, "cross-site"), ("origin", "https://localhost:8443")], false);
        same_site(&[(SITE, "same-origin"), (SITE, "cross-site")], false);
        same_site(&[("origin", "https://localhost:8443")], true);
        same_site(&[("origin", "https://app.example.com")], true);
        same_site(&[("origin", "https://APP.example.com:443")], true);
    }

    #[test]
    fn another_origin_is_no_proof() {
        for other in [
            "null",
            "",
            "https://evil.example",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://localhost",
            "https://app.example.com.evil.example",
            "https://app.example.com@evil.example",
            "https://localhost:8443:8443",
        ] {
            same_site(&[("origin", other)], false);
        }
        same_site(
            &[
                ("origin", "https://app.example.com"),
                ("origin", "https://evil.example"),
            ],
            false,
        );
    }
}
