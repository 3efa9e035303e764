//! Database servers as a store's URL names them: parsed to the last word, so that a mistake shows in `check` and not at the first sign-in.
//!
//! A password may stand in the URL or in a file of its own. Neither is ever printed: not by `Debug`, not in a mistake.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

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
    fn is_loopback(&self) -> bool {
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
    },
    /// `redis+cluster://host:port,host:port`
    Cluster {
        /// Some of its nodes; the others are found through them.
        nodes: Vec<ServerAddress>,
    },
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
    if let Some((key, _)) = parts.parameters.first() {
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
    })
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

/// What a URL says behind `scheme://`, decoded.
struct Parts {
    user: Option<String>,
    password: Option<ServerPassword>,
    servers: Vec<ServerAddress>,
    path: Vec<String>,
    parameters: Vec<(String, String)>,
}

impl Parts {
    fn split(rest: &str, default_port: u16) -> Result<Self, String> {
        if rest.contains('#') {
            return Err("contains `#`; write `%23`".to_owned());
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (Some(credentials), hosts),
            None => (None, authority),
        };
        let (user, password) = credentials.map_or((None, None), |text| match text.split_once(':') {
            Some((user, password)) => (Some(user), Some(password)),
            None => (Some(text), None),
        });
        let user = user.filter(|user| !user.is_empty()).map(decode).transpose()?;
        let password = password
            .filter(|password| !password.is_empty())
            .map(decode)
            .transpose()?;
        let servers: Result<_, String> = hosts.split(',').map(|host| server(host, default_port)).collect();
        let path: Result<_, String> = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
        let parameters: Result<_, String> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(parameter)
            .collect();
        Ok(Self {
            user,
            password: password.map(ServerPassword::new),
            servers: servers?,
            path: path?,
            parameters: parameters?,
        })
    }

    fn one_server(&self) -> Result<ServerAddress, String> {
        match self.servers.as_slice() {
            [server] => Ok(server.clone()),
            _ => Err("must name one server".to_owned()),
        }
    }
}

fn server(text: &str, default_port: u16) -> Result<ServerAddress, String> {
    let wrong = || "names no server; write `host:port`, an IPv6 address in brackets".to_owned();
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or_else(wrong)?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
            (
                address,
                port.strip_prefix(':')
                    .or(port.is_empty().then_some(""))
                    .ok_or_else(wrong)?,
            )
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
    if host.is_empty() || !host.bytes().all(letter) {
        return Err(wrong());
    }
    let port = match port {
        "" => default_port,
        port => port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?,
    };
    let host = host.to_ascii_lowercase();
    Ok(ServerAddress { host, port })
}

fn parameter(pair: &str) -> Result<(String, String), String> {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    Ok((decode(key)?, decode(value)?))
}

fn decode(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    let text = decoded.map_err(|_| "is not UTF-8 once its `%` are decoded")?;
    if text.chars().any(char::is_control) {
        return Err("contains control characters".to_owned());
    }
    Ok(text.into_owned())
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
                database
            }
        );

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
    }

    #[test]
    fn a_password_is_not_printed() {
        let printed = format!("{:?} {:?}", redis("redis", "u:s3cret@a"), postgres("u:s3cret@a/x"));
        assert!(!printed.contains("s3cret"), "{printed}");
    }
}
