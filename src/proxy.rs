//! Other people's sites: find the route, admit the caller, rewrite the head, send it on.
//!
//! `Proxy` is what a configuration says, shared by all workers; `Pools` are one worker's own connections to upstreams. `admit` returns an `Admitted`
//! that only `gate` can make, and `forward` demands one: a request that was not admitted cannot be sent.

mod dav;
mod disguise;
pub mod forward;
pub mod gate;
pub mod headers;
pub mod routes;
mod stay;
mod trace;
mod tunnel;
mod upload;
pub mod upstream;
pub mod whoami;
#[cfg(test)]
mod world;

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Request, Response};
use hyper::body::Incoming;

use crate::config::{Route, Settings, Target};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::RouteMetrics;
use crate::token::{TokenError, Tokens};
use crate::wire::Body;
use crate::wire::hygiene;
use crate::wire::origin::Origin;
use crate::wire::reply::{Code, Problem};
pub use disguise::seen_through;
use forward::Courier;
use gate::{Admitted, Gate, Knock, Refused};
use headers::Boundary;
use routes::{Miss, Table};
use stay::Guest;
use upload::UploadError;
use upstream::{ConnectError, Pools, Upstream};

/// The settings cannot be put to work (a CA file cannot be read, say).
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ProxyConfigError(pub String);

