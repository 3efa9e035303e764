//! What a store promises to a move: every session is met, and one of another store is kept without setting anything back.

use std::collections::BTreeMap;

use gateward::model::session::Session;
use gateward::model::user::UserId;
use gateward::store::sessions::{Bookmark, Rotation};

use super::sessions::{opened, present, stored, used};
use super::{Bed, DAY, START, fresh_id, session};

pub(super) async fn a_walk_meets_every_session_that_is_there_all_the_while(bed: &impl Bed) {
    let store = bed.open().await.sessions;
    let stores = bed.open().await;
    let mut there = BTreeMap::new();
    for _ in 0..250 {
        let session = opened(&store).await;
        there.insert(session.id, session);
    }
    // What is no session must not be taken for one.
    stores.ephemeral.count("a", DAY, START).await.unwrap();
    let over = there.values().next().unwrap().clone();
    let over = Session {
        idle_expires_at: START,
        ..over
    };
    store.end(over.id).await.unwrap();
    store.open(&over).await.unwrap();
    there.insert(over.id, over);

    let (mut seen, mut place, mut steps) = (BTreeMap::new(), Bookmark::default(), 0);
    loop {
        let page = store.page(&place, 40).await.unwrap();
        seen.extend(page.sessions.into_iter().map(|session| (session.id, session)));
        steps += 1;
        let Some(next) = page.next else { break };
        place = next;
        if steps == 2 {
            let newcomer = opened(&store).await;
            store.end(newcomer.id).await.unwrap();
        }
        assert!(steps < 1000, "the walk does not end");
    }
    assert_eq!(seen, there);
    assert!(steps > 2, "all at once is no walk");
    assert!(store.tally().await.unwrap().is_none_or(|tally| tally == 250));
}

pub(super) async fn a_session_of_another_store_is_kept_unless_it_has_come_as_far_here(bed: &impl Bed) {
    let store = bed.open().await.sessions;
    let old = session(UserId(fresh_id()), START);
    assert!(store.adopt(&old, START).await.unwrap());
    assert!(!store.adopt(&old, START).await.unwrap(), "it was there");
    assert_eq!(stored(&store, &old).await, Some(old.clone()));
    let listed = store.of_user(old.user, START).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&old));

    let further = used(&old, 1, 2, START.plus(DAY));
    assert!(store.adopt(&further, START.plus(DAY)).await.unwrap());
    assert!(
        !store.adopt(&old, START.plus(DAY)).await.unwrap(),
        "it has come further here"
    );
    assert_eq!(stored(&store, &old).await, Some(further));
    let next = present(&store, &old, 2, START.plus(2 * DAY)).await;
    assert_eq!(next, Rotation::Rotated(used(&old, 2, 3, START.plus(2 * DAY))));

    assert_eq!(store.end_all(old.user, None).await.unwrap(), [old.id]);
    assert_eq!(stored(&store, &old).await, None);
}
