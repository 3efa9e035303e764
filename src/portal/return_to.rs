//! Where a person goes on after signing in.
//!
//! A `ReturnTo` is a path on the origin that the person is at, or a page of a listed host; nothing else can be made into one, so no redirect of ours can
//! lead to a stranger. Browsers read addresses more kindly than they are written (they drop tabs and line ends, take `\` for `/`, forgive missing slashes), so what they
//! would have to forgive is refused here rather than repaired.

use std::fmt;

use http::Uri;
use http::uri::{Authority, PathAndQuery};

/// Longer addresses are not remembered.
const LONGEST: usize = 2048;

/// Pages of ours that somebody may be on their way to; the others would send them round in circles.
const STAYS: [&str; 2] = ["/account", "/security"];

/// A place that it is safe to send a browser to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnTo(String);

/// The places that one may be sent back to.
#[derive(Clone, Debug)]
pub struct Places {
    scheme: String,
    authority: Authority,
    hosts: Vec<String>,
    base_path: String,
}

impl Places {
    /// The gateway's own address, the listed hosts (`host` or `host:port`) and the path of our own pages.
    pub fn new(public_url: &Uri, hosts: &[String], base_path: &str) -> Self {
        Self {
            scheme: public_url.scheme_str().unwrap_or("https").to_owned(),
            authority: public_url
                .authority()
                .cloned()
                .unwrap_or_else(|| Authority::from_static("localhost")),
            hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            base_path: base_path.to_owned(),
        }
    }

    /// Reads an address that came with a request. `here` is the authority that the request was sent to.
    pub fn parse(&self, text: &str, here: &Authority) -> Option<ReturnTo> {
        if text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return None;
        }
        if text.starts_with('/') {
            return self.own_path(text);
        }
        let (scheme, rest) = text.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        if !scheme.eq_ignore_ascii_case(&self.scheme) || authority.contains('@') {
            return None;
        }
        let path = if path.is_empty() { "/" } else { path };
        let authority: Authority = authority.to_ascii_lowercase().parse().ok()?;
        if authority == *here {
            return self.own_path(path);
        }
        let known = authority == self.authority || self.lists(&authority);
        let path = self.own_path(path)?;
        known.then(|| ReturnTo(format!("{}://{authority}{path}", self.scheme)))
    }

    /// The origins of listed hosts, for `form-action`: browsers apply it to where a form's answer redirects to as well.
    pub fn origins(&self) -> impl Iterator<Item = String> {
        let port = self.authority.port_u16();
        self.hosts.iter().map(move |host| match port {
            Some(port) if !host.contains(':') => format!("{}://{host} {}://{host}:{port}", self.scheme, self.scheme),
            _ => format!("{}://{host}", self.scheme),
        })
    }

    /// A path of one of the sites behind us, or a page of ours that one stays at.
    fn own_path(&self, text: &str) -> Option<ReturnTo> {
        let second = text.strip_prefix('/')?;
        if second.starts_with('/') || begins_with_a_disguise(second) {
            return None;
        }
        let target: PathAndQuery = text.parse().ok()?;
        let ours = target
            .path()
            .strip_prefix(&self.base_path)
            .is_some_and(|rest| (rest.is_empty() || rest.starts_with('/')) && !STAYS.contains(&rest));
        (!ours && target.path().starts_with('/')).then(|| ReturnTo(target.to_string()))
    }

    fn lists(&self, authority: &Authority) -> bool {
        let port = authority.port_u16();
        self.hosts.iter().any(|host| {
            host == authority.as_str()
                || (host == authority.host() && (port.is_none() || port == self.authority.port_u16()))
        })
    }
}

