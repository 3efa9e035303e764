//! The admin listener: `/livez`, `/readyz`, `/metrics`, and nothing else.
//!
//! It runs on the control plane, stays until the process ends, and is meant for loopback or a private network: it knows no authentication. A connection
//! has one request and a time for it, and when there are too many the oldest gives way: whoever holds them open shuts no probe out.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::AbortHandle;

use super::ServerError;
use super::listen;
use crate::telemetry::Metrics;
use crate::wire::Body;
use crate::wire::reply::{Code, Problem};

/// Probes and scrapers at once.
const CONNECTIONS: usize = 64;
/// From a connection's begin to its end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether the gateway can do its work, part by part.
///
/// It is ready once every part has worked. A part that fails later leaves it degraded, and still ready: it goes on from memory, while all gateways on one
/// store would be taken out of service together if they called themselves unready.
#[derive(Debug, Default)]
pub struct Readiness {
    draining: AtomicBool,
    parts: Mutex<BTreeMap<&'static str, Part>>,
}

#[derive(Clone, Debug, Default)]
struct Part {
    has_worked: bool,
    /// Why it does not work now.
    failure: Option<String>,
}

impl Readiness {
    /// A part was looked at.
    pub fn set(&self, part: &'static str, outcome: Result<(), String>) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let part = parts.entry(part).or_default();
        part.has_worked |= outcome.is_ok();
        part.failure = outcome.err();
    }

    /// The end has begun: no new traffic, please.
    pub fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    /// Whether every part has worked and the end has not begun.
    pub fn is_ready(&self) -> bool {
        !self.draining.load(Relaxed) && self.parts().values().all(|part| part.has_worked)
    }

    /// Whether every part worked when it was looked at last.
    pub fn is_whole(&self) -> bool {
        self.parts().values().all(|part| part.failure.is_none())
    }

    fn parts(&self) -> BTreeMap<&'static str, Part> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn report(&self, verbose: bool) -> String {
        let parts = self.parts();
        let word = match (self.draining.load(Relaxed), self.is_ready(), self.is_whole()) {
            (true, ..) => "draining",
            (false, true, true) => "ready",
            (false, true, false) => "degraded",
            (false, false, _) => "not ready",
        };
        if !verbose {
            return format!("{word}\n");
        }
        let line = |(name, part): (&&str, &Part)| match &part.failure {
            None => format!("{name} ok\n"),
            Some(why) => format!("{name} failed: {why}\n"),
        };
        let mut lines: String = parts.iter().map(line).collect();
        lines.push_str(word);
        lines.push('\n');
        lines
    }
}

/// Listens; requests are answered until the runtime ends. Returns the address with the port that the system chose for 0.
///
/// # Errors
/// When the address cannot be listened on.
pub fn start(address: SocketAddr, metrics: Arc<Metrics>, readiness: Arc<Readiness>) -> Result<SocketAddr, ServerError> {
    let failed = |source| ServerError::Listen { address, source };
    let (bound, sockets) = listen::bind(address, 1).map_err(failed)?;
    for socket in sockets {
        let listener = tokio::net::TcpListener::from_std(socket).map_err(failed)?;
        tokio::spawn(serve(listener, Arc::clone(&metrics), Arc::clone(&readiness)));
    }
    Ok(bound)
}

async fn serve(listener: tokio::net::TcpListener, metrics: Arc<Metrics>, readiness: Arc<Readiness>) {
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let (stream, _) = listen::accept(&listener).await;
        open.retain(|connection| !connection.is_finished());
        if open.len() >= CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        let (metrics, readiness) = (Arc::clone(&metrics), Arc::clone(&readiness));
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let response = answer(&request, &metrics, &readiness);
            async move { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        open.push_back(tokio::spawn(tokio::time::timeout(PATIENCE, connection)).abort_handle());
    }
}

fn answer<B>(request: &Request<B>, metrics: &Metrics, readiness: &Readiness) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Problem::new(Code::MethodNotAllowed, "Use GET.").into_response("");
    }
    let verbose = request
        .uri()
        .query()
        .is_some_and(|query| query.split('&').any(|word| word.starts_with("verbose")));
    match request.uri().path() {
        "/livez" => text(StatusCode::OK, "text/plain; charset=utf-8", "alive\n".to_owned()),
        "/readyz" => {
            let ready = readiness.is_ready();
            let status = if ready {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            };
            text(status, "text/plain; charset=utf-8", readiness.report(verbose))
        }
        "/metrics" => text(
            StatusCode::OK,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            metrics.render(),
        ),
        _ => Problem::new(Code::NotFound, "There are /livez, /readyz and /metrics.").into_response(""),
    }
}

fn text(status: StatusCode, kind: &'static str, content: String) -> Response<Body> {
    let mut response = Response::new(Body::Full(Bytes::from(content)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(readiness: &Readiness, path: &str) -> StatusCode {
        let request = Request::get(path).body(()).expect("a request");
        answer(&request, &Metrics::new(), readiness).status()
    }

    fn failed() -> Result<(), String> {
        Err("it does not answer".to_owned())
    }

    #[test]
    fn it_is_ready_once_every_part_has_worked_and_until_the_drain() {
        let readiness = Readiness::default();
        readiness.set("accounts", failed());
        readiness.set("sessions", Ok(()));
        assert_eq!(ask(&readiness, "/readyz?verbose"), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            readiness.report(true),
            "accounts failed: it does not answer\nsessions ok\nnot ready\n"
        );
        readiness.set("accounts", Ok(()));
        assert_eq!(ask(&readiness, "/readyz"), StatusCode::OK);
        readiness.drain();
        assert_eq!(ask(&readiness, "/readyz"), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ask(&readiness, "/livez"), StatusCode::OK);
    }

    #[test]
    fn a_part_that_fails_later_leaves_it_degraded_and_in_service() {
        let readiness = Readiness::default();
        readiness.set("sessions", Ok(()));
        readiness.set("sessions", failed());
        assert_eq!(ask(&readiness, "/readyz"), StatusCode::OK);
        assert_eq!(readiness.report(false), "degraded\n");
        assert_eq!(
            readiness.report(true),
            "sessions failed: it does not answer\ndegraded\n"
        );
    }

    #[test]
    fn there_is_nothing_else() {
        assert_eq!(ask(&Readiness::default(), "/debug"), StatusCode::NOT_FOUND);
    }
}
