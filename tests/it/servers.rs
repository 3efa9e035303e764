//! Database servers for tests: started on free ports in folders of their own, stopped when dropped or when the test process ends, however it ends.

// Said in full, since the benchmarks start their servers from here too.
#[path = "servers/line.rs"]
pub mod line;
#[path = "servers/mail.rs"]
pub mod mail;
#[path = "servers/postgres.rs"]
pub mod postgres;
#[path = "servers/redis.rs"]
pub mod redis;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server process. A shell watches over it: when its input closes, it stops the server, so nothing is left behind even by a killed test.
pub struct Server {
    shell: Child,
}

impl Server {
    /// Starts `command`, which works in `folder` and whose output goes to `log`.
    pub fn start(command: &[&str], folder: &Path, log: &Path) -> Self {
        // A word on its input stops the server; the end of its input, which is the end of the test process, takes the folder along.
        const WATCH: &str = "\"$@\" & if read -r _; then over=; else over=yes; fi
            kill -CONT $!; kill -INT $!; wait $!; [ -z \"$over\" ] || rm -rf \"$0\"";
        let log = std::fs::File::create(log).unwrap();
        let mut shell = Command::new("sh");
        shell
            .args(["-c", WATCH])
            .arg(folder)
            .args(command)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        Self {
            shell: shell.spawn().unwrap(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut input) = self.shell.stdin.take() {
            let _ = input.write_all(b"\n");
        }
        let _ = self.shell.wait();
    }
}

/// A port that is free now.
pub fn free_port() -> u16 {
    // Kept until the end of the process, so that two askers never get the same one.
    static GIVEN: Mutex<Vec<u16>> = Mutex::new(Vec::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if !given.contains(&port) {
            given.push(port);
            return port;
        }
    }
}

/// Waits until something listens.
#[track_caller]
pub fn wait_for_port(port: u16, log: &Path) {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    wait_until(log, || TcpStream::connect(address).is_ok());
}

/// Waits until a server is ready; shows its log when it never is.
#[track_caller]
pub fn wait_until(log: &Path, mut is_ready: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_ready() {
        if begun.elapsed() > PATIENCE {
            panic!(
                "the server does not start: {}",
                std::fs::read_to_string(log).unwrap_or_default()
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Servers that are lent to one test after the other, since starting them costs more than emptying them.
pub struct Pool<T>(Mutex<Vec<T>>);

impl<T> Pool<T> {
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// One that nobody uses.
    pub fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Gives it back.
    pub fn give(&self, server: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(server);
    }
}
