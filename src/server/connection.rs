//! One connection from handshake to close.
//!
//! hyper has no time limits of its own that would fit (its header timeout also counts the wait for the next request), so it gets none: the pulse and
//! the sweep keep them. Count limits are hyper's and h2's, set here. A body that stalls on its way in is the proxy's to time out; one that stalls on its way
//! out holds at most what the buffers below allow, until the sweep cuts it off.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::framing::{Fault, Framing};
use super::linger::linger;
use super::listen::Kind;
use super::outbox::Outbox;
use super::proxy_header::{self, Refused, Source};
use super::pulse::{Flight, Order, Pulse};
use super::redirect;
use super::rest::{Readable, rest};
use super::roster::Seat;
use super::tap::{Reading, Tap};
use crate::gateway::Worker;
use crate::model::clock::Clock;
use crate::model::secret;
use crate::telemetry::Metrics;
use crate::wire::Body;
use crate::wire::origin::{Peer, is_trusted};
use crate::wire::reply::{Code, Problem};

/// What HTTP/1 may buffer in each direction, unless the head limit is larger.
const HTTP1_BUFFER: usize = 64 * 1024;
/// What one HTTP/2 stream may have waiting for its client.
const STREAM_SEND_BUFFER: usize = 64 * 1024;
/// What a client may send on one stream, and on all together, before somebody reads it (RFC 9113 §6.9).
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Streams that the client may open and reset before we have looked at them (CVE-2023-44487), and errors of its own making (CVE-2025-8671).
const PENDING_RESETS: usize = 32;
const LOCAL_RESETS: usize = 256;
/// A client that is gone without a word is found out after these.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_WITHIN: Duration = Duration::from_secs(20);
/// How often a wrongly set-up balancer is worth a line.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// What stands behind one listener of one worker.
pub struct Door {
    pub worker: Rc<Worker>,
    pub kind: Kind,
    pub tls: Option<TlsAcceptor>,
    pub metrics: Arc<Metrics>,
    pub clock: Arc<dyn Clock>,
    /// When a trusted proxy's header was last complained about.
    pub complained_at: Cell<Option<Instant>>,
}

/// A connection that was accepted.
#[derive(Debug)]
pub struct Newcomer {
    pub stream: TcpStream,
    pub peer: SocketAddr,
    pub seat: Seat,
}

/// What the requests of one connection share.
struct Visit {
    door: Rc<Door>,
    peer: Peer,
    pulse: Arc<Pulse>,
    /// Requests dispatched so far.
    dispatched: Cell<u64>,
}

impl Door {
    /// Serves a connection to its end. What only a busy connection needs is boxed, so that one at rest is small.
    pub async fn serve(self: Rc<Self>, newcomer: Newcomer) {
        let Newcomer { mut stream, peer, seat } = newcomer;
        let Some(mut peer) = self.client(&mut stream, peer.ip().to_canonical()).await else {
            return;
        };
        let tls = match (self.kind, &self.tls) {
            (Kind::Tls, Some(tls)) => tls.clone(),
            (Kind::Tls, None) => return,
            _ => return self.http1(peer, stream, seat).await,
        };
        let limit = self.worker.snapshot().settings.server.limits.handshake_timeout;
        let handshake = Box::pin(handshake(tls, stream, limit));
        let Some(stream) = handshake.await else { return };
        let (_, session) = stream.get_ref();
        peer.tls = true;
        peer.server_name = session.server_name().map(|name| name.to_ascii_lowercase().into());
        let http2 = session.alpn_protocol() == Some(b"h2");
        if http2 {
            Box::pin(self.http2(peer, stream, seat)).await;
        } else {
            self.http1(peer, stream, seat).await;
        }
    }

    /// Who is at the other end: the peer, or whom a balancer that may speak for others says it is. `None`: it should have said, and did not.
    async fn client(&self, stream: &mut TcpStream, ip: IpAddr) -> Option<Peer> {
        let snapshot = self.worker.snapshot();
        let server = &snapshot.settings.server;
        if !server.proxy_protocol || !is_trusted(ip, &server.trusted_proxies) {
            return Some(Peer::new(ip));
        }
        // Boxed, so that a connection without it is no larger for it.
        match Box::pin(proxy_header::read(stream, server.limits.handshake_timeout)).await {
            Ok(Source::Balancer) => Some(Peer::new(ip)),
            Ok(Source::Client(client)) => Some(Peer::new(client)),
            Ok(Source::Unknown) => Some(Peer::unknown_behind(ip)),
            Err(refused) => {
                self.complain(ip, &refused);
                None
            }
        }
    }

