//! Our two cookies: found in a request, taken out of it, set and cleared in an answer.
//!
//! Both carry the `__Host-` prefix (RFC 6265bis §4.1.3.2), so no sibling domain and no cleartext page can plant one. A name of ours counts only when it
//! is spelled exactly; what is taken out is wider, so that nothing that an upstream might read as ours gets through to it or back from it.

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

/// The access JWT.
pub const ACCESS: &str = "__Host-gateward";
/// The refresh token.
pub const REFRESH: &str = "__Host-gateward-refresh";

/// What makes a device known to an account.
pub const DEVICE: &str = "__Host-gateward-device";

/// Our cookies as a request carries them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ours<'a> {
    /// The access token.
    pub access: Option<&'a str>,
    /// The refresh token.
    pub refresh: Option<&'a str>,
}

/// One of our names stands more than once: somebody tampered, and nobody can tell which one is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cookie of the gateway's own is there twice")]
pub struct Doubled;

/// Finds our cookies over all `Cookie` lines. One whose value is not text is there, and empty: it counts as a bad one, not as none.
pub fn find(headers: &HeaderMap) -> Result<Ours<'_>, Doubled> {
    let mut ours = Ours::default();
    for line in headers.get_all(COOKIE) {
        for pair in line.as_bytes().split(|&b| b == b';') {
            let (name, value) = parts(pair);
            if name == ACCESS.as_bytes() {
                fill(&mut ours.access, value)?;
            } else if name == REFRESH.as_bytes() {
                fill(&mut ours.refresh, value)?;
            }
        }
    }
    Ok(ours)
}

/// The value of one cookie of a name; one that is doubled, or no text, counts as none.
pub fn named<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut found = None;
    // Octets, since other people's cookies on the same line may be no text.
    let lines = headers.get_all(COOKIE).iter();
    for pair in lines.flat_map(|line| line.as_bytes().split(|&b| b == b';')) {
        let (known, value) = parts(pair);
        if known == name.as_bytes() && found.replace(value).is_some() {
            return None;
        }
    }
    std::str::from_utf8(found?).ok()
}

/// Takes every cookie whose name is ours (compared without case, also with another prefix or none) out of all `Cookie` lines, and leaves the rest byte for
/// byte. Several lines, as HTTP/2 may bring them, become one, since HTTP/1.1 knows only one (RFC 9113 §8.2.3).
pub fn strip(headers: &mut HeaderMap) {
    if !must_rewrite(headers) {
        return;
    }
    let kept: Vec<Vec<u8>> = headers
        .get_all(COOKIE)
        .iter()
        .map(|line| without_ours(line.as_bytes()))
        .filter(|line| !line.is_empty())
        .collect();
    match HeaderValue::from_bytes(&kept.join(b"; ".as_slice())) {
        Ok(line) if !line.is_empty() => {
            headers.insert(COOKIE, line);
        }
        _ => {
            headers.remove(COOKIE);
        }
    }
}

/// `Set-Cookie` that gives a browser one of our cookies for `max_age_secs`. `None`: the value cannot stand in a cookie (RFC 6265bis §4.1.1).
pub fn set(name: &str, value: &str, max_age_secs: u64) -> Option<HeaderValue> {
    if !value.bytes().all(is_cookie_octet) {
        return None;
    }
    let line = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={max_age_secs}");
    let mut line = HeaderValue::try_from(line).ok()?;
    line.set_sensitive(true);
    Some(line)
}

/// `Set-Cookie` that takes one of our cookies away.
pub fn clear(name: &str) -> Option<HeaderValue> {
    set(name, "", 0)
}

/// Takes those `Set-Cookie` lines out of an upstream's answer that use a name of ours.
pub fn strip_set(headers: &mut HeaderMap) {
    if !headers.get_all(SET_COOKIE).iter().any(sets_ours) {
        return;
    }
    let kept: Vec<HeaderValue> = headers
        .get_all(SET_COOKIE)
        .iter()
        .filter(|line| !sets_ours(line))
        .cloned()
        .collect();
    headers.remove(SET_COOKIE);
    for line in kept {
        headers.append(SET_COOKIE, line);
    }
}

fn fill<'a>(place: &mut Option<&'a str>, value: &'a [u8]) -> Result<(), Doubled> {
    match place.replace(std::str::from_utf8(value).unwrap_or_default()) {
        None => Ok(()),
        Some(_) => Err(Doubled),
    }
}

/// Name and value of one pair, blanks around each taken off. Without `=` all of it is the name.
fn parts(pair: &[u8]) -> (&[u8], &[u8]) {
    match pair.iter().position(|&b| b == b'=') {
        Some(at) => {
            let (name, value) = pair.split_at(at);
            (name.trim_ascii(), value.get(1..).unwrap_or_default().trim_ascii())
        }
        None => (pair.trim_ascii(), &[]),
    }
}

fn must_rewrite(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(COOKIE).iter();
    let Some(first) = lines.next() else { return false };
    lines.next().is_some() || first.as_bytes().split(|&b| b == b';').any(is_ours)
}

/// Whether a pair's name is ours, or could be taken for ours by a careless reader (another prefix, another case, a nameless cookie's `=`).
fn is_ours(pair: &[u8]) -> bool {
    let start = pair.iter().position(|b| !b.is_ascii_whitespace() && *b != b'=');
    let name = start.and_then(|at| pair.get(at..)).unwrap_or_default();
    let bare = [b"__host-".as_slice(), b"__secure-", b"__http-", b"__host-http-"]
        .into_iter()
        .filter_map(|prefix| strip_prefix_folded(name, prefix))
        .chain([name]);
    bare.into_iter()
        .any(|rest| strip_prefix_folded(rest, b"gateward").is_some())
}

