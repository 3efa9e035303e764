//! A world of its own for each test: the real binary on free ports in an empty folder, with its configuration, its people and its logs.
//!
//! Whatever secret passes through a world's clients is remembered, and when the world ends its logs, metrics and problem documents are searched for
//! them: the promise that no secret is ever written anywhere is so part of every test.

pub mod authenticator;
pub mod certificate;
pub mod client;
pub mod clock;
pub mod forge;
pub mod http;
pub mod openid;
#[path = "../../src/auth/passkey/authenticator.rs"]
pub mod passkey;
pub mod person;
pub mod process;
pub mod secrets;
pub mod settings;
pub mod upstream;
pub mod wire;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub use client::Client;
pub use clock::WallClock;
pub use http::Answer;
pub use person::Person;
pub use process::Outcome;
pub use settings::Config;
pub use upstream::Upstream;
pub use wire::Wire;

use process::Process;
use secrets::Secrets;

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A password that every rule accepts.
pub const PASSWORD: &str = "correct horse battery staple";

/// One gateway and all that belongs to it.
pub struct World {
    /// Where files are; `gateway.toml` is in it.
    dir: TempDir,
    /// What the file says.
    config: Config,
    ports: Ports,
    process: Option<Process>,
    /// What the gateway finds in its environment beside the usual.
    environment: Vec<(&'static str, OsString)>,
    /// Everything that earlier processes wrote.
    past_output: String,
    secrets: Arc<Secrets>,
}

#[derive(Clone, Copy)]
struct Ports {
    https: u16,
    http: u16,
    admin: u16,
}

impl World {
    /// A gateway with the usual settings and one upstream `app` behind `/`.
    #[track_caller]
    pub fn start(upstream: &Upstream) -> Self {
        Self::with(upstream, |_| {})
    }

    /// The same with changes to the settings.
    #[track_caller]
    pub fn with(upstream: &Upstream, change: impl FnOnce(&mut Config)) -> Self {
        let mut world = Self::stopped(upstream, change);
        world.up();
        world
    }

    /// A folder with a configuration and no gateway running.
    #[track_caller]
    pub fn stopped(upstream: &Upstream, change: impl FnOnce(&mut Config)) -> Self {
        let ports = Ports {
            https: free_port(),
            http: free_port(),
            admin: free_port(),
        };
        let mut config = Config::usual(ports.https, ports.http, ports.admin, &upstream.url());
        change(&mut config);
        let dir = tempfile::tempdir().expect("a folder can be made");
        let world = Self {
            dir,
            config,
            ports,
            process: None,
            environment: Vec::new(),
            past_output: String::new(),
            secrets: Arc::new(Secrets::default()),
        };
        world.write_config();
        world
    }

    /// A gateway whose wall clock the test moves.
    #[track_caller]
    pub fn with_wall_clock(upstream: &Upstream, change: impl FnOnce(&mut Config)) -> (Self, WallClock) {
        let mut world = Self::stopped(upstream, change);
        let clock = WallClock::right(world.dir());
        world.under(&clock);
        world.up();
        (world, clock)
    }

    /// Has the gateway, once it starts, live by a clock that the test moves.
    pub fn under(&mut self, clock: &WallClock) {
        self.environment = clock.environment();
    }

    /// Starts the gateway and waits until it says that it is ready.
    #[track_caller]
    pub fn up(&mut self) {
        self.up_as_far_as("/readyz");
    }

    /// Starts the gateway, whatever comes of it.
    #[track_caller]
    pub fn launch(&mut self) {
        assert!(self.process.is_none(), "the gateway runs already");
        self.process = Some(Process::serve(&self.config_file(), &self.environment));
    }

    /// Starts the gateway and waits until a probe of the admin listener is 200.
    #[track_caller]
    pub fn up_as_far_as(&mut self, probe: &str) {
        self.launch();
        let began = Instant::now();
        while !self.says(probe) {
            let process = self.process.as_mut().expect("it was just started");
            if let Some(status) = process.ended() {
                panic!(
                    "the gateway ended with {status} instead of starting:\n{}",
                    process.output()
                );
            }
            assert!(
                began.elapsed() < PATIENCE,
                "the gateway does not get ready:\n{}",
                process.output()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether the admin listener says so.
    pub fn is_ready(&self) -> bool {
        self.says("/readyz")
    }

    fn says(&self, probe: &str) -> bool {
        let head = format!("GET {probe} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        Wire::connect(self.ports.admin)
            .and_then(|mut wire| {
                wire.send(head.as_bytes())?;
                wire.answer("GET")
            })
            .is_ok_and(|answer| answer.status == 200)
    }

    /// Ends the gateway as a power cut would.
    #[track_caller]
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("a gateway runs");
        process.kill();
        self.past_output.push_str(&process.output());
    }

    /// Kill -9 and start again.
    #[track_caller]
    pub fn crash_and_restart(&mut self) {
        self.kill();
        self.up();
    }

    /// Sends a signal (`TERM`, `HUP`).
    #[track_caller]
    pub fn signal(&self, name: &str) {
        self.process.as_ref().expect("a gateway runs").signal(name);
    }

    /// Waits until the process is gone; returns whether it ended well and its output.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> bool {
        let mut process = self.process.take().expect("a gateway runs");
        let status = until("the gateway ends", || process.ended());
        self.past_output.push_str(&process.output());
        status.success()
    }

    /// Writes changed settings where the gateway finds them.
    #[track_caller]
    pub fn reconfigure(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        self.write_config();
    }

    /// Puts any text in the place of the configuration.
    #[track_caller]
    pub fn overwrite_config(&self, text: &str) {
        std::fs::write(self.config_file(), text).expect("the configuration can be written");
    }

    /// The configuration's present text.
    pub fn config_text(&self) -> String {
        std::fs::read_to_string(self.config_file()).expect("the configuration can be read")
    }

    /// Where the configuration is.
    pub fn config_file(&self) -> PathBuf {
        self.dir.path().join("gateway.toml")
    }

    /// The folder everything is in.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The process id, for `/proc`.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("a gateway runs").id()
    }

    /// Runs another command of the same binary on the same configuration.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with_input(arguments, "")
    }

