//! A mail server as `mail.url` names it: `smtp://user@host:587`, `smtps://user@host`.

use std::path::PathBuf;

use super::url::Parts;
use super::{ServerAddress, ServerPassword, unknown_parameter};

/// A server that takes letters over (RFC 6409).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smtp {
    /// Where it listens.
    pub address: ServerAddress,
    /// Who we are to it, if it asks.
    pub user: Option<String>,
    /// What proves it.
    pub password: Option<ServerPassword>,
    /// How the way there is secured.
    pub security: Security,
    /// PEM certificates that vouch for it instead of the system's authorities.
    pub ca_file: Option<PathBuf>,
}

/// How the way to a mail server is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first octet (RFC 8314 §3.3).
    Tls,
    /// TLS after a greeting in cleartext (RFC 3207); a server that does not offer it gets nothing.
    StartTls,
    /// Not at all: on this machine, or inside a tunnel.
    Off,
}

/// `smtp://…` and `smtps://…`
pub(in crate::config) fn smtp(scheme: &str, rest: &str) -> Result<Smtp, String> {
    let implicit = scheme == "smtps";
    let parts = Parts::split(rest, if implicit { 465 } else { 587 })?;
    let address = parts.one_server()?;
    if !parts.path.is_empty() {
        return Err("has something behind the server; write `smtp://user@host:587`".to_owned());
    }
    let mut security = match implicit {
        true => Security::Tls,
        false if address.is_loopback() => Security::Off,
        false => Security::StartTls,
    };
    for (key, value) in &parts.parameters {
        security = match (key.as_str(), value.as_str()) {
            ("tls", _) if implicit => return Err("has a `tls`, which `smtps` says already; take one out".to_owned()),
            ("tls", "starttls") => Security::StartTls,
            ("tls", "off") => Security::Off,
            ("tls", _) => return Err("has an unknown `tls`; write `tls=starttls` or `tls=off`".to_owned()),
            _ => return Err(unknown_parameter(key, "`tls`")),
        };
    }
    if parts.password.is_some() && parts.user.is_none() {
        return Err("has a password but no user".to_owned());
    }
    Ok(Smtp {
        user: parts.user,
        password: parts.password,
        address,
        security,
        ca_file: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_goes_over_tls_unless_its_server_is_here_or_the_url_says_otherwise() {
        for (scheme, rest, port, security) in [
            ("smtps", "mail.example.com", 465, Security::Tls),
            ("smtp", "u:p@mail.example.com", 587, Security::StartTls),
            ("smtp", "mail.example.com:25?tls=off", 25, Security::Off),
            ("smtp", "localhost:2525", 2525, Security::Off),
            ("smtp", "127.0.0.1?tls=starttls", 587, Security::StartTls),
        ] {
            let read = smtp(scheme, rest).unwrap();
            assert_eq!((read.address.port, read.security), (port, security), "{rest}");
        }
    }

    #[test]
    fn what_is_no_mail_server_is_refused_without_its_password() {
        for rest in [
            "u:s3cret@mail?tls=maybe",
            "u:s3cret@mail?starttls=1",
            ":s3cret@mail",
            "u:s3cret@mail/inbox",
            "u:s3cret@a,b",
            "",
        ] {
            let wrong = smtp("smtp", rest).unwrap_err();
            assert!(!wrong.contains("s3cret"), "{wrong}");
        }
        assert!(smtp("smtps", "mail?tls=off").is_err());
        assert!(!format!("{:?}", smtp("smtp", "u:s3cret@mail")).contains("s3cret"));
    }
}
