//! The page to read first: one request, from arrival to answer.
//!
//! ```text
//! clean? ── where from ─┬─ our own path: portal, on the control plane
//!                       └─ preflight? ── find the route ── admit ┬ forward, on this core
//!                                                                ├ renew (portal, control plane), then admit again
//!                                                                └ turn away (portal, control plane) or refuse
//! ```
//! Nothing is decided here: each step is one room's. What this page adds is the order, and that every outcome is an answer which is recorded once.

mod audience;
mod record;
mod request_id;

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, SET_COOKIE, STRICT_TRANSPORT_SECURITY};
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::task::JoinError;

use crate::config::{RouteKind, Settings};
use crate::model::clock::Clock;
use crate::model::presence::Wait;
use crate::portal::{NotRenewed, Portal, Renewed};
use crate::proxy::gate::{Admitted, Refused};
use crate::proxy::upstream::Pools;
use crate::proxy::{Found, Proxy};
use crate::telemetry::{AccessLog, Metrics};
use crate::wire::Body;
use crate::wire::origin::{Origin, Peer};
use crate::wire::reply::{Code, Problem};
use crate::wire::{cookie, cors, hygiene, navigation, origin};
use audience::Audience;
use record::Visit;
use request_id::RequestIds;

/// A configuration at work, swapped whole at a reload; a request keeps the one that it began with.
#[derive(Debug)]
pub struct Snapshot {
    /// What was loaded.
    pub settings: Arc<Settings>,
    portal: Arc<Portal>,
    proxy: Proxy,
    hsts: Option<HeaderValue>,
}

impl Snapshot {
    /// Brings together what one configuration made.
    pub fn new(settings: Arc<Settings>, portal: Arc<Portal>, proxy: Proxy) -> Self {
        let seconds = settings.tls.hsts.as_secs();
        let hsts = (seconds > 0)
            .then(|| HeaderValue::from_str(&format!("max-age={seconds}")).ok())
            .flatten();
        Self {
            settings,
            portal,
            proxy,
            hsts,
        }
    }
}

/// What all workers share beside the configuration.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The configuration of this moment.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Where everything runs that may wait.
    pub control: Handle,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Counts requests.
    pub metrics: Arc<Metrics>,
    /// Writes them down.
    pub access_log: Arc<AccessLog>,
}

/// What one data-plane worker answers requests with.
#[derive(Debug)]
pub struct Worker {
    shared: Shared,
    pools: Pools,
    request_ids: RequestIds,
}

impl Worker {
    /// A worker with connection pools of its own.
    pub fn new(shared: Shared) -> Self {
        Self {
            shared,
            pools: Pools::default(),
            request_ids: RequestIds::new(),
        }
    }

