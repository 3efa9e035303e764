//! Anything as a path: whatever a route is found for, every lenient server reads as a path of the same prefix.
#![no_main]

use std::borrow::Cow;

use gateward::config::HostPattern;
use gateward::proxy::routes::Table;
use gateward::wire::hygiene::check_path;
use http::Method;
use libfuzzer_sys::fuzz_target;

const PREFIXES: [&str; 5] = ["/", "/admin", "/API", "/open", "/open/lax"];

/// One way to read a path: decoded so often, with or without case, parameters kept or dropped.
fn reading(path: &str, rounds: usize, fold: bool, drop: bool) -> String {
    let mut bytes = path.as_bytes().to_vec();
    for _ in 0..rounds {
        bytes = Cow::from(percent_encoding::percent_decode(&bytes)).into_owned();
    }
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if fold {
        text.make_ascii_lowercase();
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in text.split(['/', '\\']) {
        let name = if drop {
            segment.split(';').next().unwrap_or_default()
        } else {
            segment
        };
        match name {
            "" | "." => {}
            ".." => drop_last(&mut kept),
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}

fn drop_last(kept: &mut Vec<&str>) {
    kept.pop();
}

/// The prefix that a reading belongs to, for a server that minds case or one that does not.
fn owner(path: &str, fold: bool) -> usize {
    let fits = |prefix: &str| {
        let prefix = if fold {
            prefix.to_ascii_lowercase()
        } else {
            prefix.to_owned()
        };
        let prefix = prefix.trim_end_matches('/');
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let fitting = (0..PREFIXES.len()).filter(|&at| fits(PREFIXES[at]));
    fitting.max_by_key(|&at| PREFIXES[at].len()).unwrap_or_default()
}

fuzz_target!(|path: &str| {
    let mut table = Table::default();
    for (at, prefix) in PREFIXES.iter().enumerate() {
        table.add(&HostPattern::Any, prefix, &[], at);
    }
    let Ok(&found) = table.find("a.test", &Method::GET, path) else {
        return;
    };
    let lax = PREFIXES[found] == "/open/lax";
    if check_path(path, lax, lax).is_err() {
        return;
    }
    for rounds in 0..=3 {
        for (fold, drop) in [(false, false), (false, true), (true, false), (true, true)] {
            let read = reading(path, rounds, fold, drop);
            assert_eq!(owner(&read, fold), found, "{path:?} read as {read:?}");
        }
    }
});
