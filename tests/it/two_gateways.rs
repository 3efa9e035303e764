//! Two gateways on one PostgreSQL and one Redis are one system: what one does, the other knows.

use std::time::{Duration, Instant};

use crate::shared::SharedStores;
use crate::world::person::refresh;
use crate::world::{Client, Person, Upstream, World};

/// What is done at one reaches the other within a second; the rest is what a busy machine may add.
const SOON: Duration = Duration::from_secs(1 + 4);

struct Pair {
    a: World,
    b: World,
    _stores: SharedStores,
}

impl Pair {
    async fn start(upstream: &Upstream) -> Self {
        let stores = SharedStores::new().await;
        let (a, b) = (stores.gateway(upstream), stores.gateway(upstream));
        Self { a, b, _stores: stores }
    }
}

async fn things(client: &Client, token: &str) -> u16 {
    client.get("/things").bearer(token).send().await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_made_at_one_is_used_and_renewed_at_the_other() {
    let upstream = Upstream::friendly();
    let pair = Pair::start(&upstream).await;
    let ada = pair.a.person("ada").await;
    let at_b = pair.b.client();

    assert_eq!(things(&at_b, &ada.access).await, 200);
    let renewed = refresh(&at_b, &ada.refresh).await.is(200);
    let again = ada.refresh(&renewed.member("refresh_token")).await.is(200);
    assert_eq!(things(&at_b, &again.member("access_token")).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn racers_split_over_both_get_one_successor_and_an_old_token_ends_the_family_at_both() {
    let upstream = Upstream::friendly();
    let pair = Pair::start(&upstream).await;
    let ada = pair.a.person("ada").await;
    let clients = [ada.client.clone(), pair.b.client()];

    let racers: Vec<_> = (0..200)
        .map(|n| {
            let (client, token) = (clients[n % 2].clone(), ada.refresh.clone());
            tokio::spawn(async move { refresh(&client, &token).await })
        })
        .collect();
    let mut successors = Vec::new();
    for racer in racers {
        successors.push(racer.await.unwrap().is(200).member("refresh_token"));
    }
    assert!(
        successors.iter().all(|token| *token == successors[0]),
        "the successors differ"
    );

    let next = refresh(&clients[1], &successors[0]).await.is(200);
    refresh(&clients[1], &ada.refresh).await.problem(401, "invalid_token");
    for client in &clients {
        refresh(client, &next.member("refresh_token"))
            .await
            .problem(401, "invalid_token");
    }
    is_refused_soon(&clients, &next.member("access_token")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_out_at_one_is_refused_at_the_other_within_a_second() {
    let upstream = Upstream::friendly();
    let pair = Pair::start(&upstream).await;
    let first = pair.a.person("ada").await;
    let at_b = pair.b.client();
    let mut lags = Vec::new();
    for _ in 0..15 {
        let Person { access, client, .. } = first.again().await;
        assert_eq!(things(&at_b, &access).await, 200);
        client.post("/auth/logout").bearer(&access).send().await.is(204);
        lags.push(is_refused_soon(std::slice::from_ref(&at_b), &access).await);
    }
    lags.sort_unstable();
    println!(
        "refused elsewhere after {:?} (median), {:?} (worst)",
        lags[lags.len() / 2],
        lags[lags.len() - 1]
    );
}

async fn is_refused_soon(clients: &[Client], token: &str) -> Duration {
    let began = Instant::now();
    for client in clients {
        while things(client, token).await != 401 {
            assert!(began.elapsed() < SOON, "still let through");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    began.elapsed()
}
