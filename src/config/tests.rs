//! What the whole room promises: the reference file is true, and every mistake is named, all at once, where it stands.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::check::{Mistake, Mistakes, check};
use super::file::File;
use super::read::{Holds, Key, Table};
use super::*;

mod certificates;
mod noise;
mod providers;
mod refusals;

fn settings(text: &str) -> Settings {
    check(text, Path::new("/etc/gateward"), &HashMap::new()).unwrap()
}

#[track_caller]
fn mistakes(text: &str) -> Vec<Mistake> {
    check(text, Path::new("/etc/gateward"), &HashMap::new()).unwrap_err()
}

/// The one mistake of a file, as `line key: message`.
#[track_caller]
fn only(text: &str) -> String {
    let list = mistakes(text);
    assert_eq!(list.len(), 1, "{list:#?}");
    said(&list[0])
}

fn said(mistake: &Mistake) -> String {
    let line = mistake.line.map(|line| line.to_string()).unwrap_or_default();
    format!("{line} {}: {}", mistake.key, mistake.message)
}

/// Asserts that `text` has one mistake, on `line`, of `key`, that says `words`.
#[track_caller]
fn refuses(text: &str, line: usize, key: &str, words: &str) {
    let found = only(text);
    assert!(found.starts_with(&format!("{line} {key}: ")), "{found}");
    assert!(found.contains(words), "{found}");
}

fn environment(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("gateway.toml")
}

fn with_upstream(route: &str) -> String {
    format!("[upstreams.app]\nservers = [\"http://127.0.0.1:3000\"]\n[[routes]]\nname = \"app\"\n{route}")
}

/// A route to `app`; what is given begins on line 6.
fn route(keys: &str) -> String {
    with_upstream(&format!("upstream = \"app\"\n{keys}"))
}

#[test]
fn an_empty_file_means_the_defaults_of_the_contract() {
    let settings = settings("");
    assert_eq!(settings.server.https, Some("127.0.0.1:8443".parse().unwrap()));
    assert_eq!(settings.server.http, Some("127.0.0.1:8080".parse().unwrap()));
    assert_eq!(settings.server.admin, Some("127.0.0.1:9901".parse().unwrap()));
    assert_eq!(settings.server.public_url, "https://localhost:8443");
    assert!(settings.server.workers >= 1);
    assert_eq!(settings.server.limits.header_size, 32 << 10);
    assert!(settings.tls.self_signed);
    assert_eq!(settings.tls.self_signed_dir, Path::new("/etc/gateward/data"));
    assert_eq!(settings.tokens.issuer, "https://localhost:8443");
    assert_eq!(settings.tokens.access_ttl, Duration::from_mins(15));
    assert_eq!(settings.auth.password.memory_kib, 19 * 1024);
    let path = Path::new("/etc/gateward/data/gateward.db").to_owned();
    assert_eq!(settings.store.accounts, StoreUrl::Sqlite(path));
    assert_eq!(settings.routes, []);
}

#[test]
fn the_reference_file_is_nothing_but_the_defaults() {
    let written = check::load(&reference(), &HashMap::new()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let text = std::fs::read_to_string(reference()).unwrap();
    let own = text.split_once("[upstreams.app]").unwrap().0;
    let defaults = check("", reference().parent().unwrap(), &HashMap::new()).unwrap();
    let shown = check(own, reference().parent().unwrap(), &HashMap::new()).unwrap();
    assert_eq!(shown, defaults);
    let app = &written.routes[1];
    let bare = settings(&with_upstream("upstream = \"app\"\nhost = \"app.example.com\""));
    assert_eq!(*app, bare.routes[0]);
    assert_eq!(written.upstreams["app"], bare.upstreams["app"]);
    assert_eq!(written.routes[0].target, Target::Whoami);
    assert_eq!(written.routes[0].access, Access::Required);
}

#[test]
fn every_key_is_in_the_reference_file() {
    fn names(keys: &'static [Key], found: &mut Vec<&'static str>) {
        for key in keys {
            match key.holds {
                Holds::Value | Holds::Map => found.push(key.name),
                Holds::Table(inner) | Holds::Tables(inner) => names(inner, found),
            }
        }
    }
    let text = std::fs::read_to_string(reference()).unwrap();
    let mut keys = Vec::new();
    names(File::KEYS, &mut keys);
    for key in keys {
        let starts = [
            format!("\n{key} = "),
            format!("\n# {key} = "),
            format!("{{ {key} = "),
            format!(", {key} = "),
        ];
        assert!(
            starts.iter().any(|start| text.contains(start)),
            "`{key}` is missing in gateway.toml"
        );
    }
}

#[test]
fn every_mistake_is_named_at_once_with_its_line() {
    let text = "\
version = 1
[server]
htps = \"127.0.0.1:8443\"
shutdown_grace = 20
[tokens]
access_ttl = \"15 minutes\"
on_reuse = \"famly\"
[[routes]]
name = \"app\"
upstream = \"ap\"
auth = \"public\"
roles = [\"staff\"]
[upstreams.app]
servers = []
";
    let found: Vec<(Option<usize>, String)> = mistakes(text).into_iter().map(|m| (m.line, m.key)).collect();
    let expected = [
        (3, "server.htps"),
        (4, "server.shutdown_grace"),
        (6, "tokens.access_ttl"),
        (7, "tokens.on_reuse"),
        (10, "routes[app].upstream"),
        (12, "routes[app].roles"),
        (14, "upstreams.app.servers"),
    ];
    assert_eq!(found, expected.map(|(line, key)| (Some(line), key.to_owned())));
}

#[test]
fn mistakes_are_shown_one_a_line_as_editors_read_them() {
    let mistakes = Mistakes {
        file: "gateway.toml".to_owned(),
        list: mistakes("[server]\nhtps = \"off\"\nworkers = true"),
    };
    assert_eq!(
        mistakes.to_string(),
        "gateway.toml:2: server.htps: unknown key; did you mean `https`?\ngateway.toml:3: server.workers: must be a whole number, not true or false"
    );
}

#[test]
fn broken_toml_is_a_mistake_with_its_line_and_does_not_hide_others() {
    let list = mistakes("[server]\nworkers = = 2\n[tls]\nhsts = \"1y\"\n");
    assert!(list.iter().any(|m| m.line == Some(2) && m.key.is_empty()), "{list:?}");
    assert!(
        list.iter().any(|m| m.key == "tls.hsts" && m.line == Some(4)),
        "{list:?}"
    );
    assert_eq!(mistakes("a = 1\na = 2\n")[0].line, Some(1));
}

#[test]
fn a_missing_file_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.toml");
    let mistakes = check::load(&path, &HashMap::new()).unwrap_err().to_string();
    assert!(mistakes.contains("no such file"), "{mistakes}");
    assert!(
        mistakes.contains("--config") && mistakes.contains("GATEWARD_CONFIG"),
        "{mistakes}"
    );
}

#[test]
fn a_file_that_is_not_text_is_a_mistake_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.toml");
    std::fs::write(&path, b"version = 1\n# \xff\n").unwrap();
    assert_eq!(check::load(&path, &HashMap::new()).unwrap_err().list[0].line, Some(2));
}

