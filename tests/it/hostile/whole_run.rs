//! The whole catalogue against one gateway on its default limits, as one attacker after the other would find it.
//!
//! Each family alone proves its own defence; here it counts that they hold together, in one process that was not started afresh: nothing ambiguous goes
//! on, nobody is named who was not verified, somebody else's requests are served all the while, and afterwards it is the same process, no larger than before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::exhaustion::{ASKED_IN_JSON, endless, idlers, no_questions, resident};
use super::{CANARY, authority, credentials, frames, guarded_prefix, http2, identity, poisoning, smuggling, upgrade};
use crate::tokens::mint::Mint;
use crate::world::upstream::Recorded;
use crate::world::{Config, PASSWORD, Upstream, Wire, World, certificate, until};

/// What may be more in memory afterwards, in KiB.
const GROWTH: u64 = 10 * 1024;

fn on_default_limits(config: &mut Config) {
    config.remove("auth.password").remove("auth.limits");
    guarded_prefix::routes(config);
    identity::routes(config);
    // The catalogue of forged tokens asks for a route that wants one.
    config.route("things", "path = \"/things\"");
    config.route(
        "socket-public",
        "path = \"/open/socket\"\nauth = \"public\"\nwebsocket = true",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_catalogue_leaves_one_gateway_on_its_default_limits_as_it_was() {
    let upstream = Upstream::friendly();
    let mint = Mint::with(&upstream, on_default_limits).await;
    let world = &mint.world;
    upstream.now(poisoning::provoking);
    let pid = world.pid();
    let attacks = Attacks {
        mint: &mint,
        upstream: &upstream,
    };
    // Buffers, tables and threads that any use brings about, a flood's among them.
    attacks.ordinary().await;
    drop(idlers(world));
    attacks.wait_for_quiet();
    let before = resident(world);

    let canary = Canary::beside(world);
    attacks.framing();
    attacks.authorities();
    attacks.paths();
    attacks.identities();
    attacks.tokens();
    attacks.questions().await;
    attacks.answers().await;
    attacks.upgrades();
    attacks.protocol();
    drop(idlers(world));
    attacks.ordinary().await;
    canary.was_served();

    assert_eq!(world.pid(), pid);
    attacks.wait_for_quiet();
    println!("{before} KiB before, {} KiB after", resident(world));
    until("memory is given back", || {
        (resident(world) <= before + GROWTH).then_some(())
    });
    let said = world.output();
    assert!(!said.contains("panicked"), "{said}");
    for request in upstream.requests() {
        is_unambiguous(&request, &mint.person.id);
    }
}

struct Attacks<'a> {
    mint: &'a Mint,
    upstream: &'a Upstream,
}

impl Attacks<'_> {
    fn world(&self) -> &World {
        &self.mint.world
    }

    /// What people do all day, over both protocols.
    async fn ordinary(&self) {
        for client in [self.world().client(), self.world().client().h2()] {
            for _ in 0..20 {
                client.get("/public/canary").send().await.is(200);
                client
                    .get("/things")
                    .bearer(&self.mint.person.access)
                    .send()
                    .await
                    .is(200);
                client.get("/things").send().await.is(401);
            }
        }
        // One hash at the default price: its memory stays with its thread.
        let body = json!({"email": "nobody@example.com", "password": PASSWORD});
        let status = self
            .world()
            .client()
            .post("/auth/login")
            .json(&body)
            .send()
            .await
            .status;
        assert!(matches!(status, 401 | 429), "{status}");
    }

    /// Everything in flight has ended: a request that came after the floods is answered, and no connection is left open.
    fn wait_for_quiet(&self) {
        until("connections are closed", || {
            let open = self.world().metric("gateward_connections_open", &[]);
            (open <= 1.0).then_some(())
        });
    }

    /// Sends bytes on a connection of their own; every answer that comes must be one of those.
    #[track_caller]
    fn refused(&self, what: &str, bytes: &str, allowed: &[u16]) {
        let mut wire = self.world().tls();
        if wire.send(bytes.as_bytes()).is_err() {
            return;
        }
        let first = wire.answer("GET").map(|answer| answer.status);
        assert!(
            first.as_ref().map_or(true, |status| allowed.contains(status)),
            "{what}: {first:?}"
        );
    }

    /// The latest request that was not the canary's.
    fn latest(&self) -> Recorded {
        let requests = self.upstream.requests();
        let attack = |request: &&Recorded| !request.target().ends_with("/canary");
        requests.iter().rev().find(attack).expect("a request arrived").clone()
    }

    fn framing(&self) {
        let host = self.world().authority();
        for (what, lines, body) in smuggling::REFUSED {
            let head = format!("POST /public/x HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n\r\n");
            self.refused(what, &format!("{head}{body}{}", smuggling::HIDDEN), &[400, 501]);
        }
        for (what, body) in smuggling::NO_CHUNKS {
            let head = format!("POST /public/x HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n");
            self.refused(what, &format!("{head}{body}{}", smuggling::HIDDEN), &[400]);
        }
        for line in smuggling::VERSIONS {
            self.refused(line, &format!("{line}\r\nHost: {host}\r\n\r\n"), &[400, 505]);
        }
        for (what, head) in endless(&host) {
            // The site is open here, and a path of 30,000 letters is a path.
            self.refused(what, &head, &[200, 400, 401, 414, 431]);
        }
    }

    fn authorities(&self) {
        for (line, fields) in authority::unclear(&self.world().authority()) {
            self.refused(&line, &format!("{line} HTTP/1.1\r\n{fields}\r\n\r\n"), &[400, 421]);
        }
        for line in authority::HEARSAY {
            let host = self.world().authority();
            self.refused(
                line,
                &format!("GET /things HTTP/1.1\r\nHost: {host}\r\n{line}\r\n\r\n"),
                &[401],
            );
        }
    }

    fn paths(&self) {
        let host = self.world().authority();
        for path in guarded_prefix::SPELLINGS {
            self.refused(
                path,
                &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
                &[400, 401],
            );
            let status = frames::ask(self.world(), &frames::get(&host, path), b"");
            assert!(matches!(status, None | Some(400 | 401)), "{path}: {status:?}");
        }
    }

    fn identities(&self) {
        let host = self.world().authority();
        for forgery in identity::FORGERIES {
            for (path, credential) in [
                ("/things", format!("Authorization: Bearer {}", self.mint.person.access)),
                ("/public/x", "X-Plain: 1".to_owned()),
            ] {
                let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{forgery}\r\n{credential}\r\n\r\n");
                assert_eq!(self.world().tls().ask(&head).status, 200, "{path} {forgery}");
                let known = (path == "/things").then_some(self.mint.person.id.as_str());
                identity::is_honest(forgery, &self.latest(), known);
            }
        }
    }

    fn tokens(&self) {
        let host = self.world().authority();
        for (what, token) in self.mint.forgeries() {
            for line in [
                format!("Authorization: Bearer {token}"),
                format!("Cookie: __Host-gateward={token}"),
            ] {
                self.refused(
                    &what,
                    &format!("GET /things HTTP/1.1\r\nHost: {host}\r\n{line}\r\n\r\n"),
                    &[401],
                );
            }
        }
        let (access, refresh) = (&self.mint.person.access, &self.mint.person.refresh);
        for line in credentials::misplaced(access, access, refresh) {
            self.refused(
                &line,
                &format!("GET /things HTTP/1.1\r\nHost: {host}\r\n{line}\r\n\r\n"),
                &[401],
            );
        }
    }

    async fn questions(&self) {
        for path in ASKED_IN_JSON {
            for (what, body) in no_questions() {
                let call = self
                    .world()
                    .client()
                    .post(path)
                    .header("content-type", "application/json");
                let status = call.body(body).send().await.status;
                assert!(
                    matches!(status, 204 | 400 | 401 | 404 | 410 | 413 | 422 | 429),
                    "{path}, {what}: {status}"
                );
            }
        }
        // Guessing at one account, and at many, beyond every limit.
        for number in 0..60 {
            let email = if number % 2 == 0 {
                "ada@example.com".to_owned()
            } else {
                format!("nobody{number}@example.com")
            };
            let body = json!({"email": email, "password": "x".repeat(1000)});
            let answer = self.world().client().post("/auth/login").json(&body).send().await;
            assert!(matches!(answer.status, 401 | 429), "{}", answer.status);
        }
    }

    async fn answers(&self) {
        let client = self.world().client();
        for number in 0..poisoning::PROVOCATIONS.len() {
            // What comes of it is judged elsewhere; here it counts that the next answer is the right one.
            let _ = client.get(&format!("/public/provoke/{number}")).try_send().await;
            let path = format!("/public/behind/{number}");
            assert_eq!(client.get(&path).send().await.is(200).text(), path);
        }
    }

    fn upgrades(&self) {
        let host = self.world().authority();
        for lines in upgrade::TO_H2C {
            self.refused(
                lines,
                &format!("GET /open/socket HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n\r\n"),
                &[400],
            );
        }
        // The upstream does not agree to the upgrade, so what stands behind it is a request like others.
        let upgrade = format!(
            "GET /open/socket HTTP/1.1\r\nHost: {host}\r\n{}\r\n\r\n",
            upgrade::UPGRADE
        );
        let hidden = format!("GET /admin HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-User: root\r\n\r\n");
        let mut wire = self.world().tls();
        wire.send(format!("{upgrade}{hidden}").as_bytes())
            .expect("two requests");
        let statuses = [wire.answer("GET"), wire.answer("GET")].map(|answer| answer.expect("an answer").status);
        assert_eq!(statuses, [200, 401]);
    }

    fn protocol(&self) {
        let world = self.world();
        let host = world.authority();
        for (what, fields) in http2::malformed(&host) {
            let status = frames::ask(world, &fields, b"");
            assert!(
                matches!(status, None | Some(400 | 404 | 405 | 421 | 501)),
                "{what}: {status:?}"
            );
        }
        http2::floods(world);
        http2::bombs(world);
    }
}

