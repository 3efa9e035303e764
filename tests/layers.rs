//! Who may import whom, held for every file under `src/`.
//!
//! The table below is the one in `src/lib.rs`; both are compared, so that neither can drift. A path counts wherever it stands: in a `use`, in a group,
//! in an expression, in a test. Comments and strings do not count. Each rule has a planted violation at the end of this file that must be found.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A room and the rooms whose words it may use, from the ground up.
const TABLE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("config", &["model"]),
    ("telemetry", &["model", "config"]),
    ("wire", &["model", "config"]),
    ("store", &["model", "config", "telemetry"]),
    ("mail", &["model", "config", "telemetry", "store"]),
    ("token", &["model", "config", "telemetry", "store"]),
    ("auth", &["model", "config", "telemetry", "store", "mail", "token"]),
    ("provider", &["model", "config", "wire", "token"]),
    (
        "portal",
        &["model", "config", "telemetry", "wire", "token", "auth", "provider"],
    ),
    ("proxy", &["model", "config", "telemetry", "wire", "token"]),
    ("gateway", &["model", "config", "telemetry", "wire", "portal", "proxy"]),
    ("server", &["model", "config", "telemetry", "wire", "gateway"]),
    (
        "app",
        &[
            "model",
            "config",
            "telemetry",
            "wire",
            "store",
            "mail",
            "token",
            "auth",
            "provider",
            "portal",
            "proxy",
            "gateway",
            "server",
        ],
    ),
    (
        "cli",
        &["app", "model", "config", "telemetry", "store", "mail", "token", "auth"],
    ),
];

/// What only `store` itself may name: a backend is chosen in one place.
const BACKENDS: &[&str] = &["sqlite", "postgres", "redis"];

#[test]
fn no_file_imports_a_room_that_the_table_does_not_allow() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&root);
    assert!(
        files.len() > TABLE.len(),
        "only {} files under src: is this the crate?",
        files.len()
    );
    let mut found = Vec::new();
    for file in files {
        let name = file
            .strip_prefix(&root)
            .unwrap_or(&file)
            .to_string_lossy()
            .replace('\\', "/");
        let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        found.extend(
            violations(&name, &text)
                .into_iter()
                .map(|what| format!("src/{name}: {what}")),
        );
    }
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_table_is_the_one_in_lib_rs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let text = fs::read_to_string(&path).expect("src/lib.rs can be read");
    let ours = TABLE
        .iter()
        .map(|(room, may)| (*room, may.iter().copied().collect()))
        .collect::<BTreeMap<_, _>>();
    assert_eq!(
        documented_table(&text),
        ours,
        "the table in src/lib.rs and the one in tests/layers.rs differ"
    );
    for room in ours.keys() {
        assert!(
            text.contains(&format!("pub mod {room};")),
            "src/lib.rs does not declare {room}"
        );
    }
}

#[test]
fn the_table_has_no_ring() {
    for (above, (room, may)) in TABLE.iter().enumerate() {
        for other in *may {
            let below = TABLE.iter().position(|(name, _)| name == other);
            assert!(
                below.is_some_and(|below| below < above),
                "{room} may import {other}, which is not below it"
            );
        }
    }
}

fn rust_files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("a folder can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The rooms and their rights as the `//!` table of `lib.rs` says them.
fn documented_table(text: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut above = BTreeSet::new();
    let mut table = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("//! | [`")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let room = cells[0].trim_end_matches("`]");
        let words = cells[2].split(|c: char| !c.is_ascii_alphanumeric());
        let may = if cells[2] == "every room above" {
            above.clone()
        } else {
            words.filter(|word| may_of(word).is_some()).collect()
        };
        above.insert(room);
        table.insert(room, may);
    }
    table
}

fn may_of(room: &str) -> Option<&'static [&'static str]> {
    TABLE.iter().find(|(name, _)| *name == room).map(|(_, may)| *may)
}

/// Everything that is wrong with one file; `name` is relative to `src/`.
fn violations(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if !text.starts_with("//!") {
        found.push("does not open with `//!`".to_owned());
    }
    if name == "mod.rs" || name.ends_with("/mod.rs") {
        found.push("is a `mod.rs`; a room's door is `foo.rs` beside `foo/`".to_owned());
    }
    let tokens = tokens(text);
    let room = name.split('/').next().unwrap_or(name).trim_end_matches(".rs");
    if room != "lib" && room != "main" && may_of(room).is_none() {
        found.push(format!("is in no room of the table: `{room}`"));
    }
    let is_door = !name.contains('/');
    for at in 0..tokens.len() {
        found.extend(judge(&tokens, at, room, is_door));
    }
    found
}

