//! A user with very many sessions is nobody else's trouble.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt, stream};
use gateward::model::session::SessionId;
use gateward::model::user::UserId;
use redis::{FromRedisValue, Value, cmd};
use tempfile::TempDir;

use super::{START, ample, fresh_id, open, session, single};
use crate::servers::redis::Redis;

const CROWD: usize = 10_000;
/// The most sessions that one command may concern, beside the one that reads the index.
const AT_ONCE: usize = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_sessions_of_a_user_end_without_holding_others_up() {
    let (server, beside) = (Redis::start(), TempDir::new().unwrap());
    let store = open(&single(server.port), &beside, ample()).await.unwrap().sessions;
    let user = UserId(fresh_id());
    let opened: BTreeSet<SessionId> = stream::iter(0..CROWD)
        .map(|_| async {
            let session = session(user, START);
            store.open(&session).await.unwrap();
            session.id
        })
        .buffer_unordered(100)
        .collect()
        .await;
    let other = session(UserId(fresh_id()), START);
    store.open(&other).await.unwrap();
    let mut intruder = server.intruder();
    for (key, value) in [("slowlog-max-len", 100_000), ("slowlog-log-slower-than", 0)] {
        let _: () = cmd("CONFIG")
            .arg("SET")
            .arg(key)
            .arg(value)
            .query(&mut intruder)
            .unwrap();
    }
    let over = Arc::new(AtomicBool::new(false));
    let bystander = tokio::spawn({
        let (store, over) = (store.clone(), Arc::clone(&over));
        async move {
            let mut answers = 0;
            while !over.load(Ordering::SeqCst) {
                assert!(store.find(other.id).await.unwrap().is_some());
                answers += 1;
            }
            answers
        }
    });

    let ended = store.end_all(user, None).await.unwrap();

    over.store(true, Ordering::SeqCst);
    let answers: u32 = bystander.await.unwrap();
    assert!(answers >= 20, "somebody else had {answers} answers meanwhile");
    assert_eq!(ended.into_iter().collect::<BTreeSet<_>>(), opened);
    assert!(store.of_user(user, START).await.unwrap().is_empty());
    let log: Vec<Vec<Value>> = cmd("SLOWLOG").arg("GET").arg(-1).query(&mut intruder).unwrap();
    assert!(log.len() > CROWD / AT_ONCE, "the server did not write down what it did");
    for entry in log {
        let command = Vec::<Vec<u8>>::from_redis_value_ref(&entry[3]).unwrap();
        let command: Vec<_> = command
            .iter()
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        assert!(concerns(&command) <= AT_ONCE, "{command:?}");
    }
}

/// How many arguments a command had behind its key; the log writes of many: `... (9969 more arguments)`.
fn concerns(command: &[String]) -> usize {
    let more = command.last().and_then(|last| last.strip_prefix("... ("));
    let more: Option<usize> = more.and_then(|more| more.split(' ').next()?.parse().ok());
    let shown = command.len().saturating_sub(2);
    more.map_or(shown, |more| shown - 1 + more)
}
