//! The socket as hyper sees it: every byte passes, and the pulse hears of it.
//!
//! For HTTP/1 the bytes read are shown to `Framing` before hyper has them, so that a verdict on a head is there when its request is dispatched. The tap also
//! holds the connection's seat: it lives exactly as long as the socket, also when the socket is handed over to an upgraded protocol.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::framing::Framing;
use super::pulse::{Order, Pulse};
use super::roster::Seat;

/// RFC 9113 §3.4: what an HTTP/2 client says first, 24 octets.
const PREFACE: usize = 24;

/// How a connection's bytes are looked at.
#[derive(Debug)]
pub enum Reading {
    /// HTTP/1: as heads and bodies.
    Heads(Framing),
    /// HTTP/2: only whether the preface has come.
    Preface(usize),
}

/// A socket, or a TLS stream, with a seat.
#[derive(Debug)]
pub struct Tap<S> {
    stream: S,
    reading: Reading,
    seat: Seat,
}

impl<S> Tap<S> {
    /// Puts the tap on a stream, when its HTTP begins.
    pub fn new(stream: S, reading: Reading, seat: Seat) -> Self {
        seat.pulse().settle();
        Self { stream, reading, seat }
    }

    /// The connection's state.
    pub fn pulse(&self) -> &Arc<Pulse> {
        self.seat.pulse()
    }

    /// What the tap is on.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Whether the client is in the middle of something, or was lost in it. What else it may say was not asked for.
    pub fn is_owed_more(&self) -> bool {
        match &self.reading {
            Reading::Heads(framing) => !framing.is_between() && !self.pulse().is_upgraded(),
            Reading::Preface(_) => false,
        }
    }

    fn observe(&mut self, fresh: &[u8]) {
        let pulse = self.seat.pulse();
        match &mut self.reading {
            _ if pulse.is_upgraded() => {}
            Reading::Heads(framing) => {
                framing.observe(fresh);
                pulse.read(framing);
            }
            Reading::Preface(seen) if *seen < PREFACE => {
                *seen += fresh.len();
                if *seen >= PREFACE {
                    pulse.open();
                }
            }
            Reading::Preface(_) => {}
        }
    }

    /// What a write has come to, told to the pulse.
    fn written(&self, cx: &Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &outcome {
            Poll::Pending if self.pulse().standing_order() == Order::Cut => {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            Poll::Pending => self.pulse().write_blocked(true, Some(cx.waker())),
            Poll::Ready(Ok(_)) => self.taken(),
            Poll::Ready(Err(_)) => {}
        }
        outcome
    }

    /// A TLS stream may have taken bytes that its socket has not: those are found out here.
    fn flushed(&self, cx: &Context<'_>, outcome: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        match &outcome {
            Poll::Pending => self.pulse().write_blocked(true, Some(cx.waker())),
            Poll::Ready(Ok(())) => self.taken(),
            Poll::Ready(Err(_)) => {}
        }
        outcome
    }

    fn taken(&self) {
        self.pulse().write_blocked(false, None);
        // Over HTTP/2 the outbox knows whether it was of an answer.
        if matches!(self.reading, Reading::Heads(_)) {
            self.pulse().move_on();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let inside_body = matches!(&self.reading, Reading::Heads(framing) if framing.is_inside_body());
        self.pulse().starve(inside_body && read.is_pending());
        ready!(read)?;
        self.observe(buf.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.flushed(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.flushed(cx, outcome)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::gauge::Gauge;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::server::framing::Fault;
    use crate::server::roster::Roster;

    #[tokio::test]
    async fn a_smuggling_head_is_known_before_its_reader_has_the_bytes() {
        let roster = Roster::new(1);
        let seat = roster.sit(&Gauge::default()).await.expect("a seat");
        let pulse = Arc::clone(seat.pulse());
        let (mut client, server) = tokio::io::duplex(1024);
        let mut tap = Tap::new(server, Reading::Heads(Framing::new(512)), seat);
        let good = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let bad = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n";
        client.write_all(good).await.expect("written");
        client.write_all(bad).await.expect("written");
        let mut seen = vec![0; good.len() + bad.len()];
        tap.read_exact(&mut seen).await.expect("read");
        assert_eq!(pulse.vouches_for(1), Ok(()));
        assert_eq!(pulse.vouches_for(2), Err(Fault::TwoFramings));
    }
}