/// What is wrong with the path that begins at one token, if one does.
fn judge(tokens: &[&str], at: usize, room: &str, is_door: bool) -> Vec<String> {
    let is = |offset: usize, what: &str| tokens.get(at + offset).is_some_and(|token| *token == what);
    match tokens[at] {
        "super" if is(1, "::") && is(2, "super") => vec!["writes `super::super`".to_owned()],
        "path" if is(1, "=") && at > 0 && tokens[at - 1] == "[" => vec!["moves a module with `#[path]`".to_owned()],
        "crate" if is(1, "as") || (is(1, "self") && is(2, "as")) => vec!["renames the crate".to_owned()],
        "crate" | "gateward" if is(1, "::") => judge_paths(tokens, at, room),
        // In a door, the parent is the crate; `super::NAME` is a room only when NAME is one.
        "super" if is_door && is(1, "::") => {
            let rooms = heads(tokens, at + 2)
                .into_iter()
                .filter(|path| may_of(path.room).is_some());
            rooms
                .filter_map(|path| judge_path(&path, room, is_reexport(tokens, at)))
                .collect()
        }
        _ => Vec::new(),
    }
}

fn judge_paths(tokens: &[&str], at: usize, room: &str) -> Vec<String> {
    let reexported = is_reexport(tokens, at);
    heads(tokens, at + 2)
        .iter()
        .filter_map(|path| judge_path(path, room, reexported))
        .collect()
}

fn judge_path(path: &Head<'_>, room: &str, reexported: bool) -> Option<String> {
    let Head { room: other, next } = *path;
    let shown = if next.is_empty() {
        format!("crate::{other}")
    } else {
        format!("crate::{other}::{next}")
    };
    if other == "self" || other == "*" {
        return Some(format!("imports the whole crate: `{shown}`"));
    }
    if other == room {
        return None;
    }
    if reexported {
        return Some(format!("re-exports another room's: `{shown}`"));
    }
    if other == "store" && BACKENDS.contains(&next) {
        return Some(format!("names a backend, which only `store` may: `{shown}`"));
    }
    let allowed = match room {
        "main" => other == "cli",
        "lib" => false,
        _ => may_of(room).is_some_and(|may| may.contains(&other)),
    };
    (!allowed).then(|| format!("imports `{shown}`, but `{room}` may not use `{other}`"))
}

/// The first two names of a path below the crate.
struct Head<'a> {
    room: &'a str,
    next: &'a str,
}

/// The paths that begin at `at`: one, or those of a group (`{model::user, wire::{Body, reply}}`).
fn heads<'a>(tokens: &[&'a str], at: usize) -> Vec<Head<'a>> {
    let token = |i: usize| tokens.get(i).copied().unwrap_or_default();
    let head = |i: usize| Head {
        room: token(i),
        next: if token(i + 1) == "::" { token(i + 2) } else { "" },
    };
    if token(at) != "{" {
        return vec![head(at)];
    }
    let mut found = Vec::new();
    let mut depth = 0;
    for i in at..tokens.len() {
        match token(i) {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ if depth == 1 && (token(i - 1) == "{" || token(i - 1) == ",") => found.push(head(i)),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    found
}

/// Whether the path at `at` stands in a `use` that is more visible than its own module.
fn is_reexport(tokens: &[&str], at: usize) -> bool {
    let statement = tokens[..at]
        .iter()
        .rposition(|token| matches!(*token, ";" | "}" | "{"))
        .map_or(0, |i| i + 1);
    let statement = &tokens[statement..at];
    statement
        .iter()
        .position(|token| *token == "use")
        .is_some_and(|i| statement[..i].contains(&"pub"))
}

/// Names and marks of Rust source, without comments, strings and character literals. A lifetime is a name behind a `'`.
fn tokens(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || !b.is_ascii();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = &text[at..];
        let length = match byte {
            b'/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => block_comment(rest),
            b'"' => quoted(rest),
            b'\'' => character(rest),
            _ if raw_string(rest).is_some() => raw_string(rest).unwrap_or(1),
            _ if is_name(byte) => rest.bytes().take_while(|b| is_name(*b)).count(),
            _ if rest.starts_with("::") => 2,
            _ => 1,
        };
        let token = &rest[..length];
        let counts = is_name(byte) && raw_string(rest).is_none() || token == "::" || "{}();,*=[]".contains(token);
        if counts && !token.is_empty() {
            found.push(token);
        }
        at += length;
    }
    found
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
        } else {
            at += 1;
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (i, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return i + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of `'x'` or `'\…'`; 1 for the tick of a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_)) => chars.find(|(_, c)| *c == '\'').map_or(1, |(i, _)| i + 1),
        (Some(_), Some((i, '\''))) => i + 1,
        _ => 1,
    }
}

