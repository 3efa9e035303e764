//! Anything as a request's fields: what only the gateway may say is gone, and what is nobody's business is left as it was.
#![no_main]

use std::sync::LazyLock;

use gateward::config::{self, Settings};
use gateward::proxy::headers::{Boundary, Spared};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

static SETTINGS: LazyLock<Settings> =
    LazyLock::new(|| config::load(concat!(env!("CARGO_MANIFEST_DIR"), "/../../gateway.toml").as_ref()).unwrap());

/// As CGI and its imitators fold a name.
fn folded(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect()
}

fn is_ours(name: &str) -> bool {
    let name = folded(name);
    let family = ["x-forwarded", "x-auth-request", "x-gateward"];
    let alone = [
        "forwarded",
        "proxy",
        "remote-user",
        "remote-email",
        "remote-groups",
        "remote-name",
        "x-real-ip",
        "x-request-id",
        "x-original-url",
        "x-original-uri",
        "x-rewrite-url",
        "client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "cf-connecting-ipv6",
        "fastly-client-ip",
    ];
    let hop = [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
        "http2-settings",
    ];
    alone.contains(&name.as_str())
        || hop.contains(&name.as_str())
        || family
            .iter()
            .any(|known| name == *known || name.starts_with(&format!("{known}-")))
}

fuzz_target!(|bytes: &[u8]| {
    let mut before = HeaderMap::new();
    for line in bytes.split(|&b| b == b'\n') {
        let Some(colon) = line.iter().position(|&b| b == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(&line[colon + 1..]);
        if let (Ok(name), Ok(value)) = (name, value) {
            before.append(name, value);
        }
    }
    let boundary = Boundary::new(SETTINGS.routes.iter());
    let mut after = before.clone();
    boundary.strip_request(&mut after, Spared::default());
    assert!(
        after
            .keys()
            .all(|name| !is_ours(name.as_str()) && name != "authorization"),
        "{after:?}"
    );
    let nominated = |name: &HeaderName| {
        let lines = before.get_all("connection").iter();
        let mut words = lines.flat_map(|line| line.as_bytes().split(|&b| b == b','));
        words.any(|word| word.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
    };
    for name in before.keys().filter(|name| !is_ours(name.as_str()) && !nominated(name)) {
        if name != "authorization" && name != "cookie" {
            assert!(
                before.get_all(name).iter().eq(after.get_all(name).iter()),
                "{name} was changed"
            );
        }
    }
    let mut again = after.clone();
    boundary.strip_request(&mut again, Spared::default());
    assert_eq!(after, again);
});
