//! What comes after an upgrade: bytes, both ways, until one side ends, both have been silent too long, or whoever asked for it must go.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stay::Stay;
use super::upstream::Connection;

/// Joins the two sides for as long as whoever asked may stay. Frames go by unread, so none is made up at the end: both sides see the connection close.
pub(super) async fn run(
    client: OnUpgrade,
    upstream: OnUpgrade,
    connection: Arc<Connection>,
    idle: Duration,
    stay: Option<Stay>,
) {
    let join = join(client, upstream, connection, idle);
    match stay {
        // The stay first: nothing passes once it is over.
        Some(stay) => tokio::select! {
            biased;
            () = stay.over() => {}
            () = join => {}
        },
        None => join.await,
    }
}

/// `connection` is held until both have gone over, since dropping it closes it.
async fn join(client: OnUpgrade, upstream: OnUpgrade, connection: Arc<Connection>, idle: Duration) {
    let both = async { tokio::try_join!(client, upstream) };
    let (client, upstream) = match tokio::time::timeout(idle, both).await {
        Ok(Ok(sides)) => sides,
        Ok(Err(error)) => {
            tracing::debug!(%error, "an upgrade was not completed");
            return;
        }
        Err(_) => return,
    };
    drop(connection);
    let heard = Arc::new(AtomicU64::new(0));
    let (mut client, mut upstream) = (Heard::new(client, &heard), Heard::new(upstream, &heard));
    tokio::select! {
        ended = tokio::io::copy_bidirectional(&mut client, &mut upstream) => {
            if let Err(error) = ended {
                tracing::debug!(%error, "an upgraded connection ended badly");
            }
        }
        () = silence(&heard, idle) => tracing::debug!("an upgraded connection was silent too long"),
    }
}

/// Ends once nothing was heard for `idle`.
async fn silence(heard: &AtomicU64, idle: Duration) {
    let mut before = heard.load(Ordering::Relaxed);
    loop {
        tokio::time::sleep(idle).await;
        let now = heard.load(Ordering::Relaxed);
        if now == before {
            return;
        }
        before = now;
    }
}

/// One side, counting the times that something came from it.
struct Heard {
    io: TokioIo<Upgraded>,
    heard: Arc<AtomicU64>,
}

impl Heard {
    fn new(io: Upgraded, heard: &Arc<AtomicU64>) -> Self {
        Self {
            io: TokioIo::new(io),
            heard: Arc::clone(heard),
        }
    }
}

impl AsyncRead for Heard {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let side = self.get_mut();
        let before = buf.filled().len();
        let outcome = Pin::new(&mut side.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            side.heard.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }
}

impl AsyncWrite for Heard {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
