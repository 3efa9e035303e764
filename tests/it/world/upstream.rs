//! An upstream that keeps every byte of every request and answers as its script says, however badly.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::ServerConfig;

use super::wire::{Wire, values};

/// A server on a port of its own, gone when dropped.
pub struct Upstream {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    script: Mutex<Arc<Script>>,
    requests: Mutex<Vec<Recorded>>,
    connections: AtomicUsize,
    over: AtomicBool,
    tls: Option<Arc<ServerConfig>>,
}

/// Serves one connection after its request's head was read.
type Script = dyn Fn(&Recorded, &mut Wire) -> io::Result<Then> + Send + Sync;

/// What happens to a connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The next request is read.
    Keep,
    /// It is closed.
    Close,
}

/// A request as it stood on the wire.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Request line and headers, to the empty line.
    pub head: String,
    /// The body without its framing; empty when a script answers before reading it.
    pub body: Vec<u8>,
    /// Which connection it came over, counted from 1.
    pub connection: usize,
}

impl Recorded {
    /// The request line.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// Method and target.
    pub fn target(&self) -> &str {
        self.line().split(' ').nth(1).unwrap_or_default()
    }

    /// The values of a header.
    pub fn values(&self, name: &str) -> Vec<String> {
        values(&self.head, name)
    }

    /// The only value of a header.
    #[track_caller]
    pub fn value(&self, name: &str) -> String {
        let mut values = self.values(name);
        assert_eq!(values.len(), 1, "not exactly one {name}: {}", self.head);
        values.remove(0)
    }
}

impl Upstream {
    /// Reads each request to its end and answers 200 `hello`.
    #[track_caller]
    pub fn friendly() -> Self {
        Self::answering(|_| "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello".to_owned())
    }

    /// Reads each request to its end and answers what the script says, keeping the connection.
    #[track_caller]
    pub fn answering(answer: impl Fn(&Recorded) -> String + Send + Sync + 'static) -> Self {
        Self::scripted(answering(answer))
    }

    /// Hands the connection to the script as soon as a request's head is there.
    #[track_caller]
    pub fn scripted(script: impl Fn(&Recorded, &mut Wire) -> io::Result<Then> + Send + Sync + 'static) -> Self {
        Self::serving(free(), None, script)
    }

    /// The friendly one on a port that is bound already.
    #[track_caller]
    pub fn on(listener: TcpListener) -> Self {
        Self::serving(
            listener,
            None,
            answering(|_| "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()),
        )
    }

    /// The friendly one over TLS, with a certificate for `localhost`; returns it in PEM.
    #[track_caller]
    pub fn over_tls() -> (Self, String) {
        let (config, pem) = super::certificate::serving("localhost");
        let script = answering(|_| "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned());
        (Self::serving(free(), Some(config), script), pem)
    }

    fn serving(
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        script: impl Fn(&Recorded, &mut Wire) -> io::Result<Then> + Send + Sync + 'static,
    ) -> Self {
        let port = listener.local_addr().expect("the upstream's port").port();
        let shared = Arc::new(Shared {
            script: Mutex::new(Arc::new(script)),
            requests: Mutex::default(),
            connections: AtomicUsize::default(),
            over: AtomicBool::default(),
            tls,
        });
        let server = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &server));
        Self { port, shared }
    }

    /// Changes the script for requests to come.
    pub fn now(&self, script: impl Fn(&Recorded, &mut Wire) -> io::Result<Then> + Send + Sync + 'static) {
        *self.shared.script.lock().expect("a script") = Arc::new(script);
    }

    /// Changes the answer for requests to come.
    pub fn now_answering(&self, answer: impl Fn(&Recorded) -> String + Send + Sync + 'static) {
        self.now(answering(answer));
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.requests.lock().expect("requests").clone()
    }

    /// How many requests came so far.
    pub fn count(&self) -> usize {
        self.shared.requests.lock().expect("requests").len()
    }

    /// The latest request.
    #[track_caller]
    pub fn last(&self) -> Recorded {
        self.requests().pop().expect("a request reached the upstream")
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn answering(
    answer: impl Fn(&Recorded) -> String + Send + Sync + 'static,
) -> impl Fn(&Recorded, &mut Wire) -> io::Result<Then> + Send + Sync + 'static {
    move |request, wire| {
        wire.send(answer(request).as_bytes())?;
        Ok(Then::Keep)
    }
}

fn free() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a port for an upstream")
}

fn open(stream: TcpStream, shared: &Shared) -> io::Result<Wire> {
    match &shared.tls {
        Some(config) => Wire::serve_tls(stream, Arc::clone(config)),
        None => Wire::over(stream),
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        if shared.over.load(Ordering::SeqCst) {
            return;
        }
        let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
        let shared = Arc::clone(shared);
        // A connection that breaks is the gateway's affair or the script's will.
        thread::spawn(move || open(stream, &shared).and_then(|wire| serve(wire, number, &shared)));
    }
}

fn serve(mut wire: Wire, connection: usize, shared: &Shared) -> io::Result<()> {
    while let Some(head) = wire.head()? {
        let head = String::from_utf8_lossy(&head).into_owned();
        // A body that is to wait for 100 or that never comes is the script's to read.
        let waits = !values(&head, "expect").is_empty() || !values(&head, "x-read-body").is_empty();
        let body = if waits { Vec::new() } else { wire.body(&head, false)? };
        let request = Recorded { head, body, connection };
        shared.requests.lock().expect("requests").push(request.clone());
        let script = Arc::clone(&shared.script.lock().expect("a script"));
        if script(&request, &mut wire)? == Then::Close {
            return Ok(());
        }
    }
    Ok(())
}
