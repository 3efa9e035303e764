//! How long does it take to read and check a configuration: the reference file, and one with 10,000 routes? A reload pays this on the control plane.

use std::path::Path;

use divan::Bencher;
use gateward::config;

use crate::installation::with_routes;

#[divan::bench]
fn reference(bencher: Bencher<'_, '_>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("gateway.toml");
    bencher.bench_local(|| config::load(&file).unwrap());
}

#[divan::bench(args = [10, 10_000], sample_count = 10, sample_size = 1)]
fn routes(bencher: Bencher<'_, '_>, routes: usize) {
    let (_dir, file) = with_routes(routes);
    bencher.bench_local(|| config::load(&file).unwrap());
}
