//! The body of every answer: nothing, a few bytes of ours, or what an upstream streams.
//!
//! One type without a box on the common path. A streamed body holds the connection that it comes from: read to its end it gives the connection back for
//! another request, and dropped or broken before that it takes the connection with it. A wait longer than the upstream's idle limit is an error of the
//! body, so that the client sees a truncated answer as truncated (RFC 9112 §8).

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
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
}

impl Body {
    /// What an upstream sends over the connection `lease`; `idle` is the longest wait between two pieces. It is broken off when `permission` ends.
    pub fn streamed(
        incoming: Incoming,
        lease: Arc<dyn Lease>,
        idle: Duration,
        permission: Option<Box<dyn Permission>>,
    ) -> Self {
        if incoming.is_end_stream() {
            lease.finished();
            return Self::Empty;
        }
        Self::Streamed(Streamed {
            incoming,
            lease: Some(lease),
            patience: Patience::new(idle),
            permission,
        })
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
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
            Self::Streamed(streamed) => streamed.incoming.is_end_stream(),
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
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        // Before each piece: one that is always ready would leave no wait in which to look.
        if let Some(permission) = &mut self.permission
            && !ready!(permission.poll_more(cx))
        {
            return self.fail(io::Error::other("whoever the answer is for may have no more of it"));
        }
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                // A client that folds trailers into the head must not find there what the head may not hold.
                if let Some(trailers) = frame.trailers_mut() {
                    cookie::strip_set(trailers);
                }
                self.patience.renew();
                if self.incoming.is_end_stream() {
                    self.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                self.finish();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => self.fail(io::Error::other(error)),
            Poll::Pending if self.patience.poll_over(cx).is_ready() => self.fail(io::Error::new(
                io::ErrorKind::TimedOut,
                "the upstream stopped in the middle of its answer",
            )),
            Poll::Pending => Poll::Pending,
        }
    }

    fn finish(&mut self) {
        self.permission = None;
        if let Some(lease) = self.lease.take() {
            lease.finished();
        }
    }

    fn fail(&mut self, error: io::Error) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.lease = None;
        Poll::Ready(Some(Err(error)))
    }
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streamed(…)")
    }
}
