//! How long does a refresh take on each store, one after the other, without HTTP? Servers are started as the tests start theirs.
//!
//! `signature` is the part that no store can change: it bounds the rest from below.

use divan::Bencher;

use crate::installation::{Installation, caller};
use crate::servers::postgres::{PASSWORD, Postgres, USER};
use crate::servers::redis::Redis;

const EMBEDDED: &str = "sqlite://gateward.db";

#[divan::bench(sample_count = 50, sample_size = 10)]
fn sqlite(bencher: Bencher<'_, '_>) {
    rotate(bencher, &Installation::new());
}

#[divan::bench(sample_count = 50, sample_size = 10)]
fn redis(bencher: Bencher<'_, '_>) {
    let redis = Redis::start();
    let sessions = format!("redis://127.0.0.1:{}/0", redis.port);
    rotate(bencher, &Installation::with("RS256", EMBEDDED, &sessions, ""));
}

#[divan::bench(sample_count = 50, sample_size = 10)]
fn postgres_and_redis(bencher: Bencher<'_, '_>) {
    let (postgres, redis) = (Postgres::start(), Redis::start());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(Postgres::new_database(postgres.port));
    let accounts = format!("postgres://{USER}@127.0.0.1:{}/{database}", postgres.port);
    let sessions = format!("redis://127.0.0.1:{}/0", redis.port);
    rotate(bencher, &Installation::with("RS256", &accounts, &sessions, PASSWORD));
}

#[divan::bench(sample_count = 50, sample_size = 10)]
fn signature(bencher: Bencher<'_, '_>) {
    let house = Installation::new();
    let signed_in = house.signed_in();
    let tokens = &house.rooms.tokens;
    bencher.bench_local(|| tokens.issue(&signed_in.user, &signed_in.session).unwrap());
}

fn rotate(bencher: Bencher<'_, '_>, house: &Installation) {
    let (mut token, caller) = (house.signed_in().refresh, caller());
    bencher.bench_local(|| {
        let refreshed = house.auth.refresh(&caller, token.expose());
        token = house.runtime.block_on(refreshed).unwrap().refresh;
    });
}