fn strip_prefix_folded<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn without_ours(line: &[u8]) -> Vec<u8> {
    let kept: Vec<&[u8]> = line.split(|&b| b == b';').filter(|pair| !is_ours(pair)).collect();
    let all = kept.join(b";".as_slice());
    all.trim_ascii_start().to_vec()
}

fn sets_ours(line: &HeaderValue) -> bool {
    is_ours(line.as_bytes().split(|&b| b == b';').next().unwrap_or_default())
}

fn is_cookie_octet(b: u8) -> bool {
    matches!(b, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        headers
    }

    #[track_caller]
    fn stripped(lines: &[&str]) -> Option<String> {
        let mut headers = with(lines);
        strip(&mut headers);
        assert!(headers.get_all(COOKIE).iter().count() <= 1);
        headers
            .get(COOKIE)
            .map(|line| String::from_utf8(line.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn our_cookies_are_found_among_others_over_all_lines() {
        let headers = with(&["a=1; __Host-gateward=jwt;b=2", "__Host-gateward-refresh=r=; c=ü"]);
        let ours = find(&headers).unwrap();
        assert_eq!((ours.access, ours.refresh), (Some("jwt"), Some("r=")));
    }

    #[test]
    fn a_doubled_cookie_is_refused_on_one_line_and_over_two() {
        assert_eq!(find(&with(&["__Host-gateward=a; __Host-gateward=a"])), Err(Doubled));
        assert_eq!(
            find(&with(&["__Host-gateward-refresh=a", "__Host-gateward-refresh=b"])),
            Err(Doubled)
        );
    }

    #[test]
    fn a_name_that_only_looks_like_ours_is_not_read() {
        let headers = with(&["__host-gateward=a; gateward=b; x__Host-gateward=c; __Host-gateward2=d"]);
        assert_eq!(find(&headers).unwrap(), Ours::default());
    }

    #[test]
    fn a_cookie_that_is_not_text_is_there_and_bad() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_bytes(b"__Host-gateward=\xff\xfe").unwrap());
        assert_eq!(find(&headers).unwrap().access, Some(""));
    }

    #[test]
    fn what_an_upstream_might_read_as_ours_is_taken_out() {
        for ours in [
            "__Host-gateward=x",
            "__Host-gateward-refresh=x",
            "__HOST-GATEWARD=x",
            "__Secure-gateward=x",
            "gateward=x",
            "Gateward-refresh",
            "=__Host-gateward=x",
        ] {
            assert_eq!(stripped(&[ours]), None, "{ours}");
            assert_eq!(stripped(&[&format!("{ours}; a=1")]).as_deref(), Some("a=1"), "{ours}");
            assert_eq!(
                stripped(&[&format!("a=1; {ours};b=2")]).as_deref(),
                Some("a=1;b=2"),
                "{ours}"
            );
            assert_eq!(
                stripped(&[&format!("a=1; {ours}"), "b=2"]).as_deref(),
                Some("a=1; b=2"),
                "{ours}"
            );
        }
    }

    #[test]
    fn other_cookies_stay_byte_for_byte() {
        for line in ["a=1;b=2 ;  c=\"x y\"", "nogateward=1", "a=gateward", " ;;a"] {
            assert_eq!(stripped(&[line]).as_deref(), Some(line));
        }
    }

    #[test]
    fn a_set_cookie_says_all_that_keeps_it_ours() {
        let line = set(ACCESS, "abc", 60).unwrap();
        assert_eq!(
            line.to_str().unwrap(),
            "__Host-gateward=abc; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60"
        );
        assert!(line.is_sensitive());
        assert!(clear(REFRESH).unwrap().to_str().unwrap().ends_with("Max-Age=0"));
        assert_eq!(set(ACCESS, "a; Domain=example.com", 60), None);
    }

    #[test]
    fn an_upstream_cannot_set_a_cookie_of_ours() {
        let mut headers = HeaderMap::new();
        for line in [
            "a=1; Path=/",
            "__Host-gateward=evil; Path=/",
            "__HOST-gateward-refresh=evil",
            "b=gateward",
        ] {
            headers.append(SET_COOKIE, HeaderValue::from_static(line));
        }
        strip_set(&mut headers);
        let left: Vec<_> = headers
            .get_all(SET_COOKIE)
            .iter()
            .map(|line| line.to_str().unwrap())
            .collect();
        assert_eq!(left, ["a=1; Path=/", "b=gateward"]);
    }

    proptest! {
        #[test]
        fn after_stripping_nothing_of_ours_is_found(lines in proptest::collection::vec("([a;= ]|__Host-gateward|gateward|-refresh){0,12}", 0..4)) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let mut headers = with(&lines);
            strip(&mut headers);
            prop_assert_eq!(find(&headers), Ok(Ours::default()));
            prop_assert!(!must_rewrite(&headers));
        }

        #[test]
        fn what_is_set_is_found_as_it_was_and_taken_out_whole(value in "[!-~]{0,40}") {
            let Some(line) = set(ACCESS, &value, 60) else {
                prop_assert!(value.contains(['"', ',', ';', '\\']));
                return Ok(());
            };
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            let mut back = with(&[&format!("a=1; {pair}; b=2")]);
            prop_assert_eq!(find(&back).unwrap().access, Some(&*value));
            strip(&mut back);
            prop_assert_eq!(back.get(COOKIE).unwrap(), "a=1; b=2");
        }

        #[test]
        fn lines_without_ours_are_left_alone(line in "[ab;= ]{1,40}") {
            let before = with(&[&line]);
            let mut after = before.clone();
            strip(&mut after);
            prop_assert_eq!(before, after);
        }
    }
}