impl ReturnTo {
    /// The address as it goes into `Location`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReturnTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether an encoded control, slash or backslash comes first: no page of ours or of an upstream begins so, and whoever decodes once too often is led elsewhere.
fn begins_with_a_disguise(path: &str) -> bool {
    let decoded = percent_encoding::percent_decode_str(path).next();
    path.starts_with('%') && decoded.is_some_and(|byte| byte <= b' ' || byte == b'/' || byte == b'\\' || byte >= 0x7f)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places() -> Places {
        Places::new(
            &Uri::from_static("https://gate.example:8443"),
            &["app.example".to_owned(), "other.example:9000".to_owned()],
            "/auth",
        )
    }

    fn parse(text: &str) -> Option<String> {
        let here = Authority::from_static("gate.example:8443");
        places().parse(text, &here).map(|place| place.to_string())
    }

    #[test]
    fn a_path_with_its_query_is_kept() {
        assert_eq!(
            parse("/reports/7?week=3&x=%2F").as_deref(),
            Some("/reports/7?week=3&x=%2F")
        );
        assert_eq!(parse("/").as_deref(), Some("/"));
        assert_eq!(parse("/auth/account").as_deref(), Some("/auth/account"));
        assert_eq!(parse("/authors").as_deref(), Some("/authors"));
    }

    #[test]
    fn an_address_of_the_place_one_is_at_becomes_a_path() {
        assert_eq!(parse("https://gate.example:8443/a?b").as_deref(), Some("/a?b"));
        assert_eq!(parse("https://GATE.example:8443").as_deref(), Some("/"));
    }

    #[test]
    fn listed_hosts_are_kept_and_no_others() {
        assert_eq!(parse("https://app.example/a").as_deref(), Some("https://app.example/a"));
        assert_eq!(
            parse("https://app.example:8443/a").as_deref(),
            Some("https://app.example:8443/a")
        );
        assert_eq!(
            parse("https://other.example:9000/").as_deref(),
            Some("https://other.example:9000/")
        );
        for foreign in [
            "https://other.example/",
            "https://app.example:444/",
            "http://app.example/",
            "https://app.example.evil.example/",
            "https://evil.example/https://app.example/",
            "https://sub.app.example/",
        ] {
            assert_eq!(parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn no_known_disguise_leads_to_a_stranger() {
        let long = format!("/{}", "a".repeat(10_240));
        for attack in [
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/%09/evil.example",
            "/%2f/evil.example",
            "/%5cevil.example",
            "/%0d%0aLocation:%20https://evil.example",
            "/ /evil.example",
            "/\r\nLocation: https://evil.example",
            "\t//evil.example",
            " //evil.example",
            "https:evil.example",
            "https:/evil.example",
            "https:///evil.example",
            "javascript:alert(1)",
            "JaVaScRiPt://gate.example:8443/%0aalert(1)",
            "data:text/html,x",
            "https://gate.example:8443@evil.example/",
            "https://gate.example%3a8443@evil.example/",
            "https://user:pass@gate.example:8443/",
            "https://evil.example#gate.example:8443",
            "https://evil.example?gate.example:8443",
            "https://gate.example:8443.evil.example/",
            "/\u{2215}evil.example",
            "\u{ff0f}\u{ff0f}evil.example",
            "/\u{ff0f}evil.example",
            "/\u{0}/evil.example",
            "evil.example",
            "",
            &long,
        ] {
            assert_eq!(parse(attack), None, "{attack:?}");
        }
    }

    #[test]
    fn our_own_pages_are_not_returned_to() {
        for page in [
            "/auth/login",
            "/auth/logout",
            "/auth",
            "/auth/login?return_to=/auth/login",
        ] {
            assert_eq!(parse(page), None, "{page}");
        }
    }

    proptest! {
        /// A browser that resolves what was let through ends on our origin or on a listed host, whatever was asked for.
        #[test]
        fn whatever_is_let_through_stays_on_our_origin_or_a_listed_host(text in r"(https?|javascript|)(:|)(/|\\|%2f|%5c|\t| |@|\.|evil|gate\.example:8443|app\.example|\PC){0,8}") {
            if let Some(place) = parse(&text) {
                let own = place.starts_with('/') && !place[1..].starts_with(['/', '\\']);
                let listed = ["https://app.example/", "https://app.example:8443/", "https://other.example:9000/"]
                    .iter().any(|origin| place.starts_with(origin));
                prop_assert!(own || listed, "{text:?} became {place:?}");
                prop_assert!(place.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'));
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
