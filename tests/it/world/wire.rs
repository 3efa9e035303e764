//! HTTP/1.1 to the byte: what is sent is exactly what is written, what comes is kept as it came.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use super::PATIENCE;

/// A connection, bare or over TLS.
pub struct Wire {
    stream: Stream,
    /// Came, but was not asked for yet.
    buffer: Vec<u8>,
}

enum Stream {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Served(Box<StreamOwned<ServerConnection, TcpStream>>),
}

/// An answer as it stood on the wire.
#[derive(Debug)]
pub struct RawAnswer {
    /// The status code.
    pub status: u16,
    /// Status line and headers, to the empty line.
    pub head: String,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

impl Wire {
    /// Connects to a port of this machine.
    pub fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        Self::over(stream)
    }

    /// Takes over a connection.
    pub fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: Stream::Tcp(stream),
            buffer: Vec::new(),
        })
    }

    /// Connects over TLS, naming a host and offering protocols.
    pub fn connect_tls(port: u16, name: &str, trust: Arc<ClientConfig>, alpn: &[&[u8]]) -> io::Result<Self> {
        Self::tls_over(TcpStream::connect(("127.0.0.1", port))?, name, trust, alpn)
    }

    /// Begins TLS on a connection on which something else was said before.
    pub fn tls_over(stream: TcpStream, name: &str, trust: Arc<ClientConfig>, alpn: &[&[u8]]) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut config = (*trust).clone();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self {
            stream: Stream::Tls(Box::new(stream)),
            buffer: Vec::new(),
        })
    }

    /// Serves TLS on a connection that somebody made.
    pub fn serve_tls(stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self {
            stream: Stream::Served(Box::new(stream)),
            buffer: Vec::new(),
        })
    }

    /// The protocol that the handshake settled on.
    pub fn protocol(&self) -> Option<String> {
        match &self.stream {
            Stream::Tls(stream) => stream
                .conn
                .alpn_protocol()
                .map(|name| String::from_utf8_lossy(name).into_owned()),
            Stream::Tcp(_) | Stream::Served(_) => None,
        }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Stream::Served(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    /// Ends our half of the connection.
    pub fn finish(&mut self) -> io::Result<()> {
        self.socket().shutdown(Shutdown::Write)
    }

    /// Sends a request and reads its answer.
    #[track_caller]
    pub fn ask(&mut self, request: &str) -> RawAnswer {
        let method = request.split(' ').next().unwrap_or_default().to_owned();
        self.send(request.as_bytes())
            .unwrap_or_else(|e| panic!("cannot send {request:?}: {e}"));
        self.answer(&method)
            .unwrap_or_else(|e| panic!("no answer to {request:?}: {e}"))
    }

    /// Reads an answer to a request of the given method; interim ones (1xx) are passed over.
    pub fn answer(&mut self, method: &str) -> io::Result<RawAnswer> {
        loop {
            let answer = self.any_answer(method)?;
            if answer.status == 101 || answer.status >= 200 {
                return Ok(answer);
            }
        }
    }

    /// Reads an answer, interim ones included.
    pub fn any_answer(&mut self, method: &str) -> io::Result<RawAnswer> {
        let head = self
            .head()?
            .ok_or_else(|| io::Error::new(ErrorKind::UnexpectedEof, "closed before an answer"))?;
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("not an answer: {head:?}")))?;
        let bodiless = method == "HEAD" || (100..200).contains(&status) || status == 204 || status == 304;
        let body = if bodiless { Vec::new() } else { self.body(&head, true)? };
        Ok(RawAnswer { status, head, body })
    }

    /// Reads up to and with the empty line; `None` when the other end closed before the first byte.
    pub fn head(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                return Ok(Some(self.buffer.drain(..at + 4).collect()));
            }
            if self.more()? == 0 {
                let what = "closed inside a header block";
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(io::Error::new(ErrorKind::UnexpectedEof, what))
                };
            }
        }
    }

    /// Reads the body that a header block announces. Without an announcement there is none, unless `until_close`.
    pub fn body(&mut self, head: &str, until_close: bool) -> io::Result<Vec<u8>> {
        if values(head, "transfer-encoding")
            .iter()
            .any(|value| value.eq_ignore_ascii_case("chunked"))
        {
            return self.chunked();
        }
        match values(head, "content-length")
            .first()
            .and_then(|value| value.parse().ok())
        {
            Some(length) => self.exactly(length),
            None if until_close => self.rest(),
            None => Ok(Vec::new()),
        }
    }

    /// Reads so many bytes.
    pub fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            if self.more()? == 0 {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "closed inside a body"));
            }
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Reads until the other end closes.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.more()? > 0 {}
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Reads until the other end closes, and tells whether it said so: over TLS by its alert, without which what came may be a part.
    pub fn closed_in_order(&mut self) -> bool {
        let mut piece = [0; 16 * 1024];
        loop {
            let read = match &mut self.stream {
                Stream::Tcp(stream) => stream.read(&mut piece),
                Stream::Tls(stream) => stream.read(&mut piece),
                Stream::Served(stream) => stream.read(&mut piece),
            };
            match read {
                Ok(0) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    /// How long it took the other end to close, whatever it said before; fails when it did not within `limit`.
    #[track_caller]
    pub fn closed_within(&mut self, limit: Duration) -> Duration {
        let began = Instant::now();
        loop {
            let left = limit.saturating_sub(began.elapsed());
            assert!(!left.is_zero(), "still open after {limit:?}");
            self.socket().set_read_timeout(Some(left)).expect("a time limit");
            match self.more() {
                Ok(0) => return began.elapsed(),
                Ok(_) => {}
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                // A reset closes as well.
                Err(_) => return began.elapsed(),
            }
        }
    }

    /// What was read and not yet asked for.
    pub fn unread(&self) -> &[u8] {
        &self.buffer
    }

    /// Whether the other end has nothing to say for a while and keeps the connection.
    pub fn is_open(&mut self) -> bool {
        let socket = self.socket();
        if socket.set_read_timeout(Some(Duration::from_millis(100))).is_err() {
            return false;
        }
        let open = matches!(self.more(), Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        open && self.socket().set_read_timeout(Some(PATIENCE)).is_ok()
    }

    fn chunked(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size =
                usize::from_str_radix(size, 16).map_err(|_| io::Error::other(format!("not a size: {line:?}")))?;
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.exactly(size)?);
            self.exactly(2)?;
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if self.more()? == 0 {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "closed inside a body"));
            }
        }
    }

    fn more(&mut self) -> io::Result<usize> {
        let mut piece = [0; 16 * 1024];
        let length = match &mut self.stream {
            Stream::Tcp(stream) => stream.read(&mut piece)?,
            Stream::Tls(stream) => to_the_end(stream.read(&mut piece))?,
            Stream::Served(stream) => to_the_end(stream.read(&mut piece))?,
        };
        self.buffer.extend_from_slice(&piece[..length]);
        Ok(length)
    }

    fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Tcp(stream) => stream,
            Stream::Tls(stream) => &stream.sock,
            Stream::Served(stream) => &stream.sock,
        }
    }
}

/// Closed without a closing alert: the bytes are complete when their framing says so.
fn to_the_end(read: io::Result<usize>) -> io::Result<usize> {
    match read {
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(0),
        other => other,
    }
}

impl RawAnswer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The values of a header.
    pub fn values(&self, name: &str) -> Vec<String> {
        values(&self.head, name)
    }

    /// The only value of a header.
    #[track_caller]
    pub fn value(&self, name: &str) -> String {
        let mut values = self.values(name);
        assert_eq!(values.len(), 1, "not exactly one {name} in {}", self.head);
        values.remove(0)
    }

    /// The `code` of a problem document.
    #[track_caller]
    pub fn code(&self) -> String {
        let document: Value = serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("not JSON ({e}): {self:?}"));
        document["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// The values of a header in a header block, in order.
pub fn values(head: &str, name: &str) -> Vec<String> {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    lines
        .filter(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().to_owned())
        .collect()
}
