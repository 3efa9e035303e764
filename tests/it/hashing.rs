//! A flood of sign-ins: proxied requests do not notice, the surplus is turned away, memory stays within the pool's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::world::person::login;
use crate::world::{Upstream, World};

const CLIENTS: usize = 200;
const MEBIBYTE: u64 = 1024 * 1024;

/// A field of `/proc/PID/status` in bytes.
#[track_caller]
fn memory(world: &World, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.pid())).expect("the process's status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .expect("the field");
    line.trim()
        .trim_end_matches(" kB")
        .parse::<u64>()
        .expect("a number of KiB")
        * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_clients_signing_in_without_pause_leave_a_proxied_route_alone() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config
            .set("auth.password.argon2.memory", "19MiB")
            .set("auth.password.argon2.iterations", 2);
        config.set("auth.password.threads", 1).set("auth.password.queue", 16);
    });
    let ada = world.person("ada").await;
    let baseline = memory(&world, "VmRSS");

    let over = Arc::new(AtomicBool::new(false));
    let turned_away = Arc::new(AtomicUsize::new(0));
    let flood: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (client, email) = (world.client(), ada.email.clone());
            let (over, turned_away) = (Arc::clone(&over), Arc::clone(&turned_away));
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    let answer = login(&client, &email, &format!("the wrong password {number}"), true).await;
                    if answer.status == 503 {
                        let answer = answer.problem(503, "overloaded");
                        assert!(
                            answer
                                .header("retry-after")
                                .parse::<u64>()
                                .is_ok_and(|seconds| seconds > 0)
                        );
                        turned_away.fetch_add(1, Ordering::SeqCst);
                    } else {
                        answer.problem(401, "invalid_credentials");
                    }
                }
            })
        })
        .collect();

    let began = std::time::Instant::now();
    let mut proxied = 0;
    while began.elapsed() < Duration::from_secs(4) || turned_away.load(Ordering::SeqCst) == 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "nobody is turned away");
        ada.get("/things").await.is(200);
        world.client().get("/public").send().await.is(200);
        proxied += 2;
    }
    over.store(true, Ordering::SeqCst);
    for client in flood {
        client.await.expect("every client got an answer each time");
    }
    assert!(proxied > 20, "only {proxied} proxied requests in {:?}", began.elapsed());

    // One thread's block, and room for two hundred TLS connections; without a bound it were 200 × 19 MiB.
    let peak = memory(&world, "VmHWM");
    let grown = peak.saturating_sub(baseline);
    assert!(
        grown < 19 * MEBIBYTE + 64 * MEBIBYTE,
        "grew by {} MiB",
        grown / MEBIBYTE
    );
    ada.again().await.get("/things").await.is(200);
}
