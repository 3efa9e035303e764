//! The body of every answer: nothing, a few bytes of ours, or what an upstream streams.
//!
//! One type without a box on the common path. A streamed body holds the connection that it comes from: read to its end it gives the connection back for
//! another request, and dropped or broken before that it takes the connection with it. A wait longer than the upstream's idle limit is an error of the
//! body, so that the client sees a truncated answer as truncated (RFC 9112 §8).

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::cookie;
use super::patience::Patience;

/// An answer's body, in one type that costs no allocation.
#[derive(Debug)]
pub enum Body {
    /// Nothing.
    Empty,
    /// Bytes we hold.
    Full(Bytes),
    /// What an upstream sends.
    Streamed(Streamed),
}

/// The upstream connection that a body is read from.
pub trait Lease: Send + Sync + fmt::Debug {
    /// The answer was read to its end. (Dropped without this, the connection is of no use to anybody.)
    fn finished(self: Arc<Self>);
}

/// Whether whoever an answer is for may have more of it.
pub trait Permission: Send {
    /// `true`: at this moment they may. `false`: never again. Pending: that is being found out.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<bool>;
}

/// An upstream's body on its way to the client.
pub struct Streamed {
    incoming: Incoming,
    lease: Option<Arc<dyn Lease>>,
    patience: Patience,
    permission: Option<Box<dyn Permission>>,
    held: Option<Box<Held>>,
}

/// What has come and was not handed on yet; seldom anything, so it is kept elsewhere.
struct Held(VecDeque<Frame<Bytes>>);

/// A piece of a body, or why there are no more.
type Piece = Result<Frame<Bytes>, io::Error>;

/// The beginning of an answer whose length was not announced.
#[derive(Debug)]
pub enum Begun {
    /// That was all.
    Whole(Bytes),
    /// There may be more, perhaps for ever.
    Open(Streamed),
}

impl Body {
    /// What an upstream sends over the connection `lease`; `idle` is the longest wait between two pieces.
    pub fn streamed(incoming: Incoming, lease: Arc<dyn Lease>, idle: Duration) -> Self {
        if incoming.is_end_stream() {
            lease.finished();
            return Self::Empty;
        }
        Self::Streamed(Streamed::new(incoming, lease, idle))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        let body = self.get_mut();
        if let Self::Streamed(streamed) = body {
            return streamed.poll_frame(cx);
        }
        match std::mem::replace(body, Self::Empty) {
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            _ => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(_) => false,
            Self::Streamed(streamed) => streamed.held.is_none() && streamed.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Streamed(streamed) => streamed.incoming.size_hint(),
        }
    }
}

impl Streamed {
    fn new(incoming: Incoming, lease: Arc<dyn Lease>, idle: Duration) -> Self {
        Self {
            incoming,
            lease: Some(lease),
            patience: Patience::new(idle),
            permission: None,
            held: None,
        }
    }

    /// An answer whose length was not announced, as far as it is there. Most are small and came in one with their head: those go on as a whole, with
    /// their length, by one system call where the chunk and its end would take two. Nothing is waited for that is not there.
    ///
    /// # Errors
    /// When it is broken already: nobody was told anything of it yet.
    pub async fn begin(incoming: Incoming, lease: Arc<dyn Lease>, idle: Duration) -> io::Result<Begun> {
        let mut streamed = Self::new(incoming, lease, idle);
        let first = match poll_fn(|cx| Poll::Ready(streamed.poll_piece(cx))).await {
            Poll::Ready(Some(first)) => first?,
            Poll::Ready(None) => return Ok(Begun::Whole(Bytes::new())),
            Poll::Pending => return Ok(Begun::Open(streamed)),
        };
        let first = match first.into_data() {
            Ok(data) => data,
            Err(trailers) => return Ok(streamed.holding([trailers])),
        };
        Ok(match streamed.next_at_hand().await {
            Poll::Ready(None) => Begun::Whole(first),
            Poll::Ready(Some(second)) => streamed.holding([Frame::data(first), second?]),
            Poll::Pending => streamed.holding([Frame::data(first)]),
        })
    }

    /// The next piece, when its connection has it: that gets one turn, in which to find it out. Pending: it has not.
    async fn next_at_hand(&mut self) -> Poll<Option<Piece>> {
        let mut waited = false;
        poll_fn(|cx| {
            let next = self.poll_piece(cx);
            if next.is_ready() || waited {
                return Poll::Ready(next);
            }
            waited = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    fn holding<const N: usize>(mut self, pieces: [Frame<Bytes>; N]) -> Begun {
        self.held = Some(Box::new(Held(pieces.into())));
        Begun::Open(self)
    }

    /// The same, broken off when `permission` ends.
    pub fn permitted_by(self, permission: Box<dyn Permission>) -> Self {
        Self {
            permission: Some(permission),
            ..self
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        // Before each piece: one that is always ready would leave no wait in which to look.
        if let Some(permission) = &mut self.permission
            && !ready!(permission.poll_more(cx))
        {
            self.held = None;
            return self.fail(io::Error::other("whoever the answer is for may have no more of it"));
        }
        if let Some(held) = &mut self.held {
            let piece = held.0.pop_front();
            if held.0.is_empty() {
                self.held = None;
            }
            return Poll::Ready(piece.map(Ok));
        }
        match self.poll_piece(cx) {
            Poll::Pending if self.patience.poll_over(cx).is_ready() => self.fail(io::Error::new(
                io::ErrorKind::TimedOut,
                "the upstream stopped in the middle of its answer",
            )),
            polled => polled,
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
            Some(Ok(mut frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    clean(trailers);
                }
                self.patience.renew();
                if self.incoming.is_end_stream() {
                    self.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                self.finish();
                Poll::Ready(None)
            }
            Some(Err(error)) => self.fail(io::Error::other(error)),
        }
    }

    fn finish(&mut self) {
        self.permission = None;
        if let Some(lease) = self.lease.take() {
            lease.finished();
        }
    }

    fn fail(&mut self, error: io::Error) -> Poll<Option<Piece>> {
        self.lease = None;
        Poll::Ready(Some(Err(error)))
    }
}

/// A client that folds trailers into the head must not find there what the head may not hold, and some refuse what no trailer may be (RFC 9110 §6.5.1).
fn clean(trailers: &mut HeaderMap) {
    cookie::strip_set(trailers);
    let is_unfit = |name: &HeaderName| NO_TRAILERS.contains(&name.as_str()) || name.as_str().starts_with("x-gateward");
    let unfit: Vec<HeaderName> = trailers.keys().filter(|name| is_unfit(name)).cloned().collect();
    for name in unfit {
        trailers.remove(name);
    }
}

/// Fields that frame a message or belong to a connection.
const NO_TRAILERS: [&str; 11] = [
    "connection",
    "content-encoding",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streamed(…)")
    }
}