/// Why an admitted request got no answer from its upstream.
#[derive(Debug, thiserror::Error)]
enum ProxyError {
    /// The request's body could not be sent.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// No server could be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The answer did not begin in time.
    #[error("no answer in time")]
    NoAnswer,
    /// The connection failed before an answer began, or what came was no HTTP.
    #[error("the connection failed: {0}")]
    Failed(hyper::Error),
    /// It failed when the answer had begun, and nobody had been told of it.
    #[error("the answer broke off: {0}")]
    Broken(io::Error),
    /// An answer that must not be passed on.
    #[error("a malformed answer: {0}")]
    Misframed(&'static str),
    /// Whoever asked became unwelcome while the upstream made its answer, which would go on.
    #[error("no longer welcome")]
    Unwelcome,
    /// No assertion could be made.
    #[error("no assertion: {0}")]
    Assertion(#[from] TokenError),
}

/// Routes and upstreams, ready for use.
#[derive(Debug)]
pub struct Proxy {
    routes: Table<Arc<Found>>,
    boundary: Boundary,
    gate: Gate,
    metrics: Arc<Metrics>,
    body_timeout: Duration,
}

/// A route with everything made at load that its requests need.
#[derive(Debug)]
pub struct Found {
    /// What the file says.
    pub route: Route,
    /// What is counted of it.
    pub counts: RouteMetrics,
    destination: Destination,
    body_limit: u64,
}

#[derive(Debug)]
enum Destination {
    Upstream(Arc<Upstream>),
    Whoami,
}

impl Proxy {
    /// Builds the tables. Everything that a request needs is made here.
    pub fn new(settings: &Settings, tokens: Arc<Tokens>, metrics: Arc<Metrics>) -> Result<Self, ProxyConfigError> {
        let mut upstreams = BTreeMap::new();
        for (name, upstream) in &settings.upstreams {
            upstreams.insert(name.as_str(), Arc::new(Upstream::new(name, upstream)?));
        }
        let mut routes = Table::default();
        for route in &settings.routes {
            let found = Found {
                counts: metrics.route(&route.name),
                destination: destination(route, &upstreams)?,
                body_limit: route.body_size.unwrap_or(settings.server.limits.body_size),
                route: route.clone(),
            };
            routes.add(&route.host, &route.path, &route.methods, Arc::new(found));
        }
        Ok(Self {
            routes,
            boundary: Boundary::new(settings.routes.iter()),
            gate: Gate {
                tokens,
                public_url: settings.server.public_url.clone(),
            },
            metrics,
            body_timeout: settings.server.limits.body_timeout,
        })
    }

    /// The route of a request. `Err`: 404, 405 where only the method is wrong, or 400 for a path spelled in a way that the route does not allow.
    pub fn find(&self, host: &str, method: &Method, path: &str) -> Result<Arc<Found>, Problem> {
        let found = match self.routes.find(host, method, path) {
            Ok(found) => found,
            Err(miss) => return Err(nowhere(miss, path)),
        };
        let route = &found.route;
        hygiene::check_path(path, route.allow_semicolon, route.allow_encoded_slash)
            .map_err(hygiene::Unclean::problem)?;
        Ok(Arc::clone(found))
    }

    /// Decides on a request. `access`: a token to judge in place of the access cookie, after a renewal; an empty one after a renewal that failed, so that
    /// the cookies count no longer.
    pub async fn admit(
        &self,
        route: &Arc<Found>,
        origin: &Origin,
        method: &Method,
        headers: &HeaderMap,
        access: Option<&str>,
    ) -> Result<Admitted, Refused> {
        let knock = Knock {
            origin,
            method,
            headers,
            access,
        };
        let admitted = self.gate.admit(route, knock).await?;
        self.check_destination(route, origin, method, headers)
            .map_err(Refused::Denied)?;
        Ok(admitted)
    }

    /// Whoever may do something here may not by the same request do it where another route judges.
    fn check_destination(
        &self,
        route: &Arc<Found>,
        origin: &Origin,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<(), Problem> {
        let Some(place) = dav::destination(method, headers, origin)? else {
            return Ok(());
        };
        let there = self.find(hygiene::host(&origin.authority), method, place.path())?;
        if Arc::ptr_eq(&there, route) {
            Ok(())
        } else {
            Err(dav::forbidden())
        }
    }

    /// Sends an admitted request on and streams the answer back; every failure is an answer too.
    pub async fn forward(
        &self,
        pools: &Pools,
        admitted: Admitted,
        origin: &Origin,
        request: Box<Request<Incoming>>,
    ) -> Response<Body> {
        match self.answer(pools, &admitted, origin, request).await {
            Ok(response) => response,
            Err(error) => self
                .failure(&error, &admitted.route)
                .into_response(&origin.caller.request_id),
        }
    }

    async fn answer(
        &self,
        pools: &Pools,
        admitted: &Admitted,
        origin: &Origin,
        mut request: Box<Request<Incoming>>,
    ) -> Result<Response<Body>, ProxyError> {
        let found = &*admitted.route;
        let courier = Courier {
            found,
            boundary: &self.boundary,
            metrics: &self.metrics,
            body_timeout: self.body_timeout,
            origin,
            guest: admitted.who.as_ref().map(|who| Guest {
                tokens: &self.gate.tokens,
                who,
                found: &admitted.route,
            }),
            assertion: self.assertion(admitted)?,
            keep_authorization: admitted.keep_authorization,
        };
        match &found.destination {
            Destination::Upstream(upstream) => courier.deliver(pools, upstream, request).await,
            Destination::Whoami => {
                courier.rewrite(request.headers_mut());
                Ok(whoami::answer(
                    request.method(),
                    request.uri().path(),
                    request.headers(),
                ))
            }
        }
    }

    fn assertion(&self, admitted: &Admitted) -> Result<Option<HeaderValue>, TokenError> {
        let route = &admitted.route.route;
        match admitted.who() {
            Some(who) if route.identity.assertion => self.gate.tokens.assertion(who, &route.name).map(Some),
            _ => Ok(None),
        }
    }

    /// Every failure as the client is told it; the cause goes to the log and the metrics only.
    fn failure(&self, error: &ProxyError, found: &Found) -> Problem {
        const DOWN: &str = "The application could not be reached. Try again.";
        let (kind, problem) = match error {
            ProxyError::Upload(UploadError::TooLarge) => {
                return Problem::new(
                    Code::PayloadTooLarge,
                    format!("The body may have {} octets at most.", found.body_limit),
                );
            }
            ProxyError::Upload(UploadError::TooSlow) => {
                return Problem::new(Code::RequestTimeout, "The rest of the body did not arrive in time.");
            }
            ProxyError::Upload(UploadError::Broken) => {
                return Problem::new(Code::BadRequest, "The body broke off or was framed wrongly.");
            }
            ProxyError::Unwelcome => return gate::no_longer(),
            ProxyError::Connect(ConnectError::TimedOut) => {
                ("connect_timeout", Problem::new(Code::GatewayTimeout, DOWN))
            }
            ProxyError::Connect(_) => ("connect", Problem::new(Code::BadGateway, DOWN)),
            ProxyError::NoAnswer => (
                "response_timeout",
                Problem::new(Code::GatewayTimeout, "The application did not answer in time."),
            ),
            ProxyError::Failed(_) | ProxyError::Broken(_) => (
                "broken",
                Problem::new(Code::BadGateway, "The application broke the connection off."),
            ),
            ProxyError::Misframed(_) => (
                "malformed",
                Problem::new(Code::BadGateway, "The application's answer was malformed."),
            ),
            ProxyError::Assertion(_) => (
                "assertion",
                Problem::new(Code::Internal, "The request could not be signed for the application."),
            ),
        };
        let upstream = match &found.destination {
            Destination::Upstream(upstream) => &*upstream.name,
            Destination::Whoami => "builtin:whoami",
        };
        tracing::warn!(upstream, route = %found.route.name, kind, %error, "an upstream failed");
        self.metrics.upstream_error(upstream, kind);
        problem
    }
}

impl ProxyError {
    /// hyper reports our own request body's failure as its own error, with ours as the source.
    fn from_hyper(error: hyper::Error) -> Self {
        match error.source().and_then(|source| source.downcast_ref::<UploadError>()) {
            Some(UploadError::TooLarge) => UploadError::TooLarge.into(),
            Some(UploadError::TooSlow) => UploadError::TooSlow.into(),
            Some(UploadError::Broken) => UploadError::Broken.into(),
            None => Self::Failed(error),
        }
    }
}

/// A path that no route would let through is refused before it is said whether something stands there.
fn nowhere(miss: Miss, path: &str) -> Problem {
    if let Err(unclean) = hygiene::check_path(path, false, false) {
        return unclean.problem();
    }
    match miss {
        Miss::Nothing => Problem::new(Code::NotFound, "Nothing is served here."),
        Miss::Disguised => Problem::new(Code::BadRequest, "The path can be read in two ways; write it plainly."),
        Miss::Method(allow) => {
            Problem::new(Code::MethodNotAllowed, "Use another method; Allow names them.").allow(allow)
        }
    }
}

fn destination(route: &Route, upstreams: &BTreeMap<&str, Arc<Upstream>>) -> Result<Destination, ProxyConfigError> {
    match &route.target {
        Target::Whoami => Ok(Destination::Whoami),
        Target::Upstream(name) => upstreams
            .get(name.as_str())
            .map(|upstream| Destination::Upstream(Arc::clone(upstream)))
            .ok_or_else(|| ProxyConfigError(format!("route {}: there is no upstream {name}", route.name))),
    }
}
