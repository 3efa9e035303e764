//! A flood of sign-ins: proxied requests do not notice, the surplus is turned away, memory stays within the pool's own.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::world::wire::RawAnswer;
use crate::world::{PATIENCE, Upstream, Wire, World};

const CLIENTS: usize = 200;
const MEBIBYTE: u64 = 1024 * 1024;
/// What one hash works in by default, and how often it goes over it.
const USUAL: Block = Block {
    mebibytes: 19,
    passes: 2,
};
/// As much work in the least memory that there may be.
const SMALL: Block = Block {
    mebibytes: 1,
    passes: 38,
};
/// By how much the peaks of two equal floods differ: what the allocator has freed and not given back, how far the store's caches have filled.
const NOISE: u64 = 2 * MEBIBYTE;
/// How long a flood lasts at least.
const LENGTH: Duration = Duration::from_secs(4);

/// What a hash costs.
#[derive(Clone, Copy)]
struct Block {
    mebibytes: u64,
    passes: u32,
}

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

/// What two hundred clients who sign in without pause make of a gateway's memory at its worst; a proxied route is used meanwhile.
async fn flooded(threads: u32, block: Block) -> u64 {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.set("auth.password.argon2.memory", format!("{}MiB", block.mebibytes));
        config.set("auth.password.argon2.iterations", i64::from(block.passes));
        config.set("auth.password.threads", i64::from(threads));
        config.set("auth.password.queue", 16);
    });
    let mut wires: Vec<Wire> = (0..CLIENTS).map(|_| world.tls()).collect();
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
    let peak = peak(&world);
    ada.again().await.get("/things").await.is(200);
    peak
}

/// Two floods that differ in nothing but the memory that a hash works in differ by that memory, once for each thread. Without a bound it were a block
/// for each client.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_sign_ins_takes_a_block_of_memory_for_each_thread_and_leaves_a_proxied_route_alone() {
    for threads in [1, 2] {
        let usual = flooded(threads, USUAL).await;
        let small = flooded(threads, SMALL).await;
        let blocks = u64::from(threads) * (USUAL.mebibytes - SMALL.mebibytes) * MEBIBYTE;
        let grown = usual.saturating_sub(small);
        println!(
            "{threads} threads: {} KiB against {} KiB, {} KiB beside the blocks",
            usual / 1024,
            small / 1024,
            grown.cast_signed().wrapping_sub(blocks.cast_signed()) / 1024
        );
        assert!(
            grown.abs_diff(blocks) <= NOISE,
            "{threads} threads: grew by {} KiB where the blocks are {} KiB more",
            grown / 1024,
            blocks / 1024
        );
    }
}

/// By how much each of the gateway's threads steps back behind others, by its name.
fn niceness(world: &World) -> Vec<(String, i32)> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", world.pid())).expect("the process lives");
    let stat = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("stat")).ok();
    let stats = tasks.filter_map(|task| stat(task.expect("a thread")));
    let told = stats.map(|stat| {
        let (name, rest) = stat
            .split_once('(')
            .expect("a name")
            .1
            .rsplit_once(") ")
            .expect("fields");
        // proc(5): the nineteenth field, and the third is the first one here.
        let nice = rest
            .split(' ')
            .nth(16)
            .expect("its niceness")
            .parse()
            .expect("a number");
        (name.to_owned(), nice)
    });
    told.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_before_what_the_gateway_answers_itself_and_that_before_passwords() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let _ada = world.person("ada").await;
    let threads = niceness(&world);
    let of = |name: &str| {
        let found: Vec<i32> = threads
            .iter()
            .filter(|(n, _)| n.starts_with(name))
            .map(|t| t.1)
            .collect();
        assert!(!found.is_empty(), "no {name} among {threads:?}");
        found
    };
    let least = |name| of(name).into_iter().min().expect("one");
    let most = |name| of(name).into_iter().max().expect("one");
    assert!(most("gateward-data") < least("gateward-contro"), "{threads:?}");
    assert!(most("gateward-contro") < least("hash-"), "{threads:?}");
    assert!(most("gateward-data") < least("sqlx-sqlite"), "{threads:?}");
}

/// Ticks of CPU time that the process has used.
fn ticks(world: &World) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", world.pid())).expect("the process lives");
    let (_, rest) = stat.rsplit_once(") ").expect("fields");
    // proc(5): the fourteenth and fifteenth fields, and the third is the first one here.
    rest.split(' ')
        .skip(11)
        .take(2)
        .map(|n| n.parse::<u64>().expect("a number"))
        .sum()
}

/// Whoever sends a password and leaves costs nothing more, nor a place in the queue.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_whose_client_has_left_is_not_hashed() {
    const SENT: usize = 24;
    const WAITING: f64 = 20.0;
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        // About a tenth of a second each.
        config.set("auth.password.argon2.memory", "19MiB");
        config.set("auth.password.argon2.iterations", 12);
        config.set("auth.password.threads", 1);
        config.set("auth.password.queue", 64);
    });
    let ada = world.person("ada").await;
    let guess = post(
        &world,
        "/auth/login",
        &json!({"email": ada.email, "password": "the wrong password 1"}),
    );
    world.secret("the wrong password 1");
    let before = ticks(&world);
    assert_eq!(world.tls().ask(&guess).status, 401);
    let one = (ticks(&world) - before).max(1);

    let mut wires: Vec<Wire> = (0..SENT).map(|_| world.tls()).collect();
    for wire in &mut wires {
        wire.send(guess.as_bytes()).expect("it is sent");
    }
    let began = Instant::now();
    while world.metric("gateward_hash_queue_depth", &[]) < WAITING {
        assert!(began.elapsed() < PATIENCE, "they do not arrive");
    }
    drop(wires);
    let before = ticks(&world);
    while world.metric("gateward_hash_queue_depth", &[]) > 0.0 {
        assert!(began.elapsed() < PATIENCE, "the queue does not empty");
        // Asking costs as well.
        std::thread::sleep(Duration::from_millis(20));
    }
    let spent = ticks(&world) - before;
    // All that waited would be 20.
    assert!(
        spent < 12 * one,
        "{spent} ticks for {SENT} clients who had left, where one hash takes {one}"
    );
}
