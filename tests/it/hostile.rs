//! The catalogue of attacks: everything that reaches the gateway is written by an attacker. One family a file; raw bytes where a client library would tidy
//! up, and an upstream that keeps every byte. What `server.rs`, `header_boundary.rs`, `tokens.rs` and `upstream.rs` cover is not said again here.

mod authority;
mod credentials;
pub mod exhaustion;
mod frames;
mod guarded_prefix;
mod http2;
mod http2_errors;
mod identity;
mod poisoning;
mod sign_in;
mod sites;
mod smuggling;
mod streams;
mod unbounded;
mod upgrade;
mod vectors;
mod whole_run;

use std::time::{Duration, Instant};

use crate::world::{Upstream, World};

/// What a gateway that is not being attacked needs at most, on a busy machine.
const CANARY: Duration = Duration::from_secs(2);

/// The status of one request's answer, on a connection of its own.
#[track_caller]
fn status(world: &World, request: &str) -> u16 {
    world.tls().ask(request).status
}

/// Sends bytes on a connection of their own and returns the statuses of all answers, until the gateway closes or has nothing more to say for a while.
#[track_caller]
fn statuses(world: &World, bytes: &[u8]) -> Vec<u16> {
    let mut wire = world.tls();
    wire.send(bytes).expect("bytes can be sent");
    let mut statuses = Vec::new();
    while let Ok(answer) = wire.answer("GET") {
        statuses.push(answer.status);
        if wire.unread().is_empty() && (0..3).all(|_| wire.is_open()) {
            break;
        }
    }
    statuses
}

/// Somebody else's request, while an attack goes on.
#[track_caller]
fn canary(world: &World) {
    let began = Instant::now();
    let head = format!("GET /public/canary HTTP/1.1\r\nHost: {}\r\n\r\n", world.authority());
    let answer = world.tls().ask(&head);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(began.elapsed() < CANARY, "the canary waited {:?}", began.elapsed());
}

/// The targets that reached an upstream, canaries left out.
fn arrived(upstream: &Upstream) -> Vec<String> {
    let requests = upstream.requests();
    let targets = requests.iter().map(|request| request.target().to_owned());
    targets.filter(|target| !target.ends_with("/canary")).collect()
}
