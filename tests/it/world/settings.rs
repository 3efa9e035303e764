//! The configuration of a world: the usual one, and changes to it.

use std::fmt;

use toml::{Table, Value};

/// A `gateway.toml` in the making.
#[derive(Clone, Debug)]
pub struct Config(Table);

impl Config {
    /// Everything on, cheap hashing, limits and times that suit a busy machine, two workers, and an upstream `app` behind `/`, with `/public`, `/optional` and `/whoami` beside it.
    pub fn usual(https: u16, http: u16, admin: u16, app: &str) -> Self {
        let text = format!(
            r#"
            version = 1
            [server]
            https = "127.0.0.1:{https}"
            http = "127.0.0.1:{http}"
            admin = "127.0.0.1:{admin}"
            public_url = "https://localhost:{https}"
            workers = 2
            [tls]
            self_signed = true
            [store]
            accounts = "sqlite://data/gateward.db"
            sessions = "sqlite://data/gateward.db"
            secret_file = "data/secret.key"
            timeout = "20s"
            [tokens]
            [auth]
            password = {{ argon2 = {{ memory = "1MiB", iterations = 1, lanes = 1 }} }}
            limits = {{ per_ip = "100000/1m", per_account_ip = "100000/1m", per_account = "100000/1m" }}
            [log]
            access = "access.log"
            audit = "audit.log"
            [upstreams.app]
            servers = ["{app}"]
            [[routes]]
            name = "whoami"
            path = "/whoami"
            upstream = "builtin:whoami"
            [[routes]]
            name = "public"
            path = "/public"
            upstream = "app"
            auth = "public"
            [[routes]]
            name = "optional"
            path = "/optional"
            upstream = "app"
            auth = "optional"
            [[routes]]
            name = "app"
            path = "/"
            upstream = "app"
            "#
        );
        Self(text.parse().expect("the usual configuration is TOML"))
    }

    /// Sets a key by its path (`tokens.access_ttl`), making the tables on the way.
    pub fn set(&mut self, path: &str, value: impl Into<Value>) -> &mut Self {
        let mut table = &mut self.0;
        let mut names = path.split('.').peekable();
        while let Some(name) = names.next() {
            if names.peek().is_none() {
                table.insert(name.to_owned(), value.into());
                break;
            }
            let entry = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
            table = entry.as_table_mut().expect("a table on the way");
        }
        self
    }

    /// Takes a key away.
    pub fn remove(&mut self, path: &str) -> &mut Self {
        let (above, name) = path.rsplit_once('.').unwrap_or(("", path));
        let mut table = &mut self.0;
        for step in above.split('.').filter(|step| !step.is_empty()) {
            table = table
                .get_mut(step)
                .and_then(Value::as_table_mut)
                .expect("a table on the way");
        }
        table.remove(name);
        self
    }

    /// Adds a route, or changes the one of that name.
    pub fn route(&mut self, name: &str, lines: &str) -> &mut Self {
        let more: Table = lines.parse().expect("a route's keys are TOML");
        let routes = self
            .0
            .get_mut("routes")
            .and_then(Value::as_array_mut)
            .expect("there are routes");
        let found = routes
            .iter_mut()
            .filter_map(Value::as_table_mut)
            .find(|r| r["name"].as_str() == Some(name));
        if let Some(route) = found {
            route.extend(more);
        } else {
            let mut route = Table::from_iter([("name".to_owned(), Value::from(name))]);
            route.extend([("upstream".to_owned(), Value::from("app"))]);
            route.extend(more);
            routes.push(Value::Table(route));
        }
        self
    }

    /// Adds an upstream.
    pub fn upstream(&mut self, name: &str, servers: &[String]) -> &mut Self {
        let servers: Vec<Value> = servers.iter().map(|server| Value::from(server.as_str())).collect();
        self.set(&format!("upstreams.{name}.servers"), servers)
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&toml::to_string(&self.0).map_err(|_| fmt::Error)?)
    }
}
