//! What an HTTP/2 connection writes, gathered while it is polled and sent when that is over.
//!
//! h2 flushes after each DATA frame over 256 octets. Passed on at once, every answer is a TLS record and a system call of its own, although all streams that
//! have something to say are heard within one poll. So writes end in a buffer, a flush is only noted, and whoever polls the connection sends afterwards.
//! A full buffer is sent in between; when the socket takes no more, h2 is told to wait, as it would be by the socket. Large frames are gathered too: a copy
//! costs less than the system call it saves. There is a buffer only while something waits.
//!
//! The connection and who polls it share the outbox on one thread, hence `Rc`.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::answers::Answers;
use super::tap::Tap;

/// How much may wait; rustls holds as much again.
const ROOM: usize = 64 * 1024;
/// What is made room for at first: growing to it little by little cost 1,500 instructions a request. The allocator keeps pieces of this size at hand.
const FIRST_ROOM: usize = 32 * 1024;
/// A write beyond this is seldom the last: all the room is made at once.
const LARGE: usize = 4 * 1024;

/// The outbox of one connection; clones share it.
#[derive(Debug)]
pub struct Outbox<S>(Rc<RefCell<Held<S>>>);

#[derive(Debug)]
struct Held<S> {
    tap: Tap<S>,
    waiting: BytesMut,
    flush_due: bool,
    answers: Answers,
    /// Some of what waits belongs to an answer.
    holds_answers: bool,
}

impl<S> Outbox<S> {
    /// An empty one in front of a socket.
    pub fn new(tap: Tap<S>) -> Self {
        Self(Rc::new(RefCell::new(Held {
            tap,
            waiting: BytesMut::new(),
            flush_due: false,
            answers: Answers::default(),
            holds_answers: false,
        })))
    }
}

impl<S> Clone for Outbox<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S: AsyncWrite + Unpin> Outbox<S> {
    /// Sends what has come together. Pending: the socket takes no more at present.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_send(cx)
    }
}

impl<S: AsyncWrite + Unpin> Held<S> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let taken = ready!(Pin::new(&mut self.tap).poll_write(cx, &self.waiting))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.advance(taken);
            if self.holds_answers {
                self.tap.pulse().move_on();
            }
        }
        self.holds_answers = false;
        self.waiting = BytesMut::new();
        if self.flush_due {
            ready!(Pin::new(&mut self.tap).poll_flush(cx))?;
            self.flush_due = false;
        }
        Poll::Ready(Ok(()))
    }

    /// How much more may be put in; sends first when it is full.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.waiting.len() >= ROOM {
            let sent = self.poll_send(cx)?;
            if sent.is_pending() && self.waiting.len() >= ROOM {
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(ROOM - self.waiting.len()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Outbox<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().tap).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Outbox<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut held = self.0.borrow_mut();
        let room = ready!(held.poll_room(cx))?;
        if bufs.iter().any(|buf| buf.len() > LARGE) {
            held.waiting.reserve(room);
        } else if held.waiting.is_empty() {
            held.waiting.reserve(FIRST_ROOM);
        }
        let mut left = room;
        for buf in bufs {
            let fits = buf.get(..left).unwrap_or(buf);
            held.waiting.extend_from_slice(fits);
            let told = held.answers.observe(fits);
            held.holds_answers |= told;
            left -= fits.len();
        }
        Poll::Ready(Ok(room - left))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().flush_due = true;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut held = self.0.borrow_mut();
        ready!(held.poll_send(cx))?;
        Pin::new(&mut held.tap).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::poll;
    use prometheus_client::metrics::gauge::Gauge;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::server::roster::Roster;
    use crate::server::tap::Reading;

    async fn outbox(socket_takes: usize) -> (DuplexStream, Outbox<DuplexStream>) {
        let seat = Roster::new(1).sit(&Gauge::default()).await.expect("a seat");
        let (client, server) = duplex(socket_takes);
        (client, Outbox::new(Tap::new(server, Reading::Preface(0), seat)))
    }

    async fn read(client: &mut DuplexStream, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        client.read_exact(&mut bytes).await.expect("bytes");
        bytes
    }

    #[tokio::test]
    async fn what_is_written_and_flushed_goes_out_together_when_it_is_sent() {
        let (mut client, mut outbox) = outbox(1024).await;
        for frame in [b"head", b"data"] {
            outbox.write_all(frame).await.expect("written");
            outbox.flush().await.expect("flushed");
        }
        assert!(poll!(Box::pin(client.read_u8())).is_pending(), "nothing is there yet");
        poll_fn(|cx| outbox.poll_send(cx)).await.expect("sent");
        assert_eq!(read(&mut client, 8).await, b"headdata");
    }

    #[tokio::test]
    async fn more_than_there_is_room_for_waits_for_the_reader_and_keeps_its_order() {
        let (mut client, mut outbox) = outbox(1000).await;
        let all: Vec<u8> = (0..3 * ROOM)
            .map(|number| u8::try_from(number / 7 % 251).expect("small"))
            .collect();
        let mut writing = Box::pin(async {
            outbox.write_all(&all).await.expect("written");
            outbox.shutdown().await.expect("shut down");
        });
        assert!(poll!(&mut writing).is_pending(), "held back");
        let mut came = Vec::new();
        let ((), came) = tokio::join!(writing, async {
            client.read_to_end(&mut came).await.expect("all of it");
            came
        });
        assert!(came == all);
    }

    #[tokio::test]
    async fn a_socket_that_is_gone_is_an_error() {
        let (client, mut outbox) = outbox(1000).await;
        drop(client);
        outbox.write_all(b"data").await.expect("gathered");
        assert!(poll_fn(|cx| outbox.poll_send(cx)).await.is_err());
    }

    #[tokio::test]
    async fn what_was_sent_leaves_no_buffer_behind() {
        let (_client, mut outbox) = outbox(1000).await;
        let _under_way = outbox.0.borrow().tap.pulse().begin();
        outbox.write_all(b"data").await.expect("gathered");
        poll_fn(|cx| outbox.poll_send(cx)).await.expect("sent");
        assert_eq!(outbox.0.borrow().waiting.capacity(), 0);
    }
}
