//! Servers as a URL names them, of databases and of mail: parsed to the last word, so that a mistake shows in `check` and not at the first sign-in.
//!
//! A password may stand in the URL or in a file of its own. Neither is ever printed: not by `Debug`, not in a mistake.

mod smtp;
mod url;

use std::fmt;
use std::path::PathBuf;

pub(super) use smtp::smtp;
pub use smtp::{Security, Smtp};
use url::Parts;

/// A password for a database server.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerPassword(String);

impl ServerPassword {
    /// Takes over the text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for signing in to the server only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ServerPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerPassword(…)")
    }
}

/// One server: a name or an address (IPv6 without brackets), and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl ServerAddress {
    /// Whether it is this machine.
    pub fn is_loopback(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

/// A PostgreSQL database: `postgres://user:password@host:port/database?tls=verify&connections=16`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postgres {
    /// Where it listens.
    pub address: ServerAddress,
    /// Who we are to it.
    pub user: String,
    /// What proves it; none where the server trusts us otherwise.
    pub password: Option<ServerPassword>,
    /// The database on it.
    pub database: String,
    /// How its identity is proved.
    pub tls: ServerTls,
    /// PEM certificates that vouch for it beside the well-known authorities.
    pub ca_file: Option<PathBuf>,
    /// Connections open at once.
    pub connections: u32,
}

/// How a server proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerTls {
    /// Not at all, in cleartext: on this machine, or inside a tunnel.
    Off,
    /// By a certificate for its name.
    Verify,
}

/// Redis or Valkey, in any of its forms: `redis://`, `redis+sentinel://`, `redis+cluster://`; with `rediss` in front over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// In which form.
    pub form: RedisForm,
    /// Who we are to it; `None`: its default user.
    pub user: Option<String>,
    /// What proves it.
    pub password: Option<ServerPassword>,
    /// How its identity is proved.
    pub tls: ServerTls,
    /// PEM certificates that vouch for it instead of the system's roots.
    pub ca_file: Option<PathBuf>,
}

/// One server, or several that act as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisForm {
    /// `redis://host:port/database`
    Single {
        /// Where it listens.
        server: ServerAddress,
        /// Number of the database.
        database: u32,
    },
    /// `redis+sentinel://host:port,host:port/service/database`
    Sentinel {
        /// Who knows where the master is.
        sentinels: Vec<ServerAddress>,
        /// What they call it.
        service: String,
        /// Number of the database.
        database: u32,
        /// Who we are to the sentinels themselves.
        login: SentinelLogin,
    },
    /// `redis+cluster://host:port,host:port`
    Cluster {
        /// Some of its nodes; the others are found through them.
        nodes: Vec<ServerAddress>,
    },
}

/// What sentinels ask for, if anything; they have users of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentinelLogin {
    /// `None`: their default user.
    pub user: Option<String>,
    /// What proves it.
    pub password: Option<ServerPassword>,
}

/// `postgres://…`
pub(super) fn postgres(rest: &str) -> Result<Postgres, String> {
    let parts = Parts::split(rest, 5432)?;
    let address = parts.one_server()?;
    let [database] = parts.path.as_slice() else {
        return Err("must name one database behind the server: `postgres://user@host/database`".to_owned());
    };
    let user = parts.user.ok_or("must name a user: `postgres://user@host/database`")?;
    let mut tls = if address.is_loopback() {
        ServerTls::Off
    } else {
        ServerTls::Verify
    };
    let mut connections = 16;
    for (key, value) in &parts.parameters {
        match key.as_str() {
            "tls" => tls = server_tls(value)?,
            "connections" => connections = count(value)?,
            "sslmode" => return Err("has `sslmode`; write `tls=verify` or `tls=off` instead".to_owned()),
            _ => return Err(unknown_parameter(key, "`tls` and `connections`")),
        }
    }
    Ok(Postgres {
        user,
        password: parts.password,
        database: database.clone(),
        tls,
        ca_file: None,
        connections,
        address,
    })
}

/// `redis://…` and its relatives.
pub(super) fn redis(scheme: &str, rest: &str) -> Result<Redis, String> {
    let (base, form) = scheme.split_once('+').unwrap_or((scheme, ""));
    let tls = if base == "rediss" {
        ServerTls::Verify
    } else {
        ServerTls::Off
    };
    let default_port = if form == "sentinel" { 26379 } else { 6379 };
    let parts = Parts::split(rest, default_port)?;
    if let (true, Some((key, _))) = (form != "sentinel", parts.parameters.first()) {
        return Err(format!("has the parameter `{}`; there is none", key.escape_debug()));
    }
    let form = match form {
        "sentinel" => sentinel(&parts)?,
        "cluster" => cluster(&parts)?,
        _ => single(&parts)?,
    };
    Ok(Redis {
        form,
        user: parts.user,
        password: parts.password,
        tls,
        ca_file: None,
    })
}

fn single(parts: &Parts) -> Result<RedisForm, String> {
    let server = parts.one_server()?;
    let database = match parts.path.as_slice() {
        [] => 0,
        [database] => database_number(database)?,
        _ => return Err("has too many parts behind the server; write `redis://host:6379/0`".to_owned()),
    };
    Ok(RedisForm::Single { server, database })
}

fn sentinel(parts: &Parts) -> Result<RedisForm, String> {
    let (service, database) = match parts.path.as_slice() {
        [service] => (service, 0),
        [service, database] => (service, database_number(database)?),
        _ => {
            let example = "redis+sentinel://host:26379,host:26379/mymaster";
            return Err(format!("must name the service behind the sentinels: `{example}`"));
        }
    };
    Ok(RedisForm::Sentinel {
        sentinels: parts.servers.clone(),
        service: service.clone(),
        database,
        login: sentinel_login(&parts.parameters)?,
    })
}

