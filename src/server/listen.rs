//! Listener sockets: one per worker and address, and how connections are taken from them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TLS, then HTTP/2 or HTTP/1.1.
    Tls,
    /// HTTP/1.1 in the clear, behind another TLS terminator.
    Plain,
    /// HTTP/1.1 in the clear, sent on to https.
    Redirecting,
}

impl Kind {
    /// The listener's name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls => "https",
            Self::Plain | Self::Redirecting => "http",
        }
    }
}

/// One worker's listeners.
pub type Sockets = Vec<(Kind, TcpListener)>;

/// Connections that the kernel keeps for us before they are accepted; it lowers this to its own limit.
const BACKLOG: i32 = 4096;
/// After the system ran out of files or memory: how long until the next try. Without a pause the loop would spin on the same error.
const BREATH: Duration = Duration::from_millis(200);

/// `count` sockets that listen on one address and share it; the address is the one the system chose for port 0.
///
/// # Errors
/// What the system says; `AddrInUse` also when another process shares its port willingly.
pub fn bind(address: SocketAddr, count: usize) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    // With SO_REUSEPORT alone, a second gateway started by mistake would quietly take half of the connections. So the first socket asks without it.
    drop(socket(address, false)?);
    let first = socket(address, true)?;
    let bound = first.local_addr()?;
    let mut sockets = vec![first];
    while sockets.len() < count {
        sockets.push(socket(bound, true)?);
    }
    Ok((bound, sockets))
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// What to do about a failure to listen.
pub fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; another process has it: stop that one or choose another port",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need CAP_NET_BIND_SERVICE",
        io::ErrorKind::AddrNotAvailable => "; this machine does not have that address",
        _ => "",
    }
}

/// The next connection; failures that pass are waited out.
pub async fn accept(listener: &tokio::net::TcpListener) -> (TcpStream, SocketAddr) {
    let mut exhausted = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are written whole; waiting for more to send would only delay them.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            // accept(2): the client was gone before we came; the next one may be there.
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                if !std::mem::replace(&mut exhausted, true) {
                    tracing::error!(error = %error, "cannot accept connections; trying again");
                }
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_a_port_and_strangers_do_not() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (bound, sockets) = bind(any, 3).expect("bound");
        assert_eq!(sockets.len(), 3);
        assert!(sockets.iter().all(|socket| socket.local_addr().ok() == Some(bound)));
        let second = bind(bound, 1).expect_err("taken");
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
    }
}
