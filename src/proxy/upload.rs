//! A request's body on its way to the upstream: counted, timed, and without trailers.
//!
//! Failing is how it stops the upstream connection: hyper's client drops a connection whose request body failed, so no upstream can take half a request for
//! a whole one. Trailers are dropped, since few upstreams expect them and those that fold them into the headers would get past the header boundary.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::wire::patience::Patience;

/// Why a request's body could not be sent whole.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// Longer than the route allows.
    #[error("the request body is too long")]
    TooLarge,
    /// The client stopped sending.
    #[error("the request body did not arrive in time")]
    TooSlow,
    /// The client went away, or framed it wrongly.
    #[error("the request body broke off")]
    Broken,
}

/// A request's body. Most have none, and a head is moved about with it; so what a flowing one needs is kept elsewhere.
#[derive(Debug)]
pub struct Upload(Option<Box<Flowing>>);

#[derive(Debug)]
struct Flowing {
    incoming: Incoming,
    left: u64,
    patience: Patience,
    progress: Arc<Progress>,
}

/// How far a body is, for whoever waits for the answer to it.
#[derive(Debug)]
pub struct Progress {
    began: Instant,
    /// When the upstream last took a piece, milliseconds after `began`.
    moved: AtomicU64,
    /// Whether the client has nothing more to give at the moment.
    starved: AtomicBool,
}

impl Progress {
    /// When the upstream last took a piece; now, while it is the client that is waited for.
    pub fn last(&self) -> Instant {
        if self.starved.load(Ordering::Relaxed) {
            return Instant::now();
        }
        self.began + Duration::from_millis(self.moved.load(Ordering::Relaxed))
    }

    fn moved(&self) {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(millis, Ordering::Relaxed);
        self.starved.store(false, Ordering::Relaxed);
    }
}

impl Upload {
    /// No body.
    pub const fn empty() -> Self {
        Self(None)
    }

    /// The body `incoming`, at most `limit` octets, with at most `idle` between two pieces; and where to see how far it is.
    pub fn new(incoming: Incoming, limit: u64, idle: Duration) -> (Self, Option<Arc<Progress>>) {
        if incoming.is_end_stream() {
            return (Self::empty(), None);
        }
        let progress = Arc::new(Progress {
            began: Instant::now(),
            moved: AtomicU64::new(0),
            starved: AtomicBool::new(false),
        });
        let flowing = Flowing {
            incoming,
            left: limit,
            patience: Patience::new(idle),
            progress: Arc::clone(&progress),
        };
        (Self(Some(Box::new(flowing))), Some(progress))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let upload = self.get_mut();
        let Some(flowing) = &mut upload.0 else {
            return Poll::Ready(None);
        };
        let next = ready!(flowing.poll(cx));
        if !matches!(next, Some(Ok(_))) {
            upload.0 = None;
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|flowing| flowing.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Some(flowing) => flowing.incoming.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl Flowing {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(next) => {
                self.patience.renew();
                self.progress.moved();
                Poll::Ready(self.judge(next))
            }
            Poll::Pending => {
                self.progress.starved.store(true, Ordering::Relaxed);
                ready!(self.patience.poll_over(cx));
                Poll::Ready(Some(Err(UploadError::TooSlow)))
            }
        }
    }

    fn judge(&mut self, next: Option<Result<Frame<Bytes>, hyper::Error>>) -> Option<Result<Frame<Bytes>, UploadError>> {
        let frame = match next? {
            Ok(frame) => frame,
            Err(error) => {
                tracing::debug!(%error, "a request body broke off");
                return Some(Err(UploadError::Broken));
            }
        };
        let data = frame.data_ref()?;
        match self.left.checked_sub(data.len() as u64) {
            Some(left) => self.left = left,
            None => return Some(Err(UploadError::TooLarge)),
        }
        Some(Ok(frame))
    }
}
