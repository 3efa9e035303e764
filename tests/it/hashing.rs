//! A flood of sign-ins: proxied requests do not notice, the surplus is turned away, memory stays within the pool's own.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::world::wire::RawAnswer;
use crate::world::{PATIENCE, Upstream, Wire, World};

const CLIENTS: usize = 200;
const THREADS: u32 = 1;
const MEBIBYTE: u64 = 1024 * 1024;
/// What one hash works in.
const BLOCK: u64 = 19 * MEBIBYTE;
/// What a flood may cost beside the blocks: requests and passwords that wait, and what an allocator rounds up.
const SLACK: u64 = 8 * MEBIBYTE;
/// How long a flood lasts at least.
const LENGTH: Duration = Duration::from_secs(4);

/// The most memory that the process had since `forget_peak`, in bytes.
#[track_caller]
fn peak(world: &World) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.pid())).expect("the process's status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.expect("the field").trim().trim_end_matches(" kB");
    kibibytes.parse::<u64>().expect("a number of KiB") * 1024
}

#[track_caller]
fn forget_peak(world: &World) {
    std::fs::write(format!("/proc/{}/clear_refs", world.pid()), "5").expect("the peak can be forgotten");
}

fn post(world: &World, path: &str, body: &Value) -> String {
    let (host, body) = (world.authority(), body.to_string());
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// Sets a flag when it goes.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Two hundred people ask the same over and over, each on a connection that stays open, until `enough` is over.
fn flood(
    wires: &mut [Wire],
    ask: impl Fn(usize) -> String + Sync,
    judge: impl Fn(RawAnswer) + Sync,
    enough: impl FnOnce(),
) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (number, wire) in wires.iter_mut().enumerate() {
            let (over, ask, judge) = (&over, &ask, &judge);
            scope.spawn(move || {
                let request = ask(number);
                while !over.load(Ordering::SeqCst) {
                    judge(wire.ask(&request));
                }
            });
        }
        // Also when `enough` panics: the scope waits for its threads.
        let _end = End(&over);
        enough();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_clients_signing_in_without_pause_leave_a_proxied_route_alone() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.set("auth.password.argon2.memory", "19MiB");
        config.set("auth.password.argon2.iterations", 2);
        config.set("auth.password.threads", i64::from(THREADS));
        config.set("auth.password.queue", 16);
    });
    let mut wires: Vec<Wire> = (0..CLIENTS).map(|_| world.tls()).collect();

    // What as many busy connections cost by themselves: the same flood at a door behind which nothing is hashed.
    let refresh = post(&world, "/auth/refresh", &json!({"refresh_token": "no token of ours"}));
    let refused = |answer: RawAnswer| assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_token"));
    flood(&mut wires, |_| refresh.clone(), refused, || std::thread::sleep(LENGTH));
    let connections = peak(&world);

    let ada = world.person("ada").await;
    let guess = |number| {
        let password = format!("the wrong password {number}");
        world.secret(&password);
        post(
            &world,
            "/auth/login",
            &json!({"email": ada.email, "password": password}),
        )
    };
    let turned_away = AtomicUsize::new(0);
    let judge = |answer: RawAnswer| {
        if answer.status != 503 {
            assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_credentials"));
            return;
        }
        assert!(
            answer
                .value("retry-after")
                .parse::<u64>()
                .is_ok_and(|seconds| seconds > 0)
        );
        assert_eq!(answer.code(), "overloaded");
        turned_away.fetch_add(1, Ordering::SeqCst);
    };
    let (host, access) = (world.authority(), &ada.access);
    let private = format!("GET /things HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {access}\r\n\r\n");
    let public = format!("GET /public HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let mut proxied = 0;
    let began = Instant::now();
    forget_peak(&world);
    flood(&mut wires, guess, judge, || {
        while began.elapsed() < LENGTH || turned_away.load(Ordering::SeqCst) == 0 {
            assert!(began.elapsed() < PATIENCE, "nobody is turned away");
            for request in [&private, &public] {
                assert_eq!(world.tls().ask(request).status, 200);
                proxied += 1;
            }
        }
    });
    assert!(proxied > 20, "only {proxied} proxied requests in {:?}", began.elapsed());

    // Without a bound it were a block for each client.
    let grown = peak(&world).saturating_sub(connections);
    assert!(
        grown <= u64::from(THREADS) * BLOCK + SLACK,
        "grew by {} MiB over the {} MiB of the connections alone",
        grown / MEBIBYTE,
        connections / MEBIBYTE
    );
    ada.again().await.get("/things").await.is(200);
}
