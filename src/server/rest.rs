//! How a connection waits for its next request when none has come for a second: as a bare socket, without hyper.
//!
//! hyper keeps its buffers and its state for as long as a connection lives, about six kilobytes, and most connections of a gateway are idle. So the
//! connection's loop takes the socket back and waits here until there is something to read, or an order; then hyper gets it again, as if it were new.
//! Nothing of ours is lost: the tap, with its place in the bytes, its pulse and its seat, stays as it is.

use std::future::poll_fn;
use std::task::{Context, Poll};

use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::pulse::Order;
use super::tap::Tap;

/// A stream that says without being read whether there is something to read.
pub trait Readable {
    /// Ready: a read may yield bytes, the end, or an error. It may also turn out that there was too little of a record.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()>;
}

impl Readable for TcpStream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        // An error shows again when it is read.
        self.poll_read_ready(cx).map(|_| ())
    }
}

impl Readable for Box<TlsStream<TcpStream>> {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let (socket, session) = self.get_ref();
        // What was decrypted already would never make the socket readable.
        if session.wants_read() {
            socket.poll_readable(cx)
        } else {
            Poll::Ready(())
        }
    }
}

/// Waits until there is something to read or to obey.
pub async fn rest<S: Readable>(tap: &Tap<S>) {
    poll_fn(|cx| match tap.pulse().order(cx.waker()) {
        Order::GoOn => tap.stream().poll_readable(cx),
        Order::Finish | Order::Cut => Poll::Ready(()),
    })
    .await;
}
