//! What does it cost to find a request's route, among 10 and among 10,000, and to find that there is none?

use divan::Bencher;
use gateward::config::HostPattern;
use gateward::proxy::routes::{Miss, Table};
use http::Method;

const SIZES: [usize; 2] = [10, 10_000];

/// Half of the routes are of any host, half of hosts of their own.
fn table(routes: usize) -> Table<usize> {
    let mut table = Table::default();
    for number in 0..routes / 2 {
        table.add(&HostPattern::Any, &format!("/app{number}"), &[], number);
        let host = HostPattern::Exact(format!("app{number}.example.com"));
        table.add(&host, "/api", &[], number);
    }
    table
}

#[divan::bench(args = SIZES)]
fn by_path(bencher: Bencher<'_, '_>, routes: usize) {
    let table = table(routes);
    let path = format!("/app{}/orders/17", routes / 4);
    bencher.bench_local(|| find(&table, "localhost", &path).unwrap());
}

#[divan::bench(args = SIZES)]
fn by_host(bencher: Bencher<'_, '_>, routes: usize) {
    let table = table(routes);
    let host = format!("app{}.example.com", routes / 4);
    bencher.bench_local(|| find(&table, &host, "/api/orders").unwrap());
}

#[divan::bench(args = SIZES)]
fn nowhere(bencher: Bencher<'_, '_>, routes: usize) {
    let table = table(routes);
    bencher.bench_local(|| find(&table, "localhost", "/nothing/here").unwrap_err());
}

#[inline(never)]
fn find(table: &Table<usize>, host: &str, path: &str) -> Result<usize, Miss> {
    table.find(host, &Method::GET, path).copied()
}
