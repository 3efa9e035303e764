//! Other people's sites: find the route, admit the caller, rewrite the head, send it on.
//!
//! `Proxy` is what a configuration says, shared by all workers; `Pools` are one worker's own connections to upstreams. `admit` returns an `Admitted`
//! that only `gate` can make, and `forward` demands one: a request that was not admitted cannot be sent.

pub mod forward;
pub mod gate;
pub mod headers;
pub mod routes;
pub mod upstream;
pub mod whoami;

use std::sync::Arc;

use http::{HeaderMap, Method, Request, Response};
use hyper::body::Incoming;

use crate::config::{Route, Settings};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::RouteMetrics;
use crate::token::Tokens;
use crate::wire::Body;
use crate::wire::origin::Origin;
use crate::wire::reply::Problem;
use gate::{Admitted, Refused};
use upstream::Pools;

/// The settings cannot be put to work (a CA file cannot be read, say).
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ProxyConfigError(pub String);

/// Routes and upstreams, ready for use.
#[derive(Debug)]
pub struct Proxy {}

impl Proxy {
    /// Builds the tables. Everything that a request needs is made here.
    pub fn new(settings: &Settings, tokens: Arc<Tokens>, metrics: Arc<Metrics>) -> Result<Self, ProxyConfigError> {
        let _ = (settings, tokens, metrics);
        todo!()
    }

    /// The route of a request. `Err`: 404, or 400 for a path spelled in a way that the route does not allow.
    pub fn find(&self, host: &str, method: &Method, path: &str) -> Result<Arc<Found>, Problem> {
        let _ = (host, method, path);
        todo!()
    }

    /// Decides on a request. `access`: a token to judge in place of the access cookie, after a renewal.
    pub async fn admit(
        &self,
        route: &Arc<Found>,
        origin: &Origin,
        method: &Method,
        headers: &HeaderMap,
        access: Option<&str>,
    ) -> Result<Admitted, Refused> {
        let _ = (route, origin, method, headers, access);
        todo!()
    }

    /// Sends an admitted request on and streams the answer back; every failure is an answer too.
    pub async fn forward(
        &self,
        pools: &Pools,
        admitted: Admitted,
        origin: &Origin,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let _ = (pools, admitted, origin, request);
        todo!()
    }
}

/// A route with everything made at load that its requests need.
#[derive(Debug)]
pub struct Found {
    /// What the file says.
    pub route: Route,
    /// Its counters.
    pub counts: RouteMetrics,
}
