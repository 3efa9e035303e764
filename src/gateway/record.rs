//! What is learnt of a request on its way, for the one line and the few counts that it leaves behind.

use std::sync::Arc;

use http::{Method, Request, Response, Uri};
use http_body::Body as _;
use tokio::time::Instant;

use super::{Shared, Snapshot};
use crate::model::clock::Timestamp;
use crate::model::user::UserId;
use crate::proxy::gate::Admitted;
use crate::proxy::{self, Found};
use crate::telemetry::access::Entry;
use crate::wire::Body;
use crate::wire::hygiene;
use crate::wire::origin::{Origin, Peer};

/// Stands for a route in metrics and logs where there is none: refused before, or not found.
const NO_ROUTE: &str = "none";
/// Stands in the log for a path at a place of ours that is none of ours.
const UNKNOWN_PATH: &str = "(unknown)";

/// One request on its way.
pub(super) struct Visit {
    began: Instant,
    arrived: Timestamp,
    request_id: Arc<str>,
    method: Method,
    uri: Uri,
    bytes_in: Option<u64>,
    origin: Option<Arc<Origin>>,
    answered_by: AnsweredBy,
    user: Option<UserId>,
}

enum AnsweredBy {
    Nobody,
    Endpoint(&'static str),
    Route(Arc<Found>),
}

impl Visit {
    pub(super) fn begin<B: http_body::Body>(request: &Request<B>, now: Timestamp, request_id: Arc<str>) -> Self {
        Self {
            began: Instant::now(),
            arrived: now,
            request_id,
            method: request.method().clone(),
            uri: request.uri().clone(),
            bytes_in: request.body().size_hint().exact(),
            origin: None,
            answered_by: AnsweredBy::Nobody,
            user: None,
        }
    }

    /// The id given at arrival; a trusted proxy's own may take its place in `Origin`.
    pub(super) fn request_id(&self) -> &Arc<str> {
        &self.request_id
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    pub(super) fn arrived(&mut self, origin: Origin) -> Arc<Origin> {
        Arc::clone(self.origin.insert(Arc::new(origin)))
    }

    pub(super) fn endpoint(&mut self, name: &'static str) {
        self.answered_by = AnsweredBy::Endpoint(name);
    }

    pub(super) fn found(&mut self, route: &Arc<Found>) {
        self.answered_by = AnsweredBy::Route(Arc::clone(route));
    }

    pub(super) fn admitted(&mut self, admitted: &Admitted) {
        self.user = admitted.who().map(|verified| verified.identity.user);
    }

    /// Whether the client's own connection is over TLS.
    pub(super) fn https(&self, peer: &Peer) -> bool {
        self.origin.as_ref().map_or(peer.tls, |origin| origin.https)
    }

    /// Counts the request and writes it down. For a streamed answer that is when its head is ready: what comes after is the network's time.
    pub(super) fn end(self, shared: &Shared, snapshot: &Snapshot, peer: &Peer, response: &Response<Body>) {
        let took = self.began.elapsed();
        let status = response.status();
        let route = match &self.answered_by {
            AnsweredBy::Route(found) => {
                found.counts.request(&self.method, status, took);
                found.route.name.as_str()
            }
            AnsweredBy::Endpoint(name) => {
                shared.metrics.request(name, &self.method, status, took);
                name
            }
            AnsweredBy::Nobody => {
                shared.metrics.request(NO_ROUTE, &self.method, status, took);
                NO_ROUTE
            }
        };
        if !shared.access_log.is_on() {
            return;
        }
        let origin = self.origin.as_deref();
        let path = match self.answered_by {
            AnsweredBy::Route(_) => self.uri.path(),
            AnsweredBy::Endpoint(_) | AnsweredBy::Nobody => loggable(snapshot, self.uri.path()),
        };
        shared.access_log.record(&Entry {
            time: self.arrived,
            request_id: origin.map_or(&self.request_id, |origin| &origin.caller.request_id),
            client: origin.map_or(peer.ip, |origin| origin.caller.ip),
            method: &self.method,
            host: origin.map_or("", |origin| hygiene::host(&origin.authority)),
            path,
            route,
            status: status.as_u16(),
            took,
            bytes_in: self.bytes_in,
            bytes_out: response.body().size_hint().exact(),
            user: self.user,
        });
    }
}

/// A path that no route answered, as it may be written down. Where our own pages are, in this spelling or any that a reader might take for it, what is no path
/// of ours may be a token that was put behind the wrong slash.
fn loggable<'a>(snapshot: &Snapshot, path: &'a str) -> &'a str {
    let portal = &snapshot.portal;
    let near = portal.is_near(path) || proxy::seen_through(path).is_some_and(|seen| portal.is_near(&seen));
    if near && !portal.has(path) { UNKNOWN_PATH } else { path }
}
