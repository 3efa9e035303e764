//! From the cleartext listener to https.
//!
//! Where to, is never the client's to say alone: the request's own host is kept only when the configuration names it (as `public_url`'s host or in a
//! route), everybody else is sent to `public_url`. So neither a forged `Host` nor a shared cache can turn this listener into a way to somewhere else. The
//! port is `public_url`'s, which is how browsers reach TLS whatever ports are mapped on the way.

use http::header::CONNECTION;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Request, Response, StatusCode, Uri};

use crate::config::{HostPattern, Settings};
use crate::wire::Body;
use crate::wire::hygiene;
use crate::wire::origin::Peer;
use crate::wire::reply::{self, Code, Problem};

/// The answer to any request in the clear: 308, so that the method stays (RFC 9110 §15.4.9).
pub fn answer<B>(settings: &Settings, peer: &Peer, request: &Request<B>, request_id: &str) -> Response<Body> {
    let problem = match hygiene::check(peer, request) {
        Ok(authority) => match reply::redirect(
            StatusCode::PERMANENT_REDIRECT,
            &location(settings, &authority, request.uri()),
        ) {
            Some(response) => return response,
            None => Problem::new(Code::BadRequest, "The target cannot stand in a redirect."),
        },
        Err(unclean) => unclean.problem(),
    };
    let mut response = problem.into_response(request_id);
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn location(settings: &Settings, authority: &Authority, uri: &Uri) -> String {
    let hosts: Vec<&HostPattern> = settings.routes.iter().map(|route| &route.host).collect();
    target(&settings.server.public_url, &hosts, authority, uri)
}

fn target(public_url: &Uri, hosts: &[&HostPattern], authority: &Authority, uri: &Uri) -> String {
    let public = public_url.authority().map_or("", Authority::as_str);
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let host = authority.host();
    if !hosts.iter().any(|pattern| is_named(pattern, host)) {
        return format!("https://{public}{path}");
    }
    match public_url.port_u16().filter(|port| *port != 443) {
        Some(port) => format!("https://{host}:{port}{path}"),
        None => format!("https://{host}{path}"),
    }
}

/// Whether the configuration says this very host, or a domain above it; "any" says none.
fn is_named(pattern: &HostPattern, host: &str) -> bool {
    match pattern {
        HostPattern::Any => false,
        HostPattern::Exact(name) => host.eq_ignore_ascii_case(name),
        HostPattern::Wildcard(parent) => is_below(host, parent),
    }
}

fn is_below(host: &str, parent: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host.strip_suffix(parent)
        .is_some_and(|label| label.len() > 1 && label.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_sent(asked: &str, path: &str, to: &str) {
        let public_url = Uri::from_static("https://sso.example.com:8443");
        let hosts = [
            HostPattern::Any,
            HostPattern::Exact("app.example.com".to_owned()),
            HostPattern::Wildcard("wild.example.com".to_owned()),
        ];
        let authority = Authority::try_from(asked).expect("an authority");
        let uri = Uri::try_from(path).expect("a target");
        assert_eq!(
            target(&public_url, &hosts.iter().collect::<Vec<_>>(), &authority, &uri),
            to
        );
    }

    #[test]
    fn a_host_that_the_configuration_names_is_kept_with_the_public_port() {
        assert_sent("app.example.com:8080", "/a?b=c", "https://app.example.com:8443/a?b=c");
        assert_sent("x.wild.example.com", "/", "https://x.wild.example.com:8443/");
    }

    #[test]
    fn any_other_host_is_sent_to_the_public_url_and_never_to_where_it_says() {
        for host in [
            "evil.test",
            "wild.example.com",
            "evilapp.example.com",
            "127.0.0.1:8080",
            "sso.example.com",
        ] {
            assert_sent(host, "/a", "https://sso.example.com:8443/a");
        }
    }

    #[test]
    fn a_path_that_looks_like_a_host_stays_a_path() {
        assert_sent(
            "evil.test",
            "//evil.test/x",
            "https://sso.example.com:8443//evil.test/x",
        );
    }
}
