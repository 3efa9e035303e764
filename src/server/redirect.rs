//! From the cleartext listener to https.
//!
//! Where to, is never the client's to say alone: the request's own host is kept only when the configuration names it (as `public_url`'s host or in a
//! route), everybody else is sent to `public_url`. So neither a forged `Host` nor a shared cache can turn this listener into a way to somewhere else. The
//! port is `public_url`'s, which is how browsers reach TLS whatever ports are mapped on the way.

use http::uri::Authority;
use http::{Response, StatusCode, Uri, request};

use crate::config::{HostPattern, Settings};
use crate::wire::Body;
use crate::wire::hygiene;
use crate::wire::origin::Peer;
use crate::wire::reply::{self, Code, Problem};

/// The answer to any request in the clear: 308, so that the method stays (RFC 9110 §15.4.9).
pub fn answer(settings: &Settings, peer: &Peer, head: &request::Parts, request_id: &str) -> Response<Body> {
    let problem = match hygiene::check(peer, head) {
        Ok(authority) => {
            match reply::redirect(StatusCode::PERMANENT_REDIRECT, &target(settings, &authority, &head.uri)) {
                Some(response) => return response,
                None => Problem::new(Code::BadRequest, "The target cannot stand in a redirect."),
            }
        }
        Err(unclean) => Problem::new(Code::BadRequest, unclean.detail),
    };
    let mut response = problem.into_response(request_id);
    response
        .headers_mut()
        .insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    response
}

fn target(settings: &Settings, authority: &Authority, uri: &Uri) -> String {
    let public = settings.server.public_url.authority().map_or("", Authority::as_str);
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let host = authority.host();
    if !is_route_of(settings, host) {
        return format!("https://{public}{path}");
    }
    match settings.server.public_url.port_u16().filter(|port| *port != 443) {
        Some(port) => format!("https://{host}:{port}{path}"),
        None => format!("https://{host}{path}"),
    }
}

fn is_route_of(settings: &Settings, host: &str) -> bool {
    settings.routes.iter().any(|route| match &route.host {
        HostPattern::Any => false,
        HostPattern::Exact(name) => host.eq_ignore_ascii_case(name),
        HostPattern::Wildcard(parent) => is_below(host, parent),
    })
}

fn is_below(host: &str, parent: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host.strip_suffix(parent)
        .is_some_and(|label| label.len() > 1 && label.ends_with('.'))
}
