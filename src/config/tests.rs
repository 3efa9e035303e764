//! What the whole room promises: the reference file is true, and every mistake is named, all at once, where it stands.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::check::{Mistake, Mistakes, check};
use super::file::File;
use super::read::{Holds, Key, Table};
use super::*;

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
fn listeners_that_cannot_work_are_refused() {
    refuses("[server]\nhttps = \"off\"", 1, "server", "nothing listens");
    refuses(
        "[server]\nhttps = \"localhost:8443\"",
        2,
        "server.https",
        "not an address",
    );
    refuses(
        "[server]\nadmin = \"0.0.0.0:9901\"",
        2,
        "server.admin",
        "admin_public = true",
    );
    refuses(
        "[server]\nadmin = \"127.0.0.1:8443\"",
        2,
        "server.admin",
        "same address as `https`",
    );
    refuses(
        "[server]\npublic_url = \"http://localhost\"",
        2,
        "server.public_url",
        "https://",
    );
    refuses(
        "[server]\npublic_url = \"https://a.example/b\"",
        2,
        "server.public_url",
        "more than scheme",
    );
    refuses(
        "[server]\ntrusted_proxies = [\"10.0.0.0/8\",\n\"x\"]",
        3,
        "server.trusted_proxies",
        "not an address range",
    );
    refuses(
        "[server]\nlimits = { header_size = \"1KiB\" }",
        2,
        "server.limits.header_size",
        "8KiB",
    );
    settings("[server]\nadmin = \"0.0.0.0:9901\"\nadmin_public = true");
    settings("[server]\nhttp = \"127.0.0.1:80\"\npublic_url = \"https://app.example.com/\"");
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
fn lives_of_tokens_fit_into_each_other() {
    refuses(
        "[tokens]\naccess_ttl = \"14d\"",
        2,
        "tokens.access_ttl",
        "shorter than refresh_idle",
    );
    refuses(
        "[tokens]\nrefresh_idle = \"10m\"",
        2,
        "tokens.refresh_idle",
        "`access_ttl` must be shorter",
    );
    refuses(
        "[tokens]\nrefresh_idle = \"91d\"",
        2,
        "tokens.refresh_idle",
        "refresh_absolute",
    );
    refuses(
        "[tokens]\naccess_ttl = \"0s\"",
        2,
        "tokens.access_ttl",
        "longer than nothing",
    );
    refuses("[tokens]\nreuse_window = \"1h\"", 2, "tokens.reuse_window", "10m");
    refuses(
        "[tokens.keys]\npublish_before = \"30d\"",
        2,
        "tokens.keys.publish_before",
        "rotate_every",
    );
    refuses("[tokens]\naudience = []", 2, "tokens.audience", "at least one");
    refuses("[tokens]\nclaims = [\"email\", \"email\"]", 2, "tokens.claims", "twice");
    refuses(
        "[tokens]\nalgorithm = \"HS256\"",
        2,
        "tokens.algorithm",
        "did you mean `RS256`",
    );
    refuses(
        "[tokens]\nalgorithm = \"none\"",
        2,
        "tokens.algorithm",
        "RS256, ES256, EdDSA",
    );
}

#[test]
fn sign_in_rules_that_cannot_hold_are_refused() {
    refuses("[auth]\nbase_path = \"/\"", 2, "auth.base_path", "not a path");
    refuses(
        "[auth]\npassword = { min_length = 4 }",
        2,
        "auth.password.min_length",
        "from 8 to 128",
    );
    refuses(
        "[auth.password]\nmin_length = 100\nmax_length = 64",
        2,
        "auth.password.min_length",
        "max_length",
    );
    refuses(
        "[auth.password]\nargon2 = { memory = \"19KiB\" }",
        2,
        "auth.password.argon2.memory",
        "1MiB",
    );
    refuses("[auth]\nlimits = { per_ip = \"20\" }", 2, "auth.limits.per_ip", "20/1m");
    refuses(
        "[auth]\nreturn_to_hosts = [\"https://a.example\"]",
        2,
        "auth.return_to_hosts",
        "not a host",
    );
    refuses(
        "[auth]\ndefault_roles = [\"a b\"]",
        2,
        "auth.default_roles",
        "not a role",
    );
    refuses("[log]\nlevel = \"inof\"", 2, "log.level", "did you mean `info`");
    refuses("[log]\naudit = true", 2, "log.audit", "must be");
}

#[test]
fn a_secret_is_not_written_beside_its_file() {
    refuses(
        "[store]\nsecret = \"x\"\nsecret_file = \"y\"",
        2,
        "store.secret",
        "beside `secret_file`",
    );
    refuses(
        "[store]\nsecret = \"x\"",
        2,
        "store.secret",
        "name it with `secret_file`",
    );
    refuses(
        "[store]\nsessions = \"redis://h\"",
        2,
        "store.sessions",
        "`redis` are not supported",
    );
}

#[test]
fn routes_that_could_never_be_asked_are_refused() {
    let twice = format!("{}[[routes]]\nname = \"other\"\nupstream = \"app\"\n", route(""));
    refuses(&twice, 6, "routes[other]", "route on line 3");
    let names = format!(
        "{}[[routes]]\nname = \"app\"\npath = \"/x\"\nupstream = \"app\"\n",
        route("")
    );
    refuses(&names, 7, "routes[app].name", "already on line 4");
    refuses(&route("path = \"/auth\""), 6, "routes[app].path", "own endpoints");
    refuses(&route("path = \"/auth/x\""), 6, "routes[app].path", "own endpoints");
    refuses(
        &route("path = \"/.well-known/jwks.json\""),
        6,
        "routes[app].path",
        "own endpoints",
    );
    settings(&route("path = \"/authors\""));
    let methods = "methods = [\"GET\"]\n[[routes]]\nname = \"b\"\nupstream = \"app\"\nmethods = [\"GET\", \"POST\"]";
    settings(&route(methods));
}

#[test]
fn the_same_methods_in_another_order_are_the_same_methods() {
    let text = route(
        "methods = [\"GET\", \"POST\"]\n[[routes]]\nname = \"b\"\nupstream = \"app\"\npath = \"//\"\nmethods = [\"POST\", \"GET\"]",
    );
    assert_eq!(mistakes(&text).len(), 1);
    let text = route(
        "methods = [\"GET\", \"POST\"]\n[[routes]]\nname = \"b\"\nupstream = \"app\"\nmethods = [\"POST\", \"GET\"]",
    );
    refuses(&text, 7, "routes[b]", "line 3");
}

#[test]
fn routes_that_contradict_themselves_are_refused() {
    refuses(
        &route("auth = \"public\"\nroles = [\"a\"]"),
        7,
        "routes[app].roles",
        "public",
    );
    refuses(
        &route("auth = \"optional\"\nroles = [\"a\"]"),
        7,
        "routes[app].roles",
        "optional",
    );
    refuses(
        &route("credentials = []"),
        6,
        "routes[app].credentials",
        "nobody could pass",
    );
    refuses(
        &route("methods = [\"TRACE\"]"),
        6,
        "routes[app].methods",
        "never passed on",
    );
    refuses(&route("path = \"app\""), 6, "routes[app].path", "begin with `/`");
    refuses(&route("host = \"a.example:80\""), 6, "routes[app].host", "port");
    refuses(
        &route("path_exceptions = [\"..\"]"),
        6,
        "routes[app].path_exceptions",
        "%2F",
    );
    refuses(
        &with_upstream("upstream = \"apq\""),
        5,
        "routes[app].upstream",
        "did you mean `app`",
    );
    refuses(
        &with_upstream("upstream = \"builtin:foo\""),
        5,
        "routes[app].upstream",
        "builtin:whoami",
    );
    refuses(
        &with_upstream("path = \"/\""),
        3,
        "routes[app]",
        "`upstream` is missing",
    );
    let no_roles = format!("tokens = {{ claims = [] }}\n{}", route("roles = [\"a\"]"));
    refuses(&no_roles, 7, "routes[app].roles", "tokens.claims");
}

#[test]
fn headers_with_a_meaning_of_their_own_cannot_carry_identity() {
    for name in [
        "Connection",
        "Content-Length",
        "Host",
        "Transfer-Encoding",
        "Cookie",
        "Authorization",
        "X-Forwarded-For",
        "content_length",
    ] {
        let text = route(&format!("identity = {{ headers = {{ {name} = \"sub\" }} }}"));
        refuses(
            &text,
            6,
            &format!("routes[app].identity.headers.{name}"),
            "meaning of its own",
        );
    }
    let text = route("identity = { headers = { X_Forwarded_User = \"sub\" } }");
    refuses(
        &text,
        6,
        "routes[app].identity.headers.X_Forwarded_User",
        "same header as `x-forwarded-user`",
    );
    let text = route("identity = { headers = { \"a b\" = \"sub\" } }");
    refuses(&text, 6, "routes[app].identity.headers.a b", "not the name of a header");
    let text = route("identity = { headers = { X-A = \"name\" } }");
    refuses(&text, 6, "routes[app].identity.headers.X-A", "sub, email, roles");
}

#[test]
fn identity_presets_become_headers() {
    let settings = settings(&route(
        "identity = { preset = \"remote-user\", user = \"email\", headers = { X-Session = \"sid\" } }",
    ));
    let headers = &settings.routes[0].identity.headers;
    let shown: Vec<(&str, Claim)> = headers.iter().map(|(name, claim)| (name.as_str(), *claim)).collect();
    let expected = [
        ("remote-user", Claim::Email),
        ("remote-email", Claim::Email),
        ("remote-groups", Claim::Roles),
        ("x-session", Claim::Session),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn upstreams_that_cannot_work_are_refused() {
    let upstream = |keys: &str| format!("[upstreams.app]\n{keys}");
    refuses(&upstream(""), 1, "upstreams.app", "`servers` is missing");
    refuses(&upstream("servers = []"), 2, "upstreams.app.servers", "at least one");
    refuses(
        &upstream("servers = [\"ftp://a\"]"),
        2,
        "upstreams.app.servers",
        "scheme",
    );
    refuses(
        &upstream("servers = [\"http://a/b\"]"),
        2,
        "upstreams.app.servers",
        "more than scheme",
    );
    refuses(
        &upstream("servers = [\"http://a\", \"https://b\"]"),
        2,
        "upstreams.app.servers",
        "mixes",
    );
    refuses(
        &upstream("servers = [\"http://a\", \"http://A/\"]"),
        2,
        "upstreams.app.servers",
        "twice",
    );
    refuses(
        &upstream("servers = [\"https://a\"]\nca_file = \"gone.pem\""),
        3,
        "upstreams.app.ca_file",
        "cannot be read",
    );
    refuses(
        "[upstreams.\"a b\"]\nservers = [\"http://a\"]",
        1,
        "upstreams.a b",
        "not a name",
    );
    refuses("upstreams = 3", 1, "upstreams", "must be a table");
    refuses("routes = {}", 1, "routes", "must be a list of tables");
}

/// A folder with certificates for the given names, `0.pem`/`0.key` and so on.
fn certificates(names: &[&[&str]]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (n, names) in names.iter().enumerate() {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        std::fs::write(folder.path().join(format!("{n}.pem")), made.cert.pem()).unwrap();
        std::fs::write(folder.path().join(format!("{n}.key")), made.signing_key.serialize_pem()).unwrap();
    }
    folder
}

fn tls(folder: &Path, pairs: &[(&str, &str)]) -> Result<Settings, Vec<Mistake>> {
    let tables = pairs
        .iter()
        .map(|(cert, key)| format!("[[tls.certificates]]\ncert_file = \"{cert}\"\nkey_file = \"{key}\"\n"));
    check(&tables.collect::<String>(), folder, &HashMap::new())
}

#[test]
fn certificates_are_read_and_must_fit_their_keys() {
    let folder = certificates(&[&["a.example"], &["b.example"]]);
    let good = tls(folder.path(), &[("0.pem", "0.key"), ("1.pem", "1.key")]).unwrap();
    assert_eq!(good.tls.certificates[0].cert_file, folder.path().join("0.pem"));
    assert!(!good.tls.self_signed);
    let list = tls(folder.path(), &[("0.pem", "1.key"), ("gone.pem", "0.pem")]).unwrap_err();
    let said: Vec<String> = list.iter().map(said).collect();
    assert!(
        said[0].starts_with("3 ") && said[0].contains("not the key of the certificate"),
        "{said:#?}"
    );
    assert!(
        said[1].starts_with("5 ") && said[1].contains("cannot be read"),
        "{said:#?}"
    );
    assert!(
        said[2].starts_with("6 ") && said[2].contains("no private key"),
        "{said:#?}"
    );
}

#[test]
fn a_name_has_one_certificate() {
    let folder = certificates(&[&["a.example", "b.example"], &["B.example"]]);
    let list = tls(folder.path(), &[("0.pem", "0.key"), ("1.pem", "1.key")]).unwrap_err();
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!(list[0].line, Some(5));
    assert!(
        list[0].message.contains("`b.example`") && list[0].message.contains("line 2"),
        "{list:?}"
    );
}

#[test]
fn https_without_a_certificate_is_refused() {
    refuses("[tls]\nself_signed = false", 1, "tls", "needs a certificate");
    settings("[server]\nhttp = \"127.0.0.1:80\"\n[tls]\nself_signed = false");
}

#[test]
fn what_a_reload_cannot_change_is_named() {
    let old = settings("");
    let new = settings(
        "[server]\nworkers = 99\nhttps = \"127.0.0.1:1\"\n[tokens]\naccess_ttl = \"1m\"\n[log]\naudit = \"off\"",
    );
    assert_eq!(keys_needing_restart(&old, &old), [] as [&str; 0]);
    let expected = ["server.https", "server.http", "server.workers", "log.audit"];
    assert_eq!(keys_needing_restart(&old, &new), expected);
}

proptest! {
    #[test]
    fn no_text_makes_the_loader_panic(text in "\\PC*") {
        let _ = check(&text, Path::new("/nowhere"), &HashMap::new());
    }

    #[test]
    fn no_damage_to_a_good_file_makes_the_loader_panic(at in 0..8000_usize, noise in "[\\[\\]{}=\"'\\n#a-z0-9.,]{0,6}", cut in 0..40_usize) {
        let mut text = include_str!("../../gateway.toml").to_owned();
        let at = text.floor_char_boundary(at.min(text.len()));
        let end = text.floor_char_boundary((at + cut).min(text.len())).max(at);
        text.replace_range(at..end, &noise);
        let _ = check(&text, Path::new("/nowhere"), &HashMap::new());
    }

    #[test]
    fn no_value_of_a_key_makes_the_loader_panic(value in "\\PC{0,40}") {
        for key in ["https", "public_url", "trusted_proxies", "shutdown_grace"] {
            let quoted = toml::Value::String(value.clone()).to_string();
            let _ = check(&format!("[server]\n{key} = {quoted}"), Path::new("/nowhere"), &HashMap::new());
            let _ = check(&format!("[server]\n{key} = [{quoted}]"), Path::new("/nowhere"), &HashMap::new());
        }
        for key in ["host", "path", "methods", "upstream", "name"] {
            let quoted = toml::Value::String(value.clone()).to_string();
            let _ = check(&format!("[[routes]]\n{key} = {quoted}"), Path::new("/nowhere"), &HashMap::new());
        }
    }
}