#[test]
fn the_environment_overrides_single_values_by_their_type() {
    let environment = environment(&[
        ("GATEWARD__SERVER__HTTPS", "0.0.0.0:443"),
        ("GATEWARD__SERVER__LIMITS__CONNECTIONS", "7"),
        ("GATEWARD__TOKENS__KEYS__ROTATE_EVERY", "7d"),
        ("GATEWARD__SERVER__ADMIN_PUBLIC", "true"),
        ("GATEWARD_CONFIG", "elsewhere.toml"),
    ]);
    let settings = check("[server]\nhttps = \"127.0.0.1:1\"", Path::new(""), &environment).unwrap();
    assert_eq!(settings.server.https, Some("0.0.0.0:443".parse().unwrap()));
    assert_eq!(settings.server.limits.connections, 7);
    assert_eq!(settings.tokens.rotate_every, Duration::from_hours(7 * 24));
    assert!(settings.server.admin_public);
}

#[test]
fn a_bad_or_unknown_override_is_a_mistake() {
    let environment = environment(&[
        ("GATEWARD__SERVER__HTPS", "off"),
        ("GATEWARD__SERVER__WORKERS", "many"),
        ("GATEWARD__TOKENS__ACCESS_TTL", "soon"),
    ]);
    let list = check("", Path::new(""), &environment).unwrap_err();
    let mut said: Vec<String> = list.iter().map(said).collect();
    said.sort();
    assert_eq!(said.len(), 3, "{said:#?}");
    assert!(said[0].contains("did you mean `GATEWARD__SERVER__HTTPS`"), "{said:#?}");
    assert!(said[1].contains("GATEWARD__SERVER__WORKERS: `many`"), "{said:#?}");
    assert!(
        said[2].contains("GATEWARD__TOKENS__ACCESS_TTL: `soon` is not a duration"),
        "{said:#?}"
    );
}

#[test]
fn one_listener_written_alone_listens_alone() {
    let behind = settings("[server]\nhttp = \"127.0.0.1:8000\"");
    assert_eq!(
        (behind.server.https, behind.server.public_url.to_string()),
        (None, "http://localhost:8000/".to_owned())
    );
    let alone = settings("[server]\nhttps = \"127.0.0.1:443\"");
    assert_eq!(
        (alone.server.http, alone.server.public_url.to_string()),
        (None, "https://localhost/".to_owned())
    );
    assert_eq!(alone.tokens.issuer, "https://localhost");
}

#[test]
fn a_key_in_the_wrong_table_is_shown_its_place() {
    refuses(
        "[server]\nheader_timeout = \"1s\"",
        2,
        "server.header_timeout",
        "belongs into `server.limits`",
    );
    refuses("[server]\nservers = []", 2, "server.servers", "unknown key");
    refuses(
        "[server]\nrotate_every = \"1d\"",
        2,
        "server.rotate_every",
        "belongs into `tokens.keys`",
    );
}

#[test]
fn another_version_is_refused() {
    refuses("version = 2", 1, "version", "version = 1");
    refuses("version = \"1\"", 1, "version", "version = 1");
}

#[test]
fn a_broken_line_is_named_once() {
    refuses("[server]\nadmin = \"10.0.0.1:9901\n", 2, "", "invalid basic string");
    refuses("[upstreams]\napp = 3\n", 2, "upstreams.app", "must be a table");
}
