//! What a store promises about signing keys.

use gateward::config::Algorithm;
use gateward::model::clock::Timestamp;
use gateward::store::accounts::StoredKey;
use tokio::task::JoinSet;

use super::{Bed, DAY, MINUTE, SECOND, START};

fn key(kid: &str) -> StoredKey {
    StoredKey {
        kid: kid.to_owned(),
        algorithm: Algorithm::Rs256,
        sealed: vec![0, 159, 255, 10],
        created_at: START,
        active_from: START.plus(60 * MINUTE),
        retires_at: None,
        revoked_at: None,
    }
}

fn names(keys: &[StoredKey]) -> Vec<&str> {
    keys.iter().map(|key| key.kid.as_str()).collect()
}

pub(super) async fn keys_come_back_as_they_were_in_the_order_they_were_added(bed: &impl Bed) {
    let store = bed.open().await.accounts;
    let first = StoredKey {
        algorithm: Algorithm::EdDsa,
        ..key("z")
    };
    // A node whose clock is late may add a key that looks older than the one before it.
    let second = StoredKey {
        algorithm: Algorithm::Es256,
        created_at: START.minus(MINUTE),
        retires_at: Some(START.plus(DAY)),
        ..key("a")
    };
    assert!(store.add_key(&first, None, None).await.unwrap());
    assert!(store.add_key(&second, Some("z"), None).await.unwrap());
    assert_eq!(bed.open().await.accounts.keys().await.unwrap(), [first, second]);
}

pub(super) async fn of_racers_that_rotate_one_adds_its_key(bed: &impl Bed) {
    let gateways = [bed.open().await.accounts, bed.open().await.accounts];
    for (round, after) in [None, Some("round-0")].into_iter().enumerate() {
        let mut racers = JoinSet::new();
        for n in 0..20 {
            let store = gateways[n % 2].clone();
            let new = key(&format!("round-{round}"));
            let new = StoredKey {
                sealed: vec![n.to_le_bytes()[0]],
                ..new
            };
            racers.spawn(async move { store.add_key(&new, after, Some(START)).await.unwrap() });
        }
        let added = racers.join_all().await.into_iter().filter(|added| *added).count();
        assert_eq!(added, 1, "round {round}");
    }
    assert_eq!(names(&gateways[0].keys().await.unwrap()), ["round-0", "round-1"]);
    assert!(!gateways[0].add_key(&key("late"), Some("round-0"), None).await.unwrap());
    assert!(!gateways[0].add_key(&key("first"), None, None).await.unwrap());
}

pub(super) async fn the_predecessor_retires_in_the_same_step(bed: &impl Bed) {
    let store = bed.open().await.accounts;
    let end = START.plus(DAY);
    store.add_key(&key("a"), None, Some(end)).await.unwrap();
    assert!(store.add_key(&key("b"), Some("a"), Some(end)).await.unwrap());
    assert!(!store.add_key(&key("c"), Some("a"), Some(end.plus(DAY))).await.unwrap());

    let ends: Vec<Option<Timestamp>> = store.keys().await.unwrap().iter().map(|key| key.retires_at).collect();
    assert_eq!(
        ends,
        [Some(end), None],
        "a loser moved the predecessor's end, or a key has ended by itself"
    );

    assert!(store.add_key(&key("d"), Some("b"), None).await.unwrap());
    assert_eq!(store.keys().await.unwrap()[1].retires_at, None);
}

pub(super) async fn a_revoked_key_is_nobodys_predecessor(bed: &impl Bed) {
    let store = bed.open().await.accounts;
    store.add_key(&key("a"), None, None).await.unwrap();
    store.add_key(&key("b"), Some("a"), None).await.unwrap();
    assert!(store.revoke_key("b", START).await.unwrap());

    assert!(!store.add_key(&key("c"), Some("b"), None).await.unwrap());
    assert!(store.add_key(&key("c"), Some("a"), None).await.unwrap());

    store.revoke_key("a", START).await.unwrap();
    store.revoke_key("c", START).await.unwrap();
    assert!(store.add_key(&key("d"), None, None).await.unwrap());
    assert_eq!(names(&store.keys().await.unwrap()), ["a", "b", "c", "d"]);
}

pub(super) async fn a_key_is_added_once_and_revoked_once(bed: &impl Bed) {
    let store = bed.open().await.accounts;
    store.add_key(&key("a"), None, None).await.unwrap();
    let again = StoredKey {
        sealed: vec![1],
        ..key("a")
    };
    assert!(!store.add_key(&again, Some("a"), Some(START)).await.unwrap());
    assert_eq!(store.keys().await.unwrap(), [key("a")]);

    assert!(store.revoke_key("a", START).await.unwrap());
    assert!(!store.revoke_key("a", START.plus(SECOND)).await.unwrap());
    assert!(!store.revoke_key("unknown", START).await.unwrap());
    assert_eq!(store.keys().await.unwrap()[0].revoked_at, Some(START));
}

pub(super) async fn keys_that_ended_before_a_moment_are_purged(bed: &impl Bed) {
    let store = bed.open().await.accounts;
    store.add_key(&key("retired"), None, None).await.unwrap();
    store
        .add_key(&key("revoked"), Some("retired"), Some(START))
        .await
        .unwrap();
    store
        .add_key(&key("signing"), Some("revoked"), Some(START.plus(DAY)))
        .await
        .unwrap();
    store.revoke_key("revoked", START).await.unwrap();

    assert_eq!(store.purge_keys(START).await.unwrap(), 0);
    assert_eq!(store.purge_keys(START.plus(SECOND)).await.unwrap(), 2);
    assert_eq!(names(&store.keys().await.unwrap()), ["signing"]);
}
