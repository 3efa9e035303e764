//! What passes over an upstream connection, as far as a retry needs to know.
//!
//! A kept-alive connection can be closed by its server in the very moment in which it is used again. Whether a request may be repeated then depends on two
//! facts: was anything answered, and what exactly was asked. hyper gives back a request only if it never began to write it, and a copy of each head made
//! beforehand costs more than anything else we do to it; so the bytes are kept as they are written, and read back in the rare case.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::{HeaderName, HeaderValue, Method, Request};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::upload::Upload;

/// A head longer than this is not kept, nor is its request repeated.
const MAX_KEPT: usize = 64 * 1024;

/// What passed since `begin`.
#[derive(Debug, Default)]
pub struct Trace {
    recording: AtomicBool,
    sent: Mutex<Sent>,
}

#[derive(Debug, Default)]
struct Sent {
    bytes: Vec<u8>,
    /// How many of them were taken; the rest was only offered.
    taken: usize,
}

impl Trace {
    /// A request begins; `record`: it may have to be repeated.
    pub fn begin(&self, record: bool) {
        self.recording.store(record, Ordering::Relaxed);
        if record {
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            sent.bytes.clear();
            sent.taken = 0;
        }
    }

    /// The request as it was written, if it was recorded and nothing was answered.
    pub fn replay(&self) -> Option<Request<Upload>> {
        if !self.recording.swap(false, Ordering::Relaxed) {
            return None;
        }
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        read(&sent.bytes)
    }

    fn is_recording(&self) -> bool {
        self.recording.load(Ordering::Relaxed)
    }

    /// An answer has begun: whatever happens now, the request is not repeated.
    fn answered(&self) {
        self.recording.store(false, Ordering::Relaxed);
    }

    fn offer(&self, pieces: &[IoSlice<'_>]) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = sent.taken;
        sent.bytes.truncate(taken);
        for piece in pieces {
            sent.bytes.extend_from_slice(piece);
        }
        if sent.bytes.len() > MAX_KEPT {
            self.answered();
        }
    }

    fn take(&self, count: usize) {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).taken += count;
    }
}

/// Reads back what hyper wrote; it is one whole head and nothing else, or nothing.
fn read(bytes: &[u8]) -> Option<Request<Upload>> {
    let head = std::str::from_utf8(bytes.strip_suffix(b"\r\n\r\n")?);
    // Values may hold octets that are not text; such a head is rare, and simply not repeated.
    let mut lines = head.ok()?.split("\r\n");
    let mut start = lines.next()?.splitn(3, ' ');
    let mut request = Request::new(Upload::empty());
    *request.method_mut() = Method::from_bytes(start.next()?.as_bytes()).ok()?;
    *request.uri_mut() = start.next()?.parse().ok()?;
    for line in lines {
        let (name, value) = line.split_once(": ")?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        request.headers_mut().append(name, HeaderValue::from_str(value).ok()?);
    }
    Some(request)
}

/// A stream that tells its trace what passes.
#[derive(Debug)]
pub struct Traced<T> {
    io: T,
    trace: Arc<Trace>,
}

impl<T> Traced<T> {
    /// `io`, told to `trace`.
    pub const fn new(io: T, trace: Arc<Trace>) -> Self {
        Self { io, trace }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Traced<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let traced = self.get_mut();
        let before = buf.filled().len();
        let outcome = Pin::new(&mut traced.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            traced.trace.answered();
        }
        outcome
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Traced<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let traced = self.get_mut();
        if !traced.trace.is_recording() {
            return Pin::new(&mut traced.io).poll_write(cx, buf);
        }
        traced.trace.offer(&[IoSlice::new(buf)]);
        let outcome = Pin::new(&mut traced.io).poll_write(cx, buf);
        traced.note(&outcome);
        outcome
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A head alone is one piece, and sending one costs the system less than gathering several.
        if let [only] = bufs {
            return self.poll_write(cx, only);
        }
        let traced = self.get_mut();
        if !traced.trace.is_recording() {
            return Pin::new(&mut traced.io).poll_write_vectored(cx, bufs);
        }
        traced.trace.offer(bufs);
        let outcome = Pin::new(&mut traced.io).poll_write_vectored(cx, bufs);
        traced.note(&outcome);
        outcome
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

impl<T> Traced<T> {
    fn note(&self, outcome: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(count)) = outcome {
            self.trace.take(*count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let trace = Trace::default();
        trace.begin(true);
        trace.offer(&[IoSlice::new(
            b"GET /a?b=c HTTP/1.1\r\nhost: x\r\nx-a: 1\r\nx-a: 2\r\n\r\n",
        )]);
        let request = trace.replay().unwrap();
        assert_eq!(
            (request.method().as_str(), request.uri().to_string()),
            ("GET", "/a?b=c".into())
        );
        let values: Vec<_> = request.headers().get_all("x-a").iter().collect();
        assert_eq!(values, ["1", "2"]);
        assert!(trace.replay().is_none());
    }

    #[test]
    fn an_answered_request_is_not_repeated() {
        let trace = Trace::default();
        trace.begin(true);
        trace.offer(&[IoSlice::new(b"GET / HTTP/1.1\r\n\r\n")]);
        trace.answered();
        assert!(trace.replay().is_none());
    }

    #[test]
    fn an_unrecorded_request_is_not_repeated() {
        let trace = Trace::default();
        trace.begin(false);
        assert!(trace.replay().is_none());
    }

    #[test]
    fn what_was_offered_and_not_taken_is_not_kept_twice() {
        let trace = Trace::default();
        trace.begin(true);
        trace.offer(&[IoSlice::new(b"GET / HTTP/1.1\r\n\r\n")]);
        trace.take(4);
        trace.offer(&[IoSlice::new(b"/ HTTP/1.1\r\n\r\n")]);
        assert_eq!(trace.replay().unwrap().uri(), "/");
    }
}