    /// A balancer that is set up wrongly does it on every connection: one line a minute is enough.
    fn complain(&self, peer: IpAddr, refused: &Refused) {
        let now = Instant::now();
        let is_due = self.complained_at.get().is_none_or(|at| now - at >= COMPLAIN_EVERY);
        if is_due && !matches!(refused, Refused::Nothing) {
            self.complained_at.set(Some(now));
            tracing::warn!(%peer, listener = self.kind.name(), "a trusted proxy's connection is closed: {refused}");
        }
    }

    /// Begins at once, so that the future holds no stream.
    fn http1<S>(self: Rc<Self>, peer: Peer, stream: S, seat: Seat) -> impl Future<Output = ()>
    where
        S: Readable + AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let snapshot = self.worker.snapshot();
        let longest_line = snapshot.settings.server.limits.header_size.max(HTTP1_BUFFER);
        let visit = Rc::new(Visit::new(self, peer, &seat));
        let mut tap = Box::new(Tap::new(stream, Reading::Heads(Framing::new(longest_line)), seat));
        async move {
            while let Some(resting) = visit.http1_stretch(tap).await {
                rest(&resting).await;
                tap = resting;
            }
        }
    }

    async fn http2<S>(self: Rc<Self>, peer: Peer, stream: S, seat: Seat)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let snapshot = self.worker.snapshot();
        let limits = &snapshot.settings.server.limits;
        let visit = Rc::new(Visit::new(self, peer, &seat));
        let pulse = Arc::clone(&visit.pulse);
        let outbox = Outbox::new(Tap::new(stream, Reading::Preface(0), seat));
        // Boxed: hyper moves the request's future into its own, and that into a task, copying it whole three times. Its pieces were 4 % of a request.
        let service = service_fn(move |request| Box::pin(Rc::clone(&visit).http2_request(request)));
        let connection = http2::Builder::new(SpawnLocal)
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(u32::try_from(limits.header_size).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(PENDING_RESETS)
            .max_local_error_reset_streams(LOCAL_RESETS)
            .max_send_buf_size(STREAM_SEND_BUFFER)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_WITHIN)
            .serve_connection(TokioIo::new(outbox.clone()), service);
        let finish = http2::Connection::graceful_shutdown;
        let send = |cx: &mut Context<'_>| match outbox.poll_send(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            _ => Poll::Pending,
        };
        drive(&pulse, pin!(connection), finish, send).await;
    }
}

impl Visit {
    fn new(door: Rc<Door>, peer: Peer, seat: &Seat) -> Self {
        Self {
            door,
            peer,
            pulse: Arc::clone(seat.pulse()),
            dispatched: Cell::new(0),
        }
    }