    /// The same with standard input.
    #[track_caller]
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Outcome {
        process::run(&self.config_file(), arguments, input)
    }

    /// A client without cookies, HTTP/1.1 over TLS.
    pub fn client(&self) -> Client {
        Client::new(
            self.ports.https,
            certificate::trusting(self.dir()),
            Arc::clone(&self.secrets),
        )
    }

    /// A browser's like: keeps cookies and says where its requests come from.
    pub fn browser(&self) -> Client {
        self.client().with_jar(&self.origin())
    }

    /// A registered, signed-in person with tokens in the body.
    pub async fn person(&self, name: &str) -> Person {
        Person::arrive(self, name).await
    }

    /// `https://localhost:PORT`
    pub fn origin(&self) -> String {
        format!("https://localhost:{}", self.ports.https)
    }

    /// `localhost:PORT`, the authority that requests are for.
    pub fn authority(&self) -> String {
        format!("localhost:{}", self.ports.https)
    }

    /// The TLS listener's port.
    pub fn https_port(&self) -> u16 {
        self.ports.https
    }

    /// The cleartext listener's port.
    pub fn http_port(&self) -> u16 {
        self.ports.http
    }

    /// The admin listener's port.
    pub fn admin_port(&self) -> u16 {
        self.ports.admin
    }

    /// A raw connection over TLS, HTTP/1.1 only.
    #[track_caller]
    pub fn tls(&self) -> Wire {
        let tls = certificate::trusting(self.dir());
        Wire::connect_tls(self.ports.https, "localhost", tls, &[b"http/1.1"]).expect("a TLS connection")
    }

    /// A raw connection in cleartext.
    #[track_caller]
    pub fn tcp(&self) -> Wire {
        Wire::connect(self.ports.http).expect("a connection")
    }

    /// A bare connection to the TLS listener on which nothing was said.
    #[track_caller]
    pub fn silent(&self) -> Wire {
        Wire::connect(self.ports.https).expect("a connection")
    }

    /// An answer of the admin listener.
    #[track_caller]
    pub fn admin(&self, path: &str) -> wire::RawAnswer {
        let mut wire = Wire::connect(self.ports.admin).expect("the admin listener");
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        wire.send(head.as_bytes()).expect("a request can be sent");
        wire.answer("GET").expect("an answer of the admin listener")
    }

    /// The metrics as text.
    #[track_caller]
    pub fn metrics(&self) -> String {
        self.admin("/metrics").text()
    }

    /// The sum of all samples of a metric whose labels contain all of `labels` (`outcome="rotated"`).
    #[track_caller]
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.metrics();
        let samples = text.lines().filter(|line| {
            let (sample, _) = line.split_once(['{', ' ']).unwrap_or_default();
            sample == name && labels.iter().all(|label| line.contains(label))
        });
        samples
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// The access log, parsed.
    pub fn access_log(&self) -> Vec<Value> {
        json_lines(&self.read("access.log"))
    }

    /// The audit log, parsed.
    pub fn audit_log(&self) -> Vec<Value> {
        json_lines(&self.read("audit.log"))
    }

    /// What the process wrote to standard output and standard error so far.
    pub fn output(&self) -> String {
        let now = self.process.as_ref().map(Process::output).unwrap_or_default();
        format!("{}{now}", self.past_output)
    }

    /// Remembers something that must never be seen in a log.
    pub fn secret(&self, value: &str) {
        self.secrets.remember(value);
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir().join(name)).unwrap_or_default()
    }

    #[track_caller]
    fn write_config(&self) {
        self.overwrite_config(&self.config.to_string());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let metrics = if self.process.is_some() && self.is_ready() {
            self.metrics()
        } else {
            String::new()
        };
        if let Some(mut process) = self.process.take() {
            process.kill();
            self.past_output.push_str(&process.output());
        }
        if std::thread::panicking() {
            eprintln!("--- what the gateway said ---\n{}", self.past_output);
            return;
        }
        let written = [
            ("standard output or error", self.past_output.clone()),
            ("the access log", self.read("access.log")),
            ("the audit log", self.read("audit.log")),
            ("the metrics", metrics),
        ];
        self.secrets.must_not_occur_in(&written);
        secrets::no_path_of_ours_is_made_up(&self.access_log());
    }
}

/// Asks until there is something, and fails when that takes too long.
#[track_caller]
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn json_lines(text: &str) -> Vec<Value> {
    let line =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("a log line is not JSON ({e}): {line}"));
    text.lines().map(line).collect()
}

/// A port nobody listens on, from below the range that the system gives to outgoing connections; each is given out once.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 80).unwrap_or_default() * 150;
    loop {
        let port = 20_000 + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
