//! Gateways come and go, killed or in good order; sessions and requests do not notice.

mod balancer;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gateward::model::session::SessionId;
use serde_json::Value;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::shared::SharedStores;
use crate::world::forge::part;
use crate::world::person::refresh;
use crate::world::{Answer, Client, PATIENCE, Person, Upstream, World, until};
use balancer::Balancer;

/// Several threads, since a test that waits for a process keeps one busy.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_session_is_lost_or_split_when_a_gateway_is_killed_among_a_thousand_rotations() {
    const SESSIONS: usize = 50;
    const ROTATIONS: u32 = 20;
    let upstream = Upstream::friendly();
    let stores = SharedStores::new().await;
    let gateway = || {
        let mut world = stores.stopped(&upstream, |config| {
            // However busy this machine is, a repeat is a repeat.
            config.set("tokens.reuse_window", "5m");
        });
        world.up();
        world
    };
    let (mut a, b) = (gateway(), gateway());
    let ada = a.person("ada").await;
    let mut sessions = vec![ada.clone()];
    while sessions.len() < SESSIONS {
        sessions.push(ada.again().await);
    }
    let (rotated, unanswered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut walkers = JoinSet::new();
    for session in sessions {
        let walker = Walker {
            clients: [a.client(), b.client()],
            rotated: Arc::clone(&rotated),
            unanswered: Arc::clone(&unanswered),
        };
        walkers.spawn(async move { walker.walk(session, ROTATIONS).await });
    }
    tokio::task::block_in_place(|| {
        until("a third is done", || {
            (rotated.load(Ordering::SeqCst) > SESSIONS * 20 / 3).then_some(())
        });
        a.kill();
    });

    let ends = walkers.join_all().await;

    assert!(unanswered.load(Ordering::SeqCst) > 0, "it was not killed in the middle");
    a.up();
    let settings = gateward::config::load(&b.config_file()).unwrap();
    let kept = gateward::store::Stores::open(&settings.store, &Arc::default())
        .await
        .unwrap();
    for (id, last) in ends {
        let session = kept.sessions.find(id).await.unwrap().expect("a session is lost");
        assert_eq!(session.current.0, ROTATIONS + 1, "a token had two successors");
        refresh(&a.client(), &last).await.is(200);
    }
}

/// Somebody who refreshes at either gateway, and asks again when there is no answer.
struct Walker {
    clients: [Client; 2],
    rotated: Arc<AtomicUsize>,
    unanswered: Arc<AtomicUsize>,
}

impl Walker {
    /// Which session it was, and its last token.
    async fn walk(self, person: Person, rotations: u32) -> (SessionId, String) {
        let id = part(&person.access, 1)["sid"]
            .as_str()
            .unwrap()
            .parse::<Uuid>()
            .unwrap();
        let mut token = person.refresh;
        for round in 0..rotations {
            let mut successors = BTreeSet::new();
            let began = Instant::now();
            while successors.is_empty() {
                assert!(began.elapsed() < 3 * PATIENCE, "nobody answers");
                // At both, so that two successors of one token would show.
                for at in [round, round + 1] {
                    let client = &self.clients[at as usize % 2];
                    successors.extend(self.successor(client, &token).await);
                }
            }
            assert_eq!(successors.len(), 1, "not one successor");
            token = successors.pop_first().unwrap();
            self.rotated.fetch_add(1, Ordering::SeqCst);
        }
        (SessionId(id), token)
    }