    /// The configuration of this moment.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot.load_full()
    }

    /// One request, from arrival to answer. Every outcome is an answer.
    pub async fn handle(&self, peer: &Peer, request: Request<Incoming>) -> Response<Body> {
        let snapshot = self.shared.snapshot.load_full();
        let mut visit = self.begin(&request);
        // On its way down it is handed on a dozen times, and waits in as many futures: a pointer is cheaper to move than a head.
        let request = Box::new(request);
        let mut response = self.answer(&snapshot, peer, request, &mut visit).await;
        without_content(&visit, &mut response);
        if let (true, Some(hsts)) = (visit.https(peer), &snapshot.hsts) {
            response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
        visit.end(&self.shared, &snapshot, peer, &response);
        response
    }

    /// Answers a request that was refused below this page (framing that hyper hides): recorded like any other.
    pub fn refuse<B: http_body::Body>(&self, peer: &Peer, request: &Request<B>, problem: Problem) -> Response<Body> {
        let visit = self.begin(request);
        let mut response = and_close(problem.into_response(visit.request_id()));
        without_content(&visit, &mut response);
        visit.end(&self.shared, &self.snapshot(), peer, &response);
        response
    }

    async fn answer(
        &self,
        snapshot: &Snapshot,
        peer: &Peer,
        request: Box<Request<Incoming>>,
        visit: &mut Visit,
    ) -> Response<Body> {
        let authority = match hygiene::check(peer, &request) {
            Ok(authority) => authority,
            Err(unclean) => return and_close(unclean.problem().into_response(visit.request_id())),
        };
        let trusted = &snapshot.settings.server.trusted_proxies;
        let origin = origin::read(
            peer,
            authority,
            request.headers(),
            trusted,
            Arc::clone(visit.request_id()),
        );
        let origin = visit.arrived(origin);
        if snapshot.portal.owns(request.uri()) {
            visit.endpoint(snapshot.portal.endpoint(request.uri()));
            return self.ours(snapshot, &origin, request).await;
        }
        self.theirs(snapshot, &origin, request, visit).await
    }

    /// A path of our own: the portal answers, where waiting harms nobody.
    async fn ours(&self, snapshot: &Snapshot, origin: &Arc<Origin>, request: Box<Request<Incoming>>) -> Response<Body> {
        // Goes with this future, which goes with the connection.
        let wait = Wait::default();
        let (portal, from) = (Arc::clone(&snapshot.portal), Arc::new(origin.seen_by(wait.presence())));
        let answered = self
            .shared
            .control
            .spawn(async move { portal.answer(&from, *request).await })
            .await;
        answered.unwrap_or_else(|error| broken(&error).into_response(&origin.caller.request_id))
    }

    /// Somebody else's: find, admit, forward.
    async fn theirs(
        &self,
        snapshot: &Snapshot,
        origin: &Arc<Origin>,
        request: Box<Request<Incoming>>,
        visit: &mut Visit,
    ) -> Response<Body> {
        if let Some(response) = preflight(snapshot, origin, &request, visit) {
            return response;
        }
        let (host, path) = (hygiene::host(&origin.authority), request.uri().path());
        let route = match snapshot.proxy.find(host, request.method(), path) {
            Ok(route) => route,
            Err(problem) => {
                let response = problem.into_response(&origin.caller.request_id);
                return Audience::of(&request, RouteKind::Auto).present(response, &snapshot.portal, origin, None);
            }
        };
        visit.found(&route);
        let audience = Audience::of(&request, route.route.kind);
        let (admitted, cookies) = self.admit(snapshot, &route, origin, &request).await;
        let mut response = match admitted {
            Ok(admitted) => {
                visit.admitted(&admitted);
                snapshot.proxy.forward(&self.pools, admitted, origin, request).await
            }
            Err(Refused::Unauthenticated(problem)) if audience.is_person => {
                self.turn_away(snapshot, origin, &route, request, problem).await
            }
            Err(Refused::Insufficient(problem)) if audience.is_person => {
                self.step_up(snapshot, origin, &route, request, problem).await
            }
            Err(refused) => into_problem(refused).into_response(&origin.caller.request_id),
        };
        carry(&mut response, cookies);
        audience.present(response, &snapshot.portal, origin, Some(&route.route))
    }

    /// A person without a session is sent to sign in; a small form is kept for them meanwhile.
    async fn turn_away(
        &self,
        snapshot: &Snapshot,
        origin: &Arc<Origin>,
        route: &Arc<Found>,
        request: Box<Request<Incoming>>,
        problem: Problem,
    ) -> Response<Body> {
        let (portal, from, kind) = (Arc::clone(&snapshot.portal), Arc::clone(origin), route.route.kind);
        let turned = self
            .shared
            .control
            .spawn(async move { portal.turn_away(&from, kind, *request, problem).await })
            .await;
        turned.unwrap_or_else(|error| broken(&error).into_response(&origin.caller.request_id))
    }

    /// A person who must prove more is taken through the missing step; whatever is no page is kept as without a session, and signing in anew proves it all.
    async fn step_up(
        &self,
        snapshot: &Snapshot,
        origin: &Arc<Origin>,
        route: &Arc<Found>,
        request: Box<Request<Incoming>>,
        problem: Problem,
    ) -> Response<Body> {
        let (two, max_age) = (route.route.two_factors, route.route.max_age);
        if navigation::is_page(request.method(), request.headers(), route.route.kind)
            && let Some(redirect) = snapshot.portal.step_up(origin, request.uri(), two, max_age)
        {
            return redirect;
        }
        self.turn_away(snapshot, origin, route, request, problem).await
    }

    /// Judges a request, renewing its session on the way if that is all it lacks. The cookies go with the answer, whatever it is.
    async fn admit(
        &self,
        snapshot: &Snapshot,
        route: &Arc<Found>,
        origin: &Arc<Origin>,
        request: &Request<Incoming>,
    ) -> (Result<Admitted, Refused>, Vec<HeaderValue>) {
        let judge = |access| {
            snapshot
                .proxy
                .admit(route, origin, request.method(), request.headers(), access)
        };
        match judge(None).await {
            Err(Refused::Renewable) => {}
            judged => return (judged, Vec::new()),
        }
        let (access, cookies) = match self.renew(snapshot, origin, request.headers()).await {
            Ok(Renewed { access, set_cookies }) => (access, set_cookies),
            // No token at all is judged like one that does not count: nobody on an optional route, a refusal on a guarded one.
            Err(NotRenewed::Over { clear }) => (String::new(), clear),
            Err(NotRenewed::Failed(problem)) => return (Err(Refused::Denied(problem)), Vec::new()),
        };
        (judge(Some(&access)).await, cookies)
    }

    async fn renew(
        &self,
        snapshot: &Snapshot,
        origin: &Arc<Origin>,
        headers: &HeaderMap,
    ) -> Result<Renewed, NotRenewed> {
        let refresh = cookie::find(headers)
            .ok()
            .and_then(|ours| ours.refresh.map(str::to_owned));
        let Some(refresh) = refresh else {
            return Err(NotRenewed::Over { clear: Vec::new() });
        };
        let (portal, from) = (Arc::clone(&snapshot.portal), Arc::clone(origin));
        let renewed = self
            .shared
            .control
            .spawn(async move { portal.renew(&from, &refresh).await })
            .await;
        renewed.unwrap_or_else(|error| Err(NotRenewed::Failed(broken(&error))))
    }

    fn begin<B: http_body::Body>(&self, request: &Request<B>) -> Visit {
        let now = self.shared.clock.now();
        Visit::begin(request, now, self.request_ids.next(now))
    }
}

