//! One connection to a server, in a task of its own.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, Weak};
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::SendRequest;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;

use super::lock;
use super::pool::Pool;
use crate::proxy::trace::{Trace, Traced};
use crate::proxy::upload::{Progress, Upload};
use crate::wire::body::Lease;
use crate::wire::patience::Patience;

/// A connection to a server. Dropped, it closes, whatever it was doing.
pub struct Connection {
    line: Mutex<Line>,
    trace: Arc<Trace>,
    task: AbortHandle,
    pool: Weak<Pool>,
    pub(super) keep: Duration,
}

struct Line {
    sender: SendRequest<Upload>,
    /// The timer that waits for answers; one for all of them. Away while it does.
    patience: Option<Patience>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum SendError {
    /// The time limit passed.
    TimedOut,
    /// The connection failed; perhaps the request came back, unsent or to be sent again.
    Failed(hyper::Error, Option<Box<Request<Upload>>>),
}

impl Connection {
    /// Begins to speak HTTP/1.1. When it is not in use it is kept by `pool`, for `keep`.
    pub(super) async fn begin<T>(io: T, pool: Weak<Pool>, keep: Duration) -> hyper::Result<Arc<Self>>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let trace = Arc::new(Trace::default());
        let io = hyper_util::rt::TokioIo::new(Traced::new(io, Arc::clone(&trace)));
        let (sender, driver) = hyper::client::conn::http1::handshake(io).await?;
        // Polling it within the request's task runs fewer instructions and costs more kernel time.
        let task = tokio::spawn(async move {
            if let Err(error) = driver.with_upgrades().await {
                tracing::debug!(%error, "an upstream connection ended badly");
            }
        });
        let line = Line { sender, patience: None };
        Ok(Arc::new(Self {
            line: Mutex::new(line),
            trace,
            task: task.abort_handle(),
            pool,
            keep,
        }))
    }

    /// Sends a request and waits for the head of its answer, at most `limit` after the upstream took the last of it. `again`: the request has no body
    /// and may be repeated, so if the connection dies without a word of an answer it is given back.
    pub async fn send(
        &self,
        request: Request<Upload>,
        progress: Option<&Progress>,
        limit: Duration,
        again: bool,
    ) -> Result<Response<Incoming>, SendError> {
        self.trace.begin(again);
        let (answer, patience) = {
            let mut line = lock(&self.line);
            (line.sender.try_send_request(request), line.patience.take())
        };
        let mut patience = patience.unwrap_or(Patience::new(limit));
        patience.restart(limit);
        let mut answer = std::pin::pin!(answer);
        let outcome = poll_fn(|cx| {
            if let Poll::Ready(outcome) = answer.as_mut().poll(cx) {
                return Poll::Ready(Some(outcome));
            }
            if let Some(progress) = progress {
                patience.renew_from(progress.last());
            }
            patience.poll_over(cx).map(|()| None)
        })
        .await;
        lock(&self.line).patience = Some(patience);
        match outcome {
            Some(Ok(response)) => Ok(response),
            Some(Err(error)) => Err(self.failed(error)),
            None => Err(SendError::TimedOut),
        }
    }

    fn failed(&self, mut error: TrySendError<Request<Upload>>) -> SendError {
        let request = error.take_message().or_else(|| self.trace.replay());
        SendError::Failed(error.into_error(), request.map(Box::new))
    }

    /// Whether it waits for a request: nothing is under way and the server has not closed it.
    pub(super) fn is_ready(&self) -> bool {
        lock(&self.line).sender.is_ready()
    }
}

impl Lease for Connection {
    fn finished(self: Arc<Self>) {
        if self.is_ready()
            && let Some(pool) = self.pool.upgrade()
        {
            pool.put(self);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}