    async fn successor(&self, client: &Client, token: &str) -> Option<String> {
        let body = serde_json::json!({"refresh_token": token});
        match client.post("/auth/refresh").json(&body).try_send().await {
            // A store that is too busy for now: nothing was spent.
            Ok(answer) if answer.status == 503 => None,
            Ok(answer) => Some(answer.is(200).member("refresh_token")),
            Err(_) => {
                self.unanswered.fetch_add(1, Ordering::SeqCst);
                None
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rolling_restart_with_a_key_rotation_in_the_middle_fails_no_request() {
    // Some requests are still under way when their gateway is told to end.
    let upstream = Upstream::answering(|request| {
        if request.target() == "/slow" {
            std::thread::sleep(Duration::from_millis(700));
        }
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned()
    });
    let stores = SharedStores::new().await;
    let settings = |config: &mut crate::world::Config| {
        config.set("server.shutdown_delay", "500ms");
        config.set("tokens.keys.publish_before", "2s");
    };
    let mut a = stores.stopped(&upstream, settings);
    let mut b = stores.stopped(&upstream, settings);
    a.up();
    // Behind one name there is one certificate.
    for file in ["self-signed.crt", "self-signed.key"] {
        std::fs::copy(a.dir().join("data").join(file), b.dir().join("data").join(file)).unwrap();
    }
    b.up();
    let balancer = Balancer::before(&[&a, &b]).await;
    let front = a.client().through(balancer.port());
    let ada = a.person("ada").await;
    let load = Load::default();
    let mut clients = JoinSet::new();
    for n in 0..8 {
        let (person, load) = (ada.again().await, load.clone());
        let front = if n % 2 == 0 { front.clone() } else { front.clone().h2() };
        let path = if n < 2 { "/slow" } else { "/things" };
        clients.spawn(async move { load.run(&front, person, path).await });
    }
    let goes_on = |what| {
        let since = load.answered();
        tokio::task::block_in_place(|| until(what, || (load.answered() > since + 100).then_some(())));
    };
    goes_on("before");
    tokio::task::block_in_place(|| restart(&mut a));
    goes_on("with the first one back");
    let key = a.run(&["keys", "rotate"]).done().out.trim().to_owned();
    tokio::task::block_in_place(|| restart(&mut b));
    goes_on("with both back");
    tokio::task::block_in_place(|| {
        until("the new key signs", || load.kids().contains(&key).then_some(()));
    });
    goes_on("under the new key");
    load.over.store(true, Ordering::SeqCst);
    clients.join_all().await;

    assert_eq!(load.failures(), Vec::<String>::new());
    assert_eq!(load.kids().len(), 2, "tokens of both keys were used: {:?}", load.kids());
    assert!(balancer.each_served(), "one of the gateways had nothing to do");
}

/// In good order.
fn restart(world: &mut World) {
    world.signal("TERM");
    assert!(world.wait_for_end(), "it did not end well");
    world.up();
}

/// What eight people do all the while, and what came of it.
#[derive(Clone, Default)]
struct Load {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    failures: Arc<std::sync::Mutex<Vec<String>>>,
    kids: Arc<std::sync::Mutex<BTreeSet<String>>>,
}

impl Load {
    /// Calls the upstream with the newest token, and renews it every so often.
    async fn run(self, front: &Client, mut person: Person, path: &str) {
        let mut count = 0;
        while !self.over.load(Ordering::SeqCst) {
            count += 1;
            if count % 10 == 0 {
                let body = serde_json::json!({"refresh_token": person.refresh});
                let answer = front.post("/auth/refresh").json(&body).try_send().await;
                if let Some(answer) = self.judge("refresh", answer) {
                    person.access = answer.member("access_token");
                    person.refresh = answer.member("refresh_token");
                    let header: Value = part(&person.access, 0);
                    let kid = header["kid"].as_str().unwrap().to_owned();
                    self.kids.lock().unwrap().insert(kid);
                }
            }
            let answer = front.get(path).bearer(&person.access).try_send().await;
            self.judge(path, answer);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn judge(&self, what: &str, answer: Result<Answer, String>) -> Option<Answer> {
        match answer {
            Ok(answer) if answer.status == 200 => {
                self.answered.fetch_add(1, Ordering::SeqCst);
                Some(answer)
            }
            Ok(answer) => {
                let failure = format!("{what}: {} {}", answer.status, answer.text());
                self.failures.lock().unwrap().push(failure);
                None
            }
            Err(error) => {
                self.failures.lock().unwrap().push(format!("{what}: {error}"));
                None
            }
        }
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    fn failures(&self) -> Vec<String> {
        self.failures.lock().unwrap().clone()
    }

    fn kids(&self) -> BTreeSet<String> {
        self.kids.lock().unwrap().clone()
    }
}
