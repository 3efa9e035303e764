//! A server's URL behind its scheme, taken apart and decoded: who, where, what behind it, and parameters. What they mean is said elsewhere.

use percent_encoding::percent_decode_str;

use super::{ServerAddress, ServerPassword};

/// What a URL says behind `scheme://`, decoded.
pub(super) struct Parts {
    pub(super) user: Option<String>,
    pub(super) password: Option<ServerPassword>,
    pub(super) servers: Vec<ServerAddress>,
    pub(super) path: Vec<String>,
    pub(super) parameters: Vec<(String, String)>,
}

impl Parts {
    pub(super) fn split(rest: &str, default_port: u16) -> Result<Self, String> {
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

    pub(super) fn one_server(&self) -> Result<ServerAddress, String> {
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