/// Somebody else, who asks for a page again and again while the attacks go on.
struct Canary {
    over: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    thread: std::thread::JoinHandle<()>,
}

impl Canary {
    fn beside(world: &World) -> Self {
        let (over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stop, count) = (Arc::clone(&over), Arc::clone(&served));
        let (port, tls) = (world.https_port(), certificate::trusting(world.dir()));
        let head = format!("GET /public/canary HTTP/1.1\r\nHost: {}\r\n\r\n", world.authority());
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let began = Instant::now();
                let mut wire = Wire::connect_tls(port, "localhost", tls.clone(), &[b"http/1.1"]).expect("a connection");
                assert_eq!(wire.ask(&head).status, 200);
                assert!(began.elapsed() < CANARY, "the canary waited {:?}", began.elapsed());
                count.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { over, served, thread }
    }

    #[track_caller]
    fn was_served(self) {
        self.over.store(true, Ordering::SeqCst);
        self.thread.join().expect("the canary was served in time, always");
        let served = self.served.load(Ordering::SeqCst);
        assert!(served > 20, "the canary asked {served} times only");
    }
}

/// A head that no two readers understand differently, and that names nobody but a person who was verified.
#[track_caller]
fn is_unambiguous(request: &Recorded, ada: &str) {
    let head = &request.head;
    let lines: Vec<&str> = head.split("\r\n").collect();
    assert!(
        !lines.concat().contains(['\r', '\n', '\0']),
        "a line end of its own: {head:?}"
    );
    let words: Vec<&str> = request.line().split(' ').collect();
    assert!(words.len() == 3 && words[2] == "HTTP/1.1", "{head}");
    let path = words[1].split('?').next().unwrap_or_default();
    assert!(
        path.starts_with('/') && !path.contains("//") && !path.contains("..") && !path.contains('\\'),
        "{head}"
    );
    assert!(
        !request.target().contains("hidden") && !path.to_ascii_lowercase().contains("admin"),
        "{head}"
    );
    assert_eq!(request.values("host").len(), 1, "{head}");
    let framing = request.values("content-length").len() + request.values("transfer-encoding").len();
    assert!(framing <= 1, "{head}");
    for line in lines.iter().skip(1).filter(|line| !line.is_empty()) {
        let (name, _) = line.split_once(':').unwrap_or_else(|| panic!("not a field: {line:?}"));
        assert!(
            name.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.~!#$%&'*+^`|".contains(&b)),
            "{line:?}"
        );
    }
    let users = request.values("x-forwarded-user");
    assert!(users.is_empty() || users == [ada], "{head}");
}