fn sentinel_login(parameters: &[(String, String)]) -> Result<SentinelLogin, String> {
    let mut login = SentinelLogin::default();
    for (key, value) in parameters {
        match key.as_str() {
            "sentinel_user" => login.user = Some(value.clone()),
            "sentinel_password" => login.password = Some(ServerPassword::new(value.clone())),
            _ => return Err(unknown_parameter(key, "`sentinel_user` and `sentinel_password`")),
        }
    }
    Ok(login)
}

fn cluster(parts: &Parts) -> Result<RedisForm, String> {
    match parts.path.as_slice() {
        [] => Ok(RedisForm::Cluster {
            nodes: parts.servers.clone(),
        }),
        _ => Err("has something behind its nodes; a cluster has but one database".to_owned()),
    }
}

fn database_number(text: &str) -> Result<u32, String> {
    let number = text.parse().map_err(|_| "names a database that is no number")?;
    Ok(number)
}

fn server_tls(text: &str) -> Result<ServerTls, String> {
    match text {
        "verify" => Ok(ServerTls::Verify),
        "off" => Ok(ServerTls::Off),
        // Encryption without proof of identity keeps nobody out who can stand in between, so it is not offered.
        _ => Err("has an unknown `tls`; write `tls=verify` or `tls=off`".to_owned()),
    }
}

fn count(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (2..=1000).contains(number));
    number.ok_or_else(|| "needs `connections` from 2 to 1000".to_owned())
}

fn unknown_parameter(key: &str, known: &str) -> String {
    format!("has the unknown parameter `{}`; there are {known}", key.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str, port: u16) -> ServerAddress {
        let host = host.to_owned();
        ServerAddress { host, port }
    }

    #[test]
    fn every_part_of_a_postgres_url_is_read() {
        let read = postgres("gate%40ward:p%2Fw:@db.example.com:6432/accounts?connections=4").unwrap();
        assert_eq!(read.user, "gate@ward");
        assert_eq!(read.password.unwrap().expose(), "p/w:");
        assert_eq!(read.address, address("db.example.com", 6432));
        assert_eq!((read.database.as_str(), read.connections), ("accounts", 4));
    }

    #[test]
    fn a_server_elsewhere_must_prove_who_it_is_unless_told_otherwise() {
        for (rest, tls) in [
            ("u@db/x", ServerTls::Verify),
            ("u@10.0.0.1/x", ServerTls::Verify),
            ("u@db/x?tls=off", ServerTls::Off),
            ("u@localhost/x", ServerTls::Off),
            ("u@[::1]:5432/x", ServerTls::Off),
            ("u@127.0.0.1/x?tls=verify", ServerTls::Verify),
        ] {
            assert_eq!(postgres(rest).unwrap().tls, tls, "{rest}");
        }
        assert!(postgres("u@db/x?tls=prefer").is_err());
        assert!(postgres("u@db/x?sslmode=prefer").is_err());
    }

    #[test]
    fn every_form_of_redis_is_read() {
        let single = redis("rediss", ":pw@cache").unwrap();
        assert_eq!((single.user, single.tls), (None, ServerTls::Verify));
        assert_eq!(single.password.unwrap().expose(), "pw");
        let (server, database) = (address("cache", 6379), 0);
        assert_eq!(single.form, RedisForm::Single { server, database });

        let (sentinels, service) = (vec![address("a", 26379), address("::1", 1)], "main".to_owned());
        let form = redis("redis+sentinel", "a,[::1]:1/main/3").unwrap().form;
        let database = 3;
        assert_eq!(
            form,
            RedisForm::Sentinel {
                sentinels,
                service,
                database,
                login: SentinelLogin::default(),
            }
        );
        let form = redis(
            "redis+sentinel",
            "a/main?sentinel_user=watch%40er&sentinel_password=p%26w",
        )
        .unwrap()
        .form;
        let RedisForm::Sentinel { login, .. } = form else {
            panic!("{form:?}");
        };
        assert_eq!(login.user.as_deref(), Some("watch@er"));
        assert_eq!(login.password.unwrap().expose(), "p&w");

        let nodes = vec![address("a", 1), address("b", 6379)];
        assert_eq!(
            redis("redis+cluster", "u:p@a:1,b").unwrap().form,
            RedisForm::Cluster { nodes }
        );
    }

    #[test]
    fn what_cannot_be_a_server_is_refused_without_its_password() {
        for rest in [
            "",
            "u:s3cret@",
            "u:s3cret@a:0",
            "u:s3cret@a:x",
            "u:s3cret@[::1",
            "u:s3cret@a,b",
            "u:s3cret@a/x/y",
            "u:s3cret@a/x?y=s3cret",
        ] {
            for wrong in [redis("redis", rest).unwrap_err(), postgres(rest).unwrap_err()] {
                assert!(!wrong.contains("s3cret"), "{wrong}");
            }
        }
        assert!(redis("redis+cluster", "a/0").is_err());
        assert!(redis("redis+sentinel", "a").is_err());
        assert!(redis("redis+sentinel", "a/main?sentinel=s3cret").is_err());
    }

    #[test]
    fn a_password_is_not_printed() {
        let printed = format!(
            "{:?} {:?}",
            redis("redis+sentinel", "u:s3cret@a/m?sentinel_password=s3cret"),
            postgres("u:s3cret@a/x")
        );
        assert!(!printed.contains("s3cret"), "{printed}");
    }
}
