//! Micro-benchmarks of what stands on a request's way: one question a file. `cargo bench --locked` answers them all, `cargo bench -- routes` some.
//!
//! divan rather than criterion: it brings four small crates instead of thirty, takes its arguments as ours does, and counts allocations, which unlike
//! times are the same on every run. Times on a shared machine drift by a tenth; where a regression is smaller than that, count instructions with
//! `python3 benches/peers/run.py instructions`, which runs this same program under callgrind. All of it is one program, so that it is linked once.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark fails by panicking"
)]

mod configuration;
mod header_boundary;
mod installation;
mod refresh;
mod revocations;
mod routes;
#[path = "../tests/it/servers.rs"]
#[expect(dead_code, reason = "the tests' servers can do more than is needed here")]
mod servers;
mod verification;
mod yardstick;

use divan::AllocProfiler;
use tikv_jemallocator::Jemalloc;

/// The program's own allocator, counted.
#[global_allocator]
static ALLOCATOR: AllocProfiler<Jemalloc> = AllocProfiler::new(Jemalloc);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.split_first() {
        Some((first, rest)) if first == "yardstick" => yardstick::run(rest),
        _ => divan::main(),
    }
}
