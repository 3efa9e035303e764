//! Anything as a request's fields: what only the gateway may say is gone, and what is nobody's business is left as it was.
#![no_main]

use std::sync::LazyLock;

use gateward::config::{self, Settings};
use gateward::proxy::headers::refused::{FAMILIES, FAMILIES_OF_PROXIES, HOP_BY_HOP, MANAGED, OF_PROXIES, REROUTING};
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
    let mut alone = [HOP_BY_HOP.as_slice(), &MANAGED, &REROUTING, &OF_PROXIES]
        .into_iter()
        .flatten();
    let mut families = FAMILIES.iter().chain(&FAMILIES_OF_PROXIES);
    alone.any(|known| name == *known) || families.any(|known| name == *known || name.starts_with(&format!("{known}-")))
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