/// What is answered to HEAD says how long the content would be, and has none (RFC 9110 §9.3.2). Over HTTP/1.1 hyper sees to that, over HTTP/2 nobody.
fn without_content(visit: &Visit, response: &mut Response<Body>) {
    if let (true, Body::Full(bytes)) = (visit.is_head(), response.body()) {
        let length = HeaderValue::from(bytes.len());
        response.headers_mut().entry(CONTENT_LENGTH).or_insert(length);
        *response.body_mut() = Body::Empty;
    }
}

/// Sets cookies with an answer that was not made for them: whatever its upstream says of caching, nobody may keep a token.
fn carry(response: &mut Response<Body>, cookies: Vec<HeaderValue>) {
    if cookies.is_empty() {
        return;
    }
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend(cookies.into_iter().map(|line| (SET_COOKIE, line)));
}

/// A request whose framing is in doubt leaves no connection behind that could carry the rest of it.
fn and_close(mut response: Response<Body>) -> Response<Body> {
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The answer to a preflight on a route that other origins may call: it is never asked for credentials (Fetch §3.2.2), and never sent on.
fn preflight(
    snapshot: &Snapshot,
    origin: &Origin,
    request: &Request<Incoming>,
    visit: &mut Visit,
) -> Option<Response<Body>> {
    let asked = cors::preflight(request.method(), request.headers())?;
    let found = snapshot
        .proxy
        .find(hygiene::host(&origin.authority), &asked, request.uri().path());
    let route = found.ok().filter(|found| found.route.cors.is_some())?;
    visit.found(&route);
    let cors = route.route.cors.as_ref()?;
    Some(cors::answer(cors, request.headers()))
}

/// What whoever cannot sign in here and now is told.
fn into_problem(refused: Refused) -> Problem {
    match refused {
        Refused::Unauthenticated(problem) | Refused::Insufficient(problem) | Refused::Denied(problem) => problem,
        Refused::Renewable => Problem::new(Code::InvalidToken, "sign in again"),
    }
}

/// A task on the control plane panicked: that request ends, and nothing else.
fn broken(error: &JoinError) -> Problem {
    tracing::error!(%error, "a request ended in a panic");
    Problem::new(
        Code::Internal,
        "the gateway failed to answer this request; its log says why",
    )
}
