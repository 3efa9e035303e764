//! Redis as several servers: sentinels with users of their own, and a cluster of which one node is dead.

use std::time::{Duration, Instant};

use gateward::config::servers::{RedisForm, SentinelLogin, ServerPassword};
use gateward::model::session::Session;
use gateward::model::user::UserId;
use gateward::store::Stores;
use tempfile::TempDir;

use super::redis::{address, ample, open, server};
use super::{SECOND, START, fresh_id, session};
use crate::servers::redis::{Cluster, LentRedis, Redis, Sentinel};

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_that_ask_for_a_password_get_theirs_and_not_the_servers() {
    let lent = LentRedis::new();
    let beside = TempDir::new().unwrap();
    let users = "user watcher on >s3ntinel allchannels +@all\nuser default off";
    let sentinel = Sentinel::watching(lent.get().port, users);
    let by = |user: Option<&str>, password: &str| {
        let login = SentinelLogin {
            user: user.map(str::to_owned),
            password: Some(ServerPassword::new(password.to_owned())),
        };
        server(RedisForm::Sentinel {
            sentinels: vec![address(sentinel.port)],
            service: "main".to_owned(),
            database: 0,
            login,
        })
    };
    open(&by(Some("watcher"), "s3ntinel"), &beside, ample()).await.unwrap();
    for wrong in [by(Some("watcher"), "wr0ng"), by(None, "s3ntinel")] {
        let refused = open(&wrong, &beside, ample()).await.unwrap_err();
        assert!(!format!("{refused:?}").contains("wr0ng"), "{refused:?}");
    }
}

/// Sessions by whether the first node of a cluster holds them.
struct Spread {
    first: Vec<Session>,
    others: Vec<Session>,
}

impl Spread {
    async fn over(cluster: &Cluster, stores: &Stores) -> Self {
        let (mut first, mut others) = (Vec::new(), Vec::new());
        for _ in 0..60 {
            let session = session(UserId(fresh_id()), START);
            stores.sessions.open(&session).await.unwrap();
            let holds = holds(&cluster.nodes[0], &session);
            if holds { &mut first } else { &mut others }.push(session);
        }
        assert!(first.len() > 5 && others.len() > 5, "{} of 60", first.len());
        Self { first, others }
    }
}

fn holds(node: &Redis, session: &Session) -> bool {
    let key = format!("gw:s:{}", session.id.0.simple());
    // Of a key that lies elsewhere a node says where.
    redis::cmd("EXISTS").arg(key).query(&mut node.intruder()) == Ok(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_node_of_a_cluster_stops_only_the_calls_that_need_it_and_none_of_them_waits() {
    for (how, back) in [("STOP", "CONT"), ("KILL", "")] {
        let mut cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
        for node in &cluster.nodes {
            let mut configure = redis::cmd("CONFIG");
            configure.arg("SET").arg("cluster-require-full-coverage").arg("no");
            let _: () = configure.query(&mut node.intruder()).unwrap();
        }
        let beside = TempDir::new().unwrap();
        let nodes = cluster.nodes.iter().map(|node| address(node.port)).collect();
        let stores = open(&server(RedisForm::Cluster { nodes }), &beside, (SECOND / 4, SECOND))
            .await
            .unwrap();
        let spread = Spread::over(&cluster, &stores).await;

        cluster.nodes[0].signal(how);
        dead_ones_are_refused_and_others_answered(&stores, &spread, how).await;
        if back.is_empty() {
            cluster.nodes[0].down();
            cluster.nodes[0].up();
        } else {
            cluster.nodes[0].signal(back);
        }
        comes_back(&stores, &spread, how).await;
    }
}

/// For three seconds, in which each call to the dead node could take one.
async fn dead_ones_are_refused_and_others_answered(stores: &Stores, spread: &Spread, how: &str) {
    let began = Instant::now();
    let (mut asked, mut failed) = (0, 0);
    while began.elapsed() < 3 * SECOND {
        for (dead, live) in spread.first.iter().zip(spread.others.iter().cycle()) {
            asked += 1;
            failed += usize::from(stores.sessions.find(dead.id).await.is_err());
            let at = Instant::now();
            let found = stores.sessions.find(live.id).await;
            assert!(found.is_ok(), "{how}: shut out: {found:?}");
            assert!(
                at.elapsed() < SECOND / 2,
                "{how}: a healthy node took {:?}",
                at.elapsed()
            );
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(failed, asked, "{how}");
    assert!(
        asked > 5 * spread.first.len(),
        "{how}: only {asked} calls in three seconds: they waited"
    );
}

async fn comes_back(stores: &Stores, spread: &Spread, how: &str) {
    let began = Instant::now();
    for session in spread.first.iter().chain(&spread.others) {
        while stores.sessions.find(session.id).await.is_err() {
            assert!(began.elapsed() < 10 * SECOND, "{how}: it does not come back");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