    /// One stretch of work between two rests. `None`: it has ended.
    async fn http1_stretch<S>(self: &Rc<Self>, tap: Box<Tap<S>>) -> Option<Box<Tap<S>>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let visit = Rc::clone(self);
        let service = service_fn(move |request| Rc::clone(&visit).http1_request(request));
        let header_size = self.door.worker.snapshot().settings.server.limits.header_size;
        let connection = http1::Builder::new()
            .max_header_size(header_size)
            .max_buf_size(header_size.max(HTTP1_BUFFER))
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(tap), service)
            .with_upgrades();
        let mut connection = Box::new(connection);
        let rest = |_: &mut Context<'_>| match self.pulse.may_rest(self.dispatched.get()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        };
        let finish = http1::UpgradeableConnection::graceful_shutdown;
        let ending = drive(&self.pulse, Pin::new(&mut *connection), finish, rest).await;
        let parts = connection.into_parts()?;
        match ending {
            Ending::Left => {}
            // An answer that broke off must not be closed as if it were whole.
            Ending::Over(Err(error)) if error.is_user() => return None,
            Ending::Over(_) => {
                Box::pin(linger(parts.io.into_inner())).await;
                return None;
            }
            Ending::Cut => return None,
        }
        // Empty lines between requests mean nothing (RFC 9112 §2.2); anything else was read and not understood.
        let understood = parts.read_buf.iter().all(u8::is_ascii_whitespace);
        understood.then(|| parts.io.into_inner())
    }

    async fn http1_request(self: Rc<Self>, request: Request<Incoming>) -> Result<Response<Counted>, Infallible> {
        let flight = self.pulse.begin();
        self.dispatched.set(self.dispatched.get() + 1);
        let response = match self.pulse.vouches_for(self.dispatched.get()) {
            Ok(()) => self.answer(request).await,
            Err(fault) => self.refuse(&request, fault),
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.pulse.upgrade();
        }
        Ok(response.map(|body| Counted { body, flight }))
    }

    async fn http2_request(self: Rc<Self>, request: Request<Incoming>) -> Result<Response<Counted>, Infallible> {
        let flight = self.pulse.begin();
        let response = self.answer(request).await;
        Ok(response.map(|body| Counted { body, flight }))
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        if self.door.kind != Kind::Redirecting {
            return self.door.worker.handle(&self.peer, request).await;
        }
        let snapshot = self.door.worker.snapshot();
        let response = redirect::answer(&snapshot.settings, &self.peer, &request, &self.request_id());
        self.count("redirect", request.method(), &response);
        response
    }

    /// A head that hyper has made sense of and others would read differently: nobody else may see it, and no byte after it counts (RFC 9112 §6.3).
    fn refuse(&self, request: &Request<Incoming>, fault: Fault) -> Response<Body> {
        let problem = Problem::new(Code::BadRequest, fault.detail());
        self.door.worker.refuse(&self.peer, request, problem)
    }

    fn count(&self, route: &'static str, method: &http::Method, response: &Response<Body>) {
        self.door
            .metrics
            .request(route, method, response.status(), Duration::ZERO);
    }

    fn request_id(&self) -> String {
        secret::uuid_v7(self.door.clock.now()).map_or_else(|_| String::new(), |id| id.to_string())
    }
}

/// Failures are the clients' (scanners, old protocols, a certificate they do not trust) and come in floods: they are not worth a log line.
async fn handshake(tls: TlsAcceptor, stream: TcpStream, limit: Duration) -> Option<Box<TlsStream<TcpStream>>> {
    let stream = tokio::time::timeout(limit, tls.accept(stream)).await.ok()?;
    stream.ok().map(Box::new)
}

/// How polling a connection came to an end.
enum Ending<T> {
    /// It has ended.
    Over(T),
    /// It was told to close at once.
    Cut,
    /// Whoever is asked after each poll wants it back.
    Left,
}

/// Polls a connection to its end and passes on what the sweep or the drain orders. `finish` begins its graceful shutdown; `after` comes after each poll
/// and may end it as well.
async fn drive<C: Future>(
    pulse: &Pulse,
    mut connection: Pin<&mut C>,
    finish: fn(Pin<&mut C>),
    after: impl Fn(&mut Context<'_>) -> Poll<()>,
) -> Ending<C::Output> {
    let mut told = false;
    poll_fn(|cx| {
        match pulse.order(cx.waker()) {
            Order::Cut => return Poll::Ready(Ending::Cut),
            Order::Finish if !std::mem::replace(&mut told, true) => finish(connection.as_mut()),
            _ => {}
        }
        let ended = connection.as_mut().poll(cx);
        match (after(cx), ended) {
            // How it ended is mostly the client's business: resets and broken bytes come in floods.
            (_, Poll::Ready(how)) => Poll::Ready(Ending::Over(how)),
            (after, Poll::Pending) => after.map(|()| Ending::Left),
        }
    })
    .await
}

/// An answer's body that keeps its request counted until the last byte was handed over.
#[derive(Debug)]
struct Counted {
    body: Body,
    flight: Flight,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match &frame {
            Poll::Ready(_) => self.flight.handed_over(),
            Poll::Pending => self.flight.asked(),
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Runs HTTP/2 streams on the worker's own thread.
#[derive(Clone, Copy, Debug)]
struct SpawnLocal;

impl<F> hyper::rt::Executor<F> for SpawnLocal
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
