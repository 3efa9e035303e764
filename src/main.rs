//! The program: allocator, arguments, exit code.
//!
//! jemalloc, because with it an idle connection costs two thirds of what the system's allocator makes it cost, and memory that a burst has freed goes back to
//! the system by itself (its background threads), within a second (`.cargo/config.toml`); what others gain in speed was not measurable here.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    gateward::cli::run()
}
