//! What each table refuses, with its line and with what to write instead.

use super::*;

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
        "[server]\nproxy_protocol = true",
        2,
        "server.proxy_protocol",
        "believed of nobody",
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
fn passkeys_belong_to_a_name_that_browsers_let_us_use() {
    let with = |url: &str, keys: &str| format!("[server]\npublic_url = \"{url}\"\n[auth.passkeys]\n{keys}");
    let ours = "https://gate.example.com";
    for rp_id in ["gate.example.com", "example.com"] {
        let kept = settings(&with(ours, &format!("rp_id = \"{rp_id}\"")))
            .auth
            .passkeys
            .unwrap();
        assert_eq!((kept.rp_id.as_str(), kept.origin.as_str()), (rp_id, ours));
    }
    for rp_id in [
        "com",
        "other.example.com",
        "ate.example.com",
        "www.gate.example.com",
        "example.org",
    ] {
        refuses(
            &with(ours, &format!("rp_id = \"{rp_id}\"")),
            4,
            "auth.passkeys.rp_id",
            "gate.example.com",
        );
    }
    for (related, words) in [
        ("https://gate.example.com:443", "itself"),
        ("http://example.net", "must be https"),
        ("https://192.0.2.1", "a name"),
        ("https://[::1]:8443", "a name"),
        ("https://example.net/path", "more than scheme"),
    ] {
        let list = format!("related_origins = [\"{related}\"]");
        refuses(&with(ours, &list), 4, "auth.passkeys.related_origins", words);
    }
    let kept = settings(&with(ours, "related_origins = [\"https://Example.net:443\"]"))
        .auth
        .passkeys;
    assert_eq!(kept.unwrap().related_origins, ["https://example.net"]);
    for none in [
        with("https://192.0.2.1", ""),
        with("https://[::1]:8443", ""),
        with(ours, "enabled = false"),
    ] {
        assert_eq!(settings(&none).auth.passkeys, None);
    }
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
        "[store]\nsessions = \"reddis://h\"",
        2,
        "store.sessions",
        "did you mean `redis`",
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
    for (lines, key) in [("require = \"mfa\"", "require"), ("max_age = \"10m\"", "max_age")] {
        for access in ["public", "optional"] {
            let text = route(&format!("auth = \"{access}\"\n{lines}"));
            refuses(&text, 7, &format!("routes[app].{key}"), access);
        }
    }
    refuses(&route("require = \"two\""), 6, "routes[app].require", "mfa");
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

#[test]
fn https_without_a_certificate_is_refused() {
    refuses("[tls]\nself_signed = false", 1, "tls", "needs a certificate");
    settings("[server]\nhttp = \"127.0.0.1:80\"\n[tls]\nself_signed = false");
}

#[test]
fn each_store_is_kept_where_it_can_be() {
    let accounts = "[store]\naccounts = \"redis://h\"";
    refuses(accounts, 2, "store.accounts", "`postgres://`");
    let sessions = "[store]\nsessions = \"postgres://u@h/d\"";
    refuses(sessions, 2, "store.sessions", "`redis://`");
    refuses(
        "[store]\naccounts = \"postgres://h/d\"",
        2,
        "store.accounts",
        "name a user",
    );
}

#[test]
fn a_password_stands_in_one_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "s3cret\n").unwrap();
    let with = |sessions: &str| {
        let file = file.display();
        format!("[store]\nsessions = \"{sessions}\"\nsessions_password_file = \"{file}\"")
    };
    let StoreUrl::Redis(server) = settings(&with("redis://u@h")).store.sessions else {
        panic!("not Redis");
    };
    assert_eq!(server.password.unwrap().expose(), "s3cret");
    refuses(&with("redis://u:x@h"), 3, "store.sessions_password_file", "keep one");
    refuses(&with("sqlite://x.db"), 3, "store.sessions_password_file", "needs none");
    let sentinels = |sessions: &str| with(sessions).replace("sessions_password_file", "sentinel_password_file");
    let StoreUrl::Redis(server) = settings(&sentinels("redis+sentinel://u:x@h/m?sentinel_user=w"))
        .store
        .sessions
    else {
        panic!("not Redis");
    };
    let servers::RedisForm::Sentinel { login, .. } = server.form else {
        panic!("not Sentinel");
    };
    assert_eq!(
        (login.user.as_deref(), login.password.unwrap().expose()),
        (Some("w"), "s3cret")
    );
    for (url, why) in [
        ("redis+sentinel://h/m?sentinel_password=x", "keep one"),
        ("redis://h", "names none"),
    ] {
        refuses(&sentinels(url), 3, "store.sentinel_password_file", why);
    }
    std::fs::remove_file(&file).unwrap();
    refuses(
        &with("redis://u@h"),
        3,
        "store.sessions_password_file",
        "cannot be read",
    );
}

#[test]
fn letters_need_a_way_and_a_sender() {
    let from = "from = \"a@example.com\"";
    let with = |url: &str| format!("[mail]\nurl = \"{url}\"\n{from}");
    assert_eq!(settings("[mail]\nurl = \"off\"").mail, None);
    assert!(settings(&with("smtps://mail.example.com")).mail.is_some());
    refuses("[mail]\nurl = \"file:sent\"", 2, "mail.url", "needs `from`");
    refuses(&format!("[mail]\n{from}"), 2, "mail.from", "mail.url");
    refuses("[mail]\ntemplates = \"letters\"", 2, "mail.templates", "mail.url");
    refuses(&with("mail.example.com"), 2, "mail.url", "smtps://");
    refuses(
        &format!("{}\npassword_file = \"x\"", with("file:sent")),
        4,
        "mail.password_file",
        "names a folder",
    );
}

#[test]
fn a_mail_servers_password_does_not_go_over_an_open_line() {
    let with = |url: &str| format!("[mail]\nurl = \"{url}\"\nfrom = \"a@example.com\"");
    let open = with("smtp://u:s3cret@mail.example.com?tls=off");
    refuses(&open, 2, "mail.url", "cleartext");
    assert!(!said(&mistakes(&open)[0]).contains("s3cret"));
    for good in [
        "smtp://u:p@mail.example.com",
        "smtp://u:p@127.0.0.1",
        "smtp://mail.example.com?tls=off",
    ] {
        assert!(settings(&with(good)).mail.is_some(), "{good}");
    }
}