/// The length of `r"…"`, `br#"…"#` and their kin; `None` when none begins here.
fn raw_string(rest: &str) -> Option<usize> {
    let after = rest
        .strip_prefix("br")
        .or_else(|| rest.strip_prefix("cr"))
        .or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.bytes().take_while(|b| *b == b'#').count();
    let body = after[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = body.find(&close).map_or(body.len(), |i| i + close.len());
    Some(rest.len() - body.len() + end)
}

mod planted {
    use super::violations;

    #[track_caller]
    fn found(name: &str, code: &str, what: &str) {
        let found = violations(name, &format!("//! A file.\n{code}\n"));
        assert_eq!(found.len(), 1, "{code}: {found:?}");
        assert!(found[0].contains(what), "{code}: {found:?} does not say {what:?}");
    }

    #[track_caller]
    fn clean(name: &str, code: &str) {
        let found = violations(name, &format!("//! A file.\n{code}\n"));
        assert!(found.is_empty(), "{code}: {found:?}");
    }

    #[test]
    fn a_forbidden_import_is_found_however_it_is_written() {
        let denied = "`store`";
        found("portal/api.rs", "use crate::store::Stores;", denied);
        found("portal.rs", "use crate::{model::user::User, store::Stores};", denied);
        found("portal.rs", "use crate::{model::{user, session}, store};", denied);
        found("portal.rs", "use super::store::Stores;", denied);
        found("portal.rs", "use super::{model::user::User, store::Stores};", denied);
        found("portal.rs", "fn f() -> Option<crate::store::Stores> { None }", denied);
        found("portal.rs", "fn f() { crate :: store :: open(); }", denied);
        found(
            "portal.rs",
            "#[cfg(test)] mod tests { use crate::store::Stores; }",
            denied,
        );
        found(
            "portal.rs",
            "macro_rules! m { () => { $crate::store::open() } }",
            denied,
        );
        found(
            "portal.rs",
            "fn f<'a>(x: &'a str) -> char { let c = '\"'; crate::store::f(x); c }",
            denied,
        );
        found("portal.rs", "fn f() { gateward::store::open(); }", denied);
        found("main.rs", "fn main() { gateward::store::open(); }", denied);
    }

    #[test]
    fn each_room_of_the_issue_is_kept_from_its_neighbours() {
        found("auth/login.rs", "use crate::wire::Body;", "`wire`");
        found("proxy/gate.rs", "use crate::portal::Portal;", "`portal`");
        found("portal/api.rs", "use crate::proxy::Proxy;", "`proxy`");
        found("model/user.rs", "use crate::config::Settings;", "`config`");
        found("token.rs", "use crate::auth::Auth;", "`auth`");
        found("app.rs", "use crate::cli::Command;", "`cli`");
        found("lib.rs", "use crate::model::user::User;", "`model`");
        found("util.rs", "fn f() {}", "no room");
    }

    #[test]
    fn the_house_rules_beside_the_table_are_kept() {
        found("auth/login.rs", "use super::super::store::Stores;", "super::super");
        found("auth/login/mod.rs", "fn f() {}", "mod.rs");
        found("auth.rs", "pub use crate::store::Stores;", "re-exports");
        found("auth.rs", "pub(crate) use crate::store::Stores;", "re-exports");
        found("auth.rs", "use crate::store::sqlite::Sqlite;", "backend");
        found("auth.rs", "use crate::*;", "whole crate");
        found("auth.rs", "use crate as house;", "renames");
        found("auth.rs", "extern crate self as house;", "renames");
        found("auth.rs", "#[path = \"elsewhere.rs\"] mod elsewhere;", "#[path]");
        assert_eq!(violations("auth.rs", "use std::fmt;"), ["does not open with `//!`"]);
    }

    #[test]
    fn what_is_allowed_stays_allowed() {
        clean(
            "portal/api.rs",
            "use super::Portal; use crate::auth::Auth; use crate::portal::refusal;",
        );
        clean(
            "portal.rs",
            "// use crate::store::Stores;\n/* crate::store /* nested */ crate::store */",
        );
        clean(
            "portal.rs",
            "const S: &str = \"crate::store \\\" crate::store\"; const R: &str = r#\"crate::store\"#;",
        );
        clean("portal.rs", "/// See [`crate::store`].\npub(crate) fn f() {}");
        clean("portal.rs", "pub use api::Api; pub(in crate::portal) fn f() {}");
        clean("portal.rs", "#[cfg(test)] mod tests { use super::*; }");
        clean(
            "store.rs",
            "use crate::store::sqlite::Sqlite; use crate::telemetry::Metrics;",
        );
        clean("main.rs", "fn main() { gateward::cli::run(); }");
        clean("cli.rs", "use crate::app::App; use crate::store::Stores;");
    }
}
