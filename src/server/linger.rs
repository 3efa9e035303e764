//! How a connection ends whose client may still be writing: what it still says is read and thrown away for a while.
//!
//! A socket that is closed over unread bytes is reset, and a reset overtakes the answer: whoever writes a whole body before it reads would never see the
//! 413 or 401 that it was sent in the middle (RFC 9112 §9.6). So our half is closed first, over TLS by its own word for it, and the other half is
//! listened to until the request has ended, the client closes, or it has taken too long or come to too much; then a reset is what it gets. The seat stays
//! taken meanwhile, and an order (the drain, a sweep while others wait for seats) ends it at once.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::pulse::Order;
use super::tap::Tap;

/// How long it may take in all.
const LONGEST: Duration = Duration::from_secs(5);
/// How much is thrown away: twice the body that is taken by default, so that one somewhat too long is still heard out.
const MOST: usize = 32 * 1024 * 1024;
/// Read at once.
const PIECE: usize = 16 * 1024;

/// Ends a connection. One that was cut, or owes nothing, is closed at once.
pub async fn linger<S>(mut tap: Box<Tap<S>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if !tap.is_owed_more() || tap.pulse().standing_order() != Order::GoOn {
        return;
    }
    let mut end = End::new();
    let _ = timeout(LONGEST, poll_fn(|cx| end.poll(&mut tap, cx))).await;
}

/// How far it has come.
struct End {
    piece: Vec<u8>,
    left: usize,
    is_shut: bool,
}

impl End {
    fn new() -> Self {
        Self {
            piece: vec![0; PIECE],
            left: MOST,
            is_shut: false,
        }
    }

    fn poll<S>(&mut self, tap: &mut Tap<S>, cx: &mut Context<'_>) -> Poll<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if tap.pulse().order(cx.waker()) != Order::GoOn {
            return Poll::Ready(());
        }
        if !self.is_shut {
            // A client that takes nothing at present may have to write first.
            match Pin::new(&mut *tap).poll_shutdown(cx) {
                Poll::Ready(Ok(())) => self.is_shut = true,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => {}
            }
        }
        while tap.is_owed_more() && self.left > 0 {
            let mut piece = ReadBuf::new(&mut self.piece);
            let read = ready!(Pin::new(&mut *tap).poll_read(cx, &mut piece));
            let came = piece.filled().len();
            if read.is_err() || came == 0 {
                return Poll::Ready(());
            }
            self.left = self.left.saturating_sub(came);
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::poll;
    use prometheus_client::metrics::gauge::Gauge;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::server::framing::Framing;
    use crate::server::roster::Roster;
    use crate::server::tap::Reading;

    /// A client that has announced a body of so many bytes, and was answered.
    async fn refused(length: usize) -> (DuplexStream, Box<Tap<DuplexStream>>, Gauge) {
        let open = Gauge::default();
        let seat = Roster::new(1).sit(&open).await.expect("a seat");
        let (mut client, server) = duplex(1024);
        let mut tap = Box::new(Tap::new(server, Reading::Heads(Framing::new(512)), seat));
        let head = format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
        client.write_all(head.as_bytes()).await.expect("written");
        tap.read_exact(&mut vec![0; head.len()]).await.expect("read");
        tap.write_all(b"no").await.expect("written");
        (client, tap, open)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_heard_out_after_our_half_is_closed() {
        let (mut client, tap, open) = refused(5000).await;
        let lingering = tokio::spawn(linger(tap));
        client.write_all(&[0; 4999]).await.expect("still taken");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("no reset");
        assert_eq!((answer.as_str(), open.get()), ("no", 1));
        client.write_all(&[0]).await.expect("still taken");
        let began = Instant::now();
        lingering.await.expect("it ends");
        assert_eq!((began.elapsed(), open.get()), (Duration::ZERO, 0), "with the body");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_closes_ends_it() {
        let (client, tap, _) = refused(5000).await;
        drop(client);
        let began = Instant::now();
        linger(tap).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_goes_on_slowly_is_left_in_the_end() {
        let (mut client, tap, open) = refused(5000).await;
        let began = Instant::now();
        let lingering = tokio::spawn(linger(tap));
        while client.write_all(&[0]).await.is_ok() {
            sleep(Duration::from_millis(100)).await;
        }
        lingering.await.expect("it ends");
        assert_eq!(open.get(), 0);
        assert!(began.elapsed() <= LONGEST + Duration::from_millis(200));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_goes_on_for_long_is_left_in_the_end() {
        let (mut client, tap, _) = refused(2 * MOST).await;
        let lingering = tokio::spawn(linger(tap));
        let (mut written, piece) = (0, [0; PIECE]);
        while client.write_all(&piece).await.is_ok() {
            written += PIECE;
        }
        lingering.await.expect("it ends");
        assert!((MOST..MOST + 2 * PIECE).contains(&written), "{written} bytes");
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_ends_it_and_nothing_that_is_owed_is_waited_for() {
        for order in [crate::server::pulse::Pulse::finish, crate::server::pulse::Pulse::cut] {
            let (_client, tap, _) = refused(5000).await;
            let pulse = Arc::clone(tap.pulse());
            let mut lingering = Box::pin(linger(tap));
            assert!(poll!(&mut lingering).is_pending());
            order(&pulse);
            assert!(poll!(&mut lingering).is_ready());
        }
        let (_client, tap, _) = refused(0).await;
        assert!(poll!(Box::pin(linger(tap))).is_ready(), "all of it was read");
    }
}
