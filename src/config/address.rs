//! Addresses, hosts and URLs as they are written in the file.

use std::net::{Ipv6Addr, SocketAddr};

use http::Uri;
use http::uri::{Authority, Scheme};
use ipnet::IpNet;

use super::HostPattern;
use super::read::Text;

/// A listener's address; `"off"` is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address(pub(super) Option<SocketAddr>);

impl Text for Address {
    const WANTED: &'static str = "an address like \"127.0.0.1:8443\", or \"off\"";

    fn parse(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let address = text.parse().map_err(|_| {
            format!("`{text}` is not an address with a port; write \"127.0.0.1:8443\", \"[::1]:8443\", \"0.0.0.0:8443\" for every address, or \"off\"")
        })?;
        Ok(Self(Some(address)))
    }
}

impl Text for IpNet {
    const WANTED: &'static str = "an address range like \"10.0.0.0/8\"";

    fn parse(text: &str) -> Result<Self, String> {
        let single = || text.parse().ok().map(|ip: std::net::IpAddr| Self::from(ip));
        let net = text.parse().ok().or_else(single);
        net.map(|net: Self| net.trunc())
            .ok_or_else(|| format!("`{text}` is not an address range; write it like \"10.0.0.0/8\" or \"fd00::/8\""))
    }
}

/// A URL that is scheme and authority alone; a slash at the end is taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin(pub(super) Uri);

impl Text for Origin {
    const WANTED: &'static str = "a URL like \"https://app.example.com\"";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!("`{text}` {why}; write scheme, host and perhaps port, like \"https://app.example.com:8443\"")
        };
        let uri: Uri = text.parse().map_err(|_| wrong("is not a URL"))?;
        let scheme = uri.scheme().ok_or_else(|| wrong("has no scheme"))?;
        if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
            return Err(wrong("has a scheme other than http and https"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("carries a user name"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wrong("has more than scheme, host and port"));
        }
        let authority = checked(authority).ok_or_else(|| wrong("has a bad host or port"))?;
        let rebuilt = Uri::builder()
            .scheme(scheme.clone())
            .authority(authority)
            .path_and_query("/");
        rebuilt.build().map(Self).map_err(|_| wrong("is not a URL"))
    }
}

/// The authority in lower case, when its host and port are good.
fn checked(authority: &Authority) -> Option<Authority> {
    let text = authority.as_str().to_ascii_lowercase();
    let (name, port) = split_port(&text);
    let port_is_good = port.is_none_or(|port| port.parse().is_ok_and(|port: u16| port > 0));
    (host(name).is_some_and(|host| host == name) && port_is_good).then_some(text.parse().ok()?)
}

/// Host and port of an authority; the brackets of an IPv6 address stay.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    let in_brackets = authority.rfind(']').unwrap_or_default();
    match authority.rfind(':') {
        Some(colon) if colon >= in_brackets => (authority.get(..colon).unwrap_or_default(), authority.get(colon + 1..)),
        _ => (authority, None),
    }
}

/// A host in the one form that is compared: lower case, A-labels (RFC 5890), no port, IPv6 in brackets.
pub(super) fn host(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse().ok().map(|ip: Ipv6Addr| format!("[{ip}]"));
    }
    let ascii = idna::domain_to_ascii(text).ok()?;
    let label = |label: &str| {
        let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(inside) && !label.starts_with('-') && !label.ends_with('-')
    };
    (ascii.len() <= 253 && ascii.split('.').all(label)).then_some(ascii)
}

impl Text for HostPattern {
    const WANTED: &'static str = "a host like \"app.example.com\" or \"*.example.com\"";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!("`{text}` {why}; write \"app.example.com\" or \"*.example.com\", or leave the key out for any host")
        };
        if let Some(rest) = text.strip_prefix("*.") {
            return host(rest).map(Self::Wildcard).ok_or_else(|| wrong("is not a host"));
        }
        if text.contains('*') {
            return Err(wrong("has its `*` in a place where it cannot be"));
        }
        if text.contains("://") || text.contains('/') {
            return Err(wrong("is more than a host"));
        }
        match (host(text), split_port(text)) {
            (Some(host), _) => Ok(Self::Exact(host)),
            (None, (name, Some(_))) if host(name).is_some() => Err(wrong("has a port, and a route's host has none")),
            (None, _) => Err(wrong("is not a host")),
        }
    }
}

/// A host that one may be sent back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReturnHost(pub(super) String);

impl Text for ReturnHost {
    const WANTED: &'static str = "a host like \"app.example.com\"";

    fn parse(text: &str) -> Result<Self, String> {
        let host = host(text).map(Self);
        host.ok_or_else(|| {
            format!("`{text}` is not a host; write it like \"app.example.com\", without scheme, port or `*`")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_and_nothing_else() {
        for (text, kept) in [
            ("https://localhost:8443", "https://localhost:8443/"),
            ("https://App.Example.com/", "https://app.example.com/"),
            ("http://[::1]:3000", "http://[::1]:3000/"),
        ] {
            assert_eq!(Origin::parse(text).unwrap().0.to_string(), kept);
        }
        for text in [
            "",
            "localhost",
            "localhost:8443",
            "ftp://a.b",
            "https://",
            "https://u@a.b",
            "https://u:p@a.b",
            "https://a.b/x",
            "https://a.b/?q",
            "https://a b",
            "https://a.b:0",
            "https://a.b:70000",
            "https://a..b",
            "https://a.b:",
            "//a.b",
        ] {
            assert!(Origin::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_route_is_for_one_host_or_for_all_below_one() {
        assert_eq!(
            HostPattern::parse("App.Example.com"),
            Ok(HostPattern::Exact("app.example.com".to_owned()))
        );
        assert_eq!(
            HostPattern::parse("*.example.com"),
            Ok(HostPattern::Wildcard("example.com".to_owned()))
        );
        assert_eq!(
            HostPattern::parse("bücher.example"),
            Ok(HostPattern::Exact("xn--bcher-kva.example".to_owned()))
        );
        for text in [
            "",
            "*",
            "*.",
            "a.*.b",
            "*a.b",
            "a.b:80",
            "https://a.b",
            "a.b/c",
            "a_b..c",
            "-a.b",
            "a b",
        ] {
            assert!(HostPattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_single_address_is_a_range_of_one() {
        assert_eq!(IpNet::parse("10.1.2.3").unwrap().to_string(), "10.1.2.3/32");
        assert_eq!(IpNet::parse("10.1.2.3/8").unwrap().to_string(), "10.0.0.0/8");
        assert!(IpNet::parse("10.0.0.0/33").is_err());
    }
}
