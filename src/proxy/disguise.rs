//! A path as the most lenient server behind us might read it.
//!
//! Routes compare bytes, since those are what goes on. But many applications decode before they route, and some fold case, drop path parameters, decode
//! twice or forget a dot at the end: `/%61dmin` is no path of a route for `/admin`, and yet reaches what stands there. Neither side is wrong
//! (RFC 3986 §6.2.2 calls the two equivalent), so the table asks for both readings, and a request whose two readings belong to different prefixes
//! is refused. Where both lead to the same prefix nothing was gained, and the path goes on as it was written.

use std::borrow::Cow;

/// How often a path is decoded at most: once as it should be, and twice by those who do it again.
const ROUNDS: usize = 3;

/// The other reading; `None` where there is no other.
pub fn seen_through(path: &str) -> Option<String> {
    is_suspicious(path.as_bytes()).then(|| plain(&decoded(path)))
}

/// Whether any byte could be read in another way. Most paths have none, and cost no more than this look.
fn is_suspicious(path: &[u8]) -> bool {
    let odd = |b: &u8| matches!(b, b'%' | b';' | b'\\' | b'?' | b'#' | b'A'..=b'Z');
    let loose = |pair: &[u8]| matches!(pair, [b'.' | b' ', b'/'] | [b'/', b'.' | b'/']);
    path.iter().any(odd) || path.ends_with(b".") || path.ends_with(b" ") || path.windows(2).any(loose)
}

fn decoded(path: &str) -> Vec<u8> {
    let mut bytes = path.as_bytes().to_vec();
    for _ in 0..ROUNDS {
        let Cow::Owned(next) = Cow::from(percent_encoding::percent_decode(&bytes)) else {
            break;
        };
        bytes = next;
    }
    bytes.make_ascii_lowercase();
    bytes
}

/// Query, fragment, parameters, empty and dot segments taken out, and what Windows drops from the end of a name.
fn plain(path: &[u8]) -> String {
    let end = path
        .iter()
        .position(|b| matches!(b, b'?' | b'#' | 0))
        .unwrap_or(path.len());
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in path.get(..end).unwrap_or_default().split(|b| matches!(b, b'/' | b'\\')) {
        let name = segment.split(|&b| b == b';').next().unwrap_or_default();
        if name == b".." {
            segments.pop();
            continue;
        }
        let kept = name
            .iter()
            .rposition(|b| !matches!(b, b'.' | b' '))
            .map_or(0, |last| last + 1);
        if kept > 0 {
            segments.push(name.get(..kept).unwrap_or_default());
        }
    }
    let mut text = String::with_capacity(path.len() + 1);
    for segment in segments {
        text.push('/');
        text.push_str(&String::from_utf8_lossy(segment));
    }
    if text.is_empty() {
        text.push('/');
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_disguise_of_a_path_is_seen_through() {
        for disguise in [
            "/%61dmin",
            "/%61%64%6D%69%6e",
            "/%2561dmin",
            "/%252561dmin",
            "/ADMIN",
            "/Admin/",
            "/admin;v=1",
            "/admin%3bv=1",
            "/admin%3fx",
            "/admin%23x",
            "/admin%2e",
            "/admin.",
            "/admin%20",
            "//admin",
            "/%2fadmin",
            "/%5cadmin",
            "/./admin",
            "/x/%252e%252e/admin",
            "/x/..;/admin",
            "/admin%00.css",
        ] {
            assert_eq!(seen_through(disguise).as_deref(), Some("/admin"), "{disguise}");
        }
    }

    #[test]
    fn an_ordinary_path_has_one_reading() {
        for path in ["/", "/admin", "/admin/", "/a/b.css", "/v1.2/x_y-z~", "/a.b/c"] {
            assert_eq!(seen_through(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_was_seen_through_hides_nothing_more(path in "/([a-cA-C./;%?\\\\ ]|%2[eEfF5]|%61|%5c){0,20}") {
            if let Some(seen) = seen_through(&path) {
                prop_assert!(seen.starts_with('/') && !seen.contains("//") && !seen.split('/').any(|s| s == ".."), "{}", seen);
            }
        }
    }
}
