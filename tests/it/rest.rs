//! Connections that wait for their next request: after a second they are a bare socket to the gateway, and nobody notices.

use std::time::{Duration, Instant};

use crate::hostile::exhaustion::resident;
use crate::world::process;
use crate::world::upstream::Then;
use crate::world::{Config, Upstream, Wire, World, until};

const SOON: Duration = Duration::from_secs(5);

/// Nothing shows from outside when a connection goes to rest, so this is waited out: a second, and two steps of the sweep.
const UNTIL_IT_RESTS: Duration = Duration::from_millis(1700);

/// A gateway that is spoken to over TLS, and one in the clear.
struct Site {
    world: World,
    tls: bool,
}

fn sites(upstream: &Upstream, change: impl Fn(&mut Config)) -> [Site; 2] {
    [true, false].map(|tls| {
        let world = World::with(upstream, |config| {
            change(config);
            if !tls {
                config.remove("server.https");
            }
        });
        Site { world, tls }
    })
}

impl Site {
    fn wire(&self) -> Wire {
        if self.tls { self.world.tls() } else { self.world.tcp() }
    }

    fn head(&self, line: &str, fields: &str) -> String {
        let port = if self.tls {
            self.world.https_port()
        } else {
            self.world.http_port()
        };
        format!("{line} HTTP/1.1\r\nHost: localhost:{port}\r\n{fields}\r\n")
    }

    fn request(&self, path: &str) -> String {
        self.head(&format!("GET {path}"), "")
    }

    /// A connection that has had an answer, and is at rest.
    fn rested(&self) -> Wire {
        let mut wire = self.wire();
        assert_eq!(wire.ask(&self.request("/public")).status, 200);
        std::thread::sleep(UNTIL_IT_RESTS);
        wire
    }

    fn open(&self) -> f64 {
        let listener = if self.tls {
            "listener=\"https\""
        } else {
            "listener=\"http\""
        };
        self.world.metric("gateward_connections_open", &[listener])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_after_a_rest_is_answered_however_its_bytes_come() {
    let upstream = Upstream::answering(|request| {
        let body = request.target().to_owned();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    });
    for site in sites(&upstream, |_| {}) {
        let mut wire = site.rested();
        for (number, cut) in [1, 17, 400].into_iter().enumerate() {
            let path = format!("/public/{number}");
            // An empty line before a request is none of it (RFC 9112 §2.2).
            let text = format!("\r\n{}", site.request(&path));
            for piece in text.as_bytes().chunks(cut) {
                wire.send(piece).expect("a piece");
            }
            assert_eq!(wire.answer("GET").expect("an answer").text(), path);
            std::thread::sleep(UNTIL_IT_RESTS);
        }
        wire.send(b"\r\n").expect("an empty line");
        std::thread::sleep(UNTIL_IT_RESTS);
        let paths: Vec<String> = (0..10).map(|number| format!("/public/{number}")).collect();
        let together: String = paths.iter().map(|path| site.request(path)).collect();
        wire.send(together.as_bytes()).expect("ten requests");
        for path in paths {
            assert_eq!(wire.answer("GET").expect("an answer").text(), path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resting_connection_is_closed_when_its_time_is_over() {
    let upstream = Upstream::friendly();
    for site in sites(&upstream, |config| {
        config.set("server.limits.idle_timeout", "3s");
    }) {
        let mut wire = site.rested();
        assert!(wire.is_open());
        wire.closed_within(SOON);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_head_after_a_rest_is_given_a_head_s_time() {
    let upstream = Upstream::friendly();
    for site in sites(&upstream, |config| {
        config.set("server.limits.header_timeout", "500ms");
    }) {
        let mut wire = site.rested();
        wire.send(b"GET /public HTTP/1.1\r\nHost: loc").expect("half a head");
        wire.closed_within(SOON);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_closes_resting_connections_at_once() {
    let upstream = Upstream::friendly();
    for mut site in sites(&upstream, |_| {}) {
        let mut wire = site.rested();
        site.world.signal("TERM");
        wire.closed_within(Duration::from_secs(2));
        assert!(site.world.wait_for_end(), "a drained gateway ends well");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hangs_up_while_resting_gives_the_seat_back() {
    let upstream = Upstream::friendly();
    for site in sites(&upstream, |_| {}) {
        let wire = site.rested();
        assert!(site.open() >= 1.0);
        drop(wire);
        until("the seat is free", || (site.open() == 0.0).then_some(()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ambiguous_request_after_a_rest_is_refused_and_the_connection_closed() {
    let upstream = Upstream::friendly();
    for site in sites(&upstream, |_| {}) {
        for framing in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
        ] {
            let mut wire = site.rested();
            let before = upstream.count();
            let text = format!("{}0\r\n\r\n", site.head("POST /public", framing));
            assert_eq!(wire.ask(&text).status, 400, "{framing}");
            wire.closed_within(SOON);
            assert_eq!(upstream.count(), before, "{framing}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_may_leave_http_after_a_rest() {
    for tls in [0, 1] {
        let upstream = Upstream::friendly();
        let sites = sites(&upstream, |config| {
            config.route("chat", "path = \"/chat\"\nauth = \"public\"\nwebsocket = true");
        });
        let site = &sites[tls];
        let mut wire = site.rested();
        upstream.now(|_, wire| {
            wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")?;
            while let Ok(bytes) = wire.exactly(4) {
                wire.send(&bytes)?;
            }
            Ok(Then::Close)
        });
        let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        assert_eq!(wire.ask(&site.head("GET /chat", fields)).status, 101);
        for word in [b"ping", b"pong"] {
            wire.send(word).expect("a frame");
            assert_eq!(wire.exactly(4).expect("its echo"), word);
            // Another protocol may be silent for as long as it likes.
            std::thread::sleep(UNTIL_IT_RESTS);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_at_rest_holds_no_buffers() {
    let upstream = Upstream::friendly();
    let [_, site] = sites(&upstream, |config| {
        config.set("server.workers", 1);
    });
    let idle = || {
        let mut wires: Vec<Wire> = (0..1500).map(|_| site.wire()).collect();
        let request = site.request("/public");
        for wire in &mut wires {
            assert_eq!(wire.ask(&request).status, 200);
        }
        std::thread::sleep(UNTIL_IT_RESTS);
        wires
    };
    // What a burst needed is given back within a second or two, which is not what connections hold.
    let given_back = || std::thread::sleep(Duration::from_secs(3));
    let _first = idle();
    given_back();
    let before = resident(&site.world);
    let _second = idle();
    given_back();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let each = resident(&site.world).saturating_sub(before) * 1024 / 1500;
        if each < 8 * 1024 {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{each} octets each: more than what hyper reads into"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn memory_given_back_goes_to_the_system_within_a_second() {
    let told = process::command("none.toml".as_ref(), &["--version"])
        .env("_RJEM_MALLOC_CONF", "stats_print:true")
        .output()
        .expect("the binary runs");
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    for setting in [
        "opt.dirty_decay_ms: 1000 ",
        "opt.muzzy_decay_ms: 0 ",
        "opt.background_thread: true ",
    ] {
        assert!(
            told.contains(setting),
            "{setting}: was it built without .cargo/config.toml? {told}"
        );
    }
}
