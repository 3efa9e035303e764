//! The admin listener: `/livez`, `/readyz`, `/metrics`, and nothing else.
//!
//! It runs on the control plane, stays until the process ends, and is meant for loopback or a private network: it knows no authentication.

use std::collections::BTreeMap;
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
use tokio::sync::Semaphore;

use super::ServerError;
use super::listen;
use crate::telemetry::Metrics;
use crate::wire::Body;
use crate::wire::reply::{Code, Problem};

/// Probes and scrapers at once.
const CONNECTIONS: usize = 64;
/// Any request, and the wait for one.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether the gateway can do its work, part by part.
#[derive(Debug, Default)]
pub struct Readiness {
    draining: AtomicBool,
    parts: Mutex<BTreeMap<&'static str, bool>>,
}

impl Readiness {
    /// A part was looked at.
    pub fn set(&self, part: &'static str, ready: bool) {
        self.parts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(part, ready);
    }

    /// The end has begun: no new traffic, please.
    pub fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    /// Whether every part is ready and the end has not begun.
    pub fn is_ready(&self) -> bool {
        !self.draining.load(Relaxed) && self.parts().values().all(|ready| *ready)
    }

    fn parts(&self) -> BTreeMap<&'static str, bool> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn report(&self, verbose: bool) -> String {
        if !verbose {
            return match (self.draining.load(Relaxed), self.is_ready()) {
                (true, _) => "draining\n".to_owned(),
                (false, true) => "ready\n".to_owned(),
                (false, false) => "not ready\n".to_owned(),
            };
        }
        let word = |ready: bool| if ready { "ok" } else { "failed" };
        let mut lines: String = self
            .parts()
            .iter()
            .map(|(part, ready)| format!("{part} {}\n", word(*ready)))
            .collect();
        lines.push_str(if self.draining.load(Relaxed) {
            "draining yes\n"
        } else {
            "draining no\n"
        });
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
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let (stream, _) = listen::accept(&listener).await;
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let (metrics, readiness) = (Arc::clone(&metrics), Arc::clone(&readiness));
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let response = answer(&request, &metrics, &readiness);
            async move { Ok::<_, Infallible>(response) }
        });
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .serve_connection(TokioIo::new(stream), service);
            let _ = connection.await;
            drop(place);
        });
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

    #[test]
    fn a_failed_part_or_the_drain_makes_it_unready_and_leaves_it_alive() {
        let readiness = Readiness::default();
        readiness.set("accounts", true);
        assert_eq!(ask(&readiness, "/readyz"), StatusCode::OK);
        readiness.set("accounts", false);
        assert_eq!(ask(&readiness, "/readyz?verbose"), StatusCode::SERVICE_UNAVAILABLE);
        readiness.set("accounts", true);
        readiness.drain();
        assert_eq!(ask(&readiness, "/readyz"), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ask(&readiness, "/livez"), StatusCode::OK);
    }

    #[test]
    fn there_is_nothing_else() {
        assert_eq!(ask(&Readiness::default(), "/debug"), StatusCode::NOT_FOUND);
    }
}
