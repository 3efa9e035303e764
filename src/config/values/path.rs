//! Paths on our origin: of routes, and of our own endpoints.

use crate::config::read::Text;

text! {
    RoutePath, "a path like \"/app\"", route_path;
    BasePath, "a path like \"/auth\"", base_path;
}

/// A route's path prefix, without a slash at the end unless it is `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct RoutePath(pub(in crate::config) String);

/// Where our own endpoints stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct BasePath(pub(in crate::config) String);

/// The same spellings that are refused in a request are refused here, or the route could never match.
fn route_path(text: &str) -> Result<RoutePath, String> {
    let wrong = |why: &str| {
        Err(format!(
            "`{}` {why}; write a plain prefix like \"/app\"",
            text.escape_debug()
        ))
    };
    if !text.starts_with('/') {
        return wrong("does not begin with `/`");
    }
    if text.contains("//") {
        return wrong("contains `//`");
    }
    if text.split('/').any(|segment| matches!(segment, "." | "..")) {
        return wrong("contains a dot segment");
    }
    let forbidden = |b: u8| !b.is_ascii_graphic() || b"%;\\?#\"<>^`{|}*".contains(&b);
    if let Some(b) = text.bytes().find(|b| forbidden(*b)) {
        return wrong(&format!("contains `{}`", char::from(b).escape_debug()));
    }
    let trimmed = text.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(text);
    Ok(RoutePath(trimmed.to_owned()))
}

fn base_path(text: &str) -> Result<BasePath, String> {
    let segment = |segment: &str| {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        !segment.is_empty() && segment.bytes().all(letter) && !matches!(segment, "." | "..")
    };
    let good = text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment));
    if !good {
        return Err(format!(
            "`{}` is not a path for our endpoints; write it like \"/auth\": a slash in front, none at the end, letters, digits, '-', '.', '_', '~'",
            text.escape_debug()
        ));
    }
    Ok(BasePath(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_routes_path_is_clean_or_refused() {
        for (text, kept) in [
            ("/", "/"),
            ("/app", "/app"),
            ("/app/", "/app"),
            ("/a-b/c.d/~e", "/a-b/c.d/~e"),
        ] {
            assert_eq!(route_path(text), Ok(RoutePath(kept.to_owned())));
        }
        for text in [
            "", "app", "/a//b", "//", "/a/../b", "/.", "/a%2fb", "/a;b", "/a\\b", "/a b", "/é", "/a?b", "/a#b", "/a\0",
        ] {
            assert!(route_path(text).is_err(), "{text}");
        }
    }

    #[test]
    fn our_endpoints_cannot_take_the_whole_site() {
        assert_eq!(base_path("/auth"), Ok(BasePath("/auth".to_owned())));
        for text in ["", "/", "auth", "/auth/", "/a//b", "/../a", "/a%20"] {
            assert!(base_path(text).is_err(), "{text}");
        }
    }
}
