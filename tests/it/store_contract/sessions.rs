//! What a store promises about sign-ins: the table and the invariants of the refresh token.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gateward::model::clock::Timestamp;
use gateward::model::credential::Account;
use gateward::model::session::{Amr, Generation, Session, SessionId};
use gateward::model::user::{Epoch, User, UserId};
use gateward::store::sessions::{Rotate, Rotation, SessionStore};
use tokio::task::JoinSet;

use super::{Bed, DAY, SECOND, START, account, fresh_id, session};

const WINDOW: Duration = Duration::from_secs(20);
const IDLE: Duration = Duration::from_secs(14 * 86_400);

/// What comes of presenting generation `presented` of a session at `now`.
pub(super) async fn present(store: &Arc<dyn SessionStore>, of: &Session, presented: u32, now: Timestamp) -> Rotation {
    store.rotate(&request(of, presented, now)).await.unwrap()
}

fn request(of: &Session, presented: u32, now: Timestamp) -> Rotate {
    Rotate {
        id: of.id,
        nonce_hash: of.nonce_hash,
        presented: Generation(presented),
        now,
        reuse_window: WINDOW,
        idle: IDLE,
    }
}

pub(super) async fn opened(store: &Arc<dyn SessionStore>) -> Session {
    let session = session(UserId(fresh_id()), START);
    store.open(&session).await.unwrap();
    session
}

/// What the store holds now.
pub(super) async fn stored(store: &Arc<dyn SessionStore>, session: &Session) -> Option<Session> {
    store.find(session.id).await.unwrap()
}

/// A session after use at `now`.
pub(super) fn used(session: &Session, previous: u32, current: u32, now: Timestamp) -> Session {
    Session {
        previous: Some(Generation(previous)),
        current: Generation(current),
        last_used_at: now,
        rotated_at: now,
        idle_expires_at: now.plus(IDLE).min(session.expires_at),
        ..session.clone()
    }
}

pub(super) async fn a_session_is_found_with_the_account_behind_it(bed: &impl Bed) {
    let stores = bed.open().await;
    let owner = account("ada@example.com");
    stores.accounts.add(&owner).await.unwrap();
    let disabled = account("eve@example.com");
    stores.accounts.add(&disabled).await.unwrap();
    let [hers, nobodys, disableds] =
        [owner.user.id, UserId(fresh_id()), disabled.user.id].map(|user| session(user, START));
    for session in [&hers, &nobodys, &disableds] {
        stores.sessions.open(session).await.unwrap();
    }
    stores
        .accounts
        .set_disabled(disabled.user.id, Some(START))
        .await
        .unwrap();
    let now = stores.accounts.find(disabled.user.id).await.unwrap();

    let found = async |id| {
        let pair = stores.find_pair(id).await.unwrap();
        pair.map(|(session, account)| (session, account.map(told)))
    };
    assert_eq!(found(hers.id).await, Some((hers, Some(told(owner)))));
    assert_eq!(found(disableds.id).await, Some((disableds, now.map(told))));
    assert_eq!(found(nobodys.id).await, Some((nobodys, None)));
    assert_eq!(found(SessionId(fresh_id())).await, None);
}

pub(super) async fn a_session_is_kept_and_the_account_behind_it_is_as_it_stands_then(bed: &impl Bed) {
    let stores = bed.open().await;
    let owner = account("ada@example.com");
    stores.accounts.add(&owner).await.unwrap();
    for disabled_at in [None, Some(START)] {
        stores.accounts.set_disabled(owner.user.id, disabled_at).await.unwrap();
        let session = session(owner.user.id, START);
        let behind_it = stores.open_pair(&session).await.unwrap().unwrap();
        assert_eq!(behind_it.user.disabled_at, disabled_at);
        assert_eq!(behind_it.password.as_str(), owner.password.as_str());
        assert_eq!(stored(&stores.sessions, &session).await, Some(session));
    }
    let nobodys = session(UserId(fresh_id()), START);
    assert!(stores.open_pair(&nobodys).await.unwrap().is_none());
    assert_eq!(stored(&stores.sessions, &nobodys).await, Some(nobodys));
}

fn told(account: Account) -> (User, String) {
    (account.user, account.password.as_str().to_owned())
}

pub(super) async fn a_session_comes_back_as_it_was(bed: &impl Bed) {
    let store = bed.open().await.sessions;
    let plain = opened(&store).await;
    let rich = Session {
        previous: Some(Generation(u32::MAX - 1)),
        current: Generation(u32::MAX),
        ip: None,
        amr: Vec::new(),
        user_agent: String::new(),
        ..session(UserId(fresh_id()), START)
    };
    store.open(&rich).await.unwrap();
    store.ping().await.unwrap();

    assert_eq!(stored(&store, &plain).await, Some(plain));
    assert_eq!(stored(&store, &rich).await, Some(rich));
    assert_eq!(store.find(SessionId(fresh_id())).await.unwrap(), None);
}

pub(super) async fn the_current_generation_rotates(bed: &impl Bed) {
    let store = bed.open().await.sessions;
    let session = opened(&store).await;
    let mut now = START;
    for generation in 1..=5 {
        now = now.plus(DAY);
        let after = used(&session, generation, generation + 1, now);
        assert_eq!(
            present(&store, &session, generation, now).await,
            Rotation::Rotated(after.clone())
        );
        assert_eq!(stored(&store, &session).await, Some(after));
    }
}

pub(super) async fn the_previous_generation_repeats_inside_the_window(bed: &impl Bed) {
    let store = bed.open().await.sessions;
    let session = opened(&store).await;
    let rotated_at = START.plus(DAY);
    present(&store, &session, 1, rotated_at).await;
    let after = used(&session, 1, 2, rotated_at);

    for later in [Duration::ZERO, SECOND, WINDOW - Duration::from_millis(1)] {
        let now = rotated_at.plus(later);
        assert_eq!(
            present(&store, &session, 1, now).await,
            Rotation::Repeated(after.clone())
        );
    }
    // Another node's clock may be a little behind.
    let early = rotated_at.minus(SECOND);
    assert_eq!(
        present(&store, &session, 1, early).await,
        Rotation::Repeated(after.clone())
    );
    assert_eq!(stored(&store, &session).await, Some(after));
}

pub(super) async fn the_previous_generation_is_replaced_after_the_window(bed: &impl Bed) {
    let store = bed.open().await.sessions;
    let session = opened(&store).await;
    present(&store, &session, 1, START).await;
    let late = START.plus(WINDOW);

    let replaced = used(&session, 1, 3, late);
    assert_eq!(
        present(&store, &session, 1, late).await,
        Rotation::Replaced(replaced.clone())
    );
    assert_eq!(stored(&store, &session).await, Some(replaced.clone()));

    // The window begins anew, and the new one is as good as any.
    assert_eq!(
        present(&store, &session, 1, late.plus(SECOND)).await,
        Rotation::Repeated(replaced)
    );
    assert!(matches!(
        present(&store, &session, 3, late.plus(SECOND)).await,
        Rotation::Rotated(_)
    ));
}

pub(super) async fn a_skipped_generation_ends_the_family(bed: &impl Bed) {
    let store = bed.open().await.sessions;
    let session = opened(&store).await;
    present(&store, &session, 1, START).await;
    let late = START.plus(WINDOW);
    present(&store, &session, 1, late).await;

    let as_it_was = used(&session, 1, 3, late);
    assert_eq!(present(&store, &session, 2, late).await, Rotation::Reused(as_it_was));
    assert_eq!(stored(&store, &session).await, None);
    assert_eq!(present(&store, &session, 3, late).await, Rotation::Unknown);
}

pub(super) async fn an_older_generation_ends_the_family(bed: &impl Bed) {
    let store = bed.open().await.sessions;
    let session = opened(&store).await;
    present(&store, &session, 1, START).await;
    present(&store, &session, 2, START).await;

    // Inside the window too: the window is for the previous one alone.
    assert_eq!(
        present(&store, &session, 1, START).await,
        Rotation::Reused(used(&session, 2, 3, START))
    );
    assert_eq!(present(&store, &session, 3, START).await, Rotation::Unknown);
}

pub(super) async fn a_generation_ahead_moves_the_store_forward(bed: &impl Bed) {
    let store = bed.open().await.sessions;
    let session = opened(&store).await;
    let now = START.plus(DAY);

    assert_eq!(
        present(&store, &session, 9, now).await,
        Rotation::Rotated(used(&session, 9, 10, now))
    );
    assert_eq!(
        present(&store, &session, 9, now).await,
        Rotation::Repeated(used(&session, 9, 10, now))
    );
    assert!(matches!(present(&store, &session, 1, now).await, Rotation::Reused(_)));
}

/// Whatever the order and whenever they come, the two never both get through two refreshes each.
pub(super) async fn of_two_holders_of_one_token_one_ends_the_family(bed: &impl Bed) {
    let store = bed.open().await.sessions;
    for pause in [SECOND, WINDOW, DAY] {
        let session = opened(&store).await;
        present(&store, &session, 1, START).await;
        let mut held = [2, 2];
        let mut reused = false;
        for turn in 0..4 {
            let now = START.plus(pause * (turn + 1));
            let holder = &mut held[turn as usize % 2];
            match present(&store, &session, *holder, now).await {
                Rotation::Rotated(after) | Rotation::Repeated(after) | Rotation::Replaced(after) => {
                    *holder = after.current.0;
                }
                Rotation::Reused(_) => reused = true,
                Rotation::Unknown => assert!(reused, "ended by nobody"),
                Rotation::Expired => panic!("not that old"),
            }
        }
        // Inside the window both hold the same token again; one of them must go on before they part.
        if !reused {
            let last = held[0].max(held[1]);
            let parted = held[0].min(held[1]);
            assert_eq!(pause, SECOND, "both outlived their next refresh");
            present(&store, &session, last, START.plus(DAY)).await;
            present(&store, &session, last + 1, START.plus(DAY)).await;
            assert!(matches!(
                present(&store, &session, parted, START.plus(DAY)).await,
                Rotation::Reused(_)
            ));
        }
        assert_eq!(stored(&store, &session).await, None);
    }
}

pub(super) async fn racers_with_one_token_all_get_the_same_successor(bed: &impl Bed) {
    let gateways = [bed.open().await.sessions, bed.open().await.sessions];
    let session = opened(&gateways[0]).await;
    let now = START.plus(DAY);
    let mut racers = JoinSet::new();
    for n in 0..200 {
        let (store, session) = (gateways[n % 2].clone(), session.clone());
        racers.spawn(async move { present(&store, &session, 1, now).await });
    }
    let (mut rotated, mut repeated) = (0, 0);
    for outcome in racers.join_all().await {
        let after = match outcome {
            Rotation::Rotated(after) => (rotated += 1, after).1,
            Rotation::Repeated(after) => (repeated += 1, after).1,
            other => panic!("{other:?}"),
        };
        assert_eq!(after, used(&session, 1, 2, now));
    }
    assert_eq!((rotated, repeated), (1, 199));
}

pub(super) async fn what_was_seen_before_a_race_does_not_decide_it(bed: &impl Bed) {
    let store = bed.open().await.sessions;
    let session = opened(&store).await;
    let outdated = || async {
        let request = request(&session, 1, START);
        store.rotate_seen(&request, session.clone()).await.unwrap()
    };
    assert_eq!(outdated().await, Rotation::Rotated(used(&session, 1, 2, START)));
    assert_eq!(outdated().await, Rotation::Repeated(used(&session, 1, 2, START)));
    present(&store, &session, 2, START).await;
    assert!(matches!(outdated().await, Rotation::Reused(_)));
    assert_eq!(outdated().await, Rotation::Unknown);

    // Seen when its successor would have been told again: by now there is a later one.
    let session = opened(&store).await;
    present(&store, &session, 1, START).await;
    let seen = stored(&store, &session).await.unwrap();
    present(&store, &session, 2, START).await;
    let late = store.rotate_seen(&request(&session, 1, START), seen).await.unwrap();
    assert!(matches!(late, Rotation::Reused(_)), "{late:?}");
}

pub(super) async fn an_unknown_or_foreign_token_changes_nothing(bed: &impl Bed) {
    let store = bed.open().await.sessions;
    let session = opened(&store).await;
    present(&store, &session, 1, START).await;
    present(&store, &session, 2, START).await;
    let before = stored(&store, &session).await;

    let unknown = super::session(session.user, START);
    assert_eq!(present(&store, &unknown, 1, START).await, Rotation::Unknown);
    for generation in [1, 2, 3, 4] {
        let foreign = Session {
            nonce_hash: unknown.nonce_hash,
            ..session.clone()
        };
        assert_eq!(present(&store, &foreign, generation, START).await, Rotation::Unknown);
        let long_after = START.plus(100 * DAY);
        assert_eq!(
            present(&store, &foreign, generation, long_after).await,
            Rotation::Unknown
        );
    }
    assert_eq!(stored(&store, &session).await, before);
}

pub(super) async fn an_unused_session_ends(bed: &impl Bed) {
    let store = bed.open().await.sessions;
    let kept = opened(&store).await;
    let just_before = kept.idle_expires_at.minus(Duration::from_millis(1));
    assert!(matches!(
        present(&store, &kept, 1, just_before).await,
        Rotation::Rotated(_)
    ));

    let left = opened(&store).await;
    assert_eq!(present(&store, &left, 1, left.idle_expires_at).await, Rotation::Expired);
    assert_eq!(stored(&store, &left).await, None);
    assert_eq!(present(&store, &left, 1, START).await, Rotation::Unknown);
}

pub(super) async fn no_use_prolongs_a_session_beyond_its_longest_life(bed: &impl Bed) {
    let store = bed.open().await.sessions;
    let session = opened(&store).await;
    let mut now = START;
    let mut generation = 1;
    while now.plus(10 * DAY) < session.expires_at {
        now = now.plus(10 * DAY);
        let Rotation::Rotated(after) = present(&store, &session, generation, now).await else {
            panic!("refused before its time");
        };
        assert!(after.idle_expires_at <= session.expires_at);
        generation = after.current.0;
    }
    assert_eq!(
        stored(&store, &session).await.unwrap().idle_expires_at,
        session.expires_at
    );
    assert_eq!(
        present(&store, &session, generation, session.expires_at).await,
        Rotation::Expired
    );
}

pub(super) async fn a_users_sessions_are_listed_newest_first_without_those_that_are_over(bed: &impl Bed) {
    let store = bed.open().await.sessions;
    let user = UserId(fresh_id());
    let mut sessions = Vec::new();
    for day in [2, 0, 1] {
        let session = session(user, START.plus(DAY * day));
        store.open(&session).await.unwrap();
        sessions.push(session);
    }
    opened(&store).await;
    let [newest, oldest, middle] = sessions.try_into().unwrap();

    let now = START.plus(2 * DAY);
    assert_eq!(
        store.of_user(user, now).await.unwrap(),
        [newest.clone(), middle.clone(), oldest.clone()]
    );
    assert_eq!(
        store.of_user(user, oldest.idle_expires_at).await.unwrap(),
        [newest, middle]
    );
    assert!(store.of_user(user, START.plus(100 * DAY)).await.unwrap().is_empty());
}

pub(super) async fn an_ended_session_is_gone_and_returned_once(bed: &impl Bed) {
    let store = bed.open().await.sessions;
    let session = opened(&store).await;
    assert_eq!(store.end(session.id).await.unwrap(), Some(session.clone()));
    assert_eq!(store.end(session.id).await.unwrap(), None);
    assert_eq!(present(&store, &session, 1, START).await, Rotation::Unknown);
}

pub(super) async fn a_race_with_the_end_never_revives_a_session(bed: &impl Bed) {
    let gateways = [bed.open().await.sessions, bed.open().await.sessions];
    for _ in 0..20 {
        let session = opened(&gateways[0]).await;
        let (rotating, ending) = (gateways[0].clone(), gateways[1].clone());
        let (of, id) = (session.clone(), session.id);
        let rotation = tokio::spawn(async move { present(&rotating, &of, 1, START).await });
        let ended = tokio::spawn(async move { ending.end(id).await.unwrap() })
            .await
            .unwrap()
            .unwrap();
        let outcome = rotation.await.unwrap();

        assert_eq!(stored(&gateways[0], &session).await, None);
        match outcome {
            Rotation::Rotated(after) => assert_eq!(after, ended, "rotated first, then ended"),
            Rotation::Unknown => assert_eq!(ended, session, "ended first"),
            other => panic!("{other:?}"),
        }
    }
}

pub(super) async fn all_sessions_of_a_user_end_except_one(bed: &impl Bed) {
    let store = bed.open().await.sessions;
    let user = UserId(fresh_id());
    let mut ids = BTreeSet::new();
    for _ in 0..4 {
        let session = session(user, START);
        store.open(&session).await.unwrap();
        ids.insert(session.id);
    }
    let somebody_else = opened(&store).await;
    let kept = ids.pop_first().unwrap();

    let ended: BTreeSet<SessionId> = store.end_all(user, Some(kept)).await.unwrap().into_iter().collect();
    assert_eq!(ended, ids);
    assert_eq!(store.of_user(user, START).await.unwrap()[0].id, kept);

    assert_eq!(store.end_all(user, Some(somebody_else.id)).await.unwrap(), [kept]);
    assert!(store.end_all(user, None).await.unwrap().is_empty());
    assert_eq!(stored(&store, &somebody_else).await, Some(somebody_else));
}

pub(super) async fn one_session_moves_on_to_a_new_epoch(bed: &impl Bed) {
    let store = bed.open().await.sessions;
    let (moved, left) = (opened(&store).await, opened(&store).await);
    assert!(store.move_to_epoch(moved.id, Epoch(4)).await.unwrap());
    assert!(!store.move_to_epoch(SessionId(fresh_id()), Epoch(4)).await.unwrap());

    let Rotation::Rotated(after) = present(&store, &moved, 1, START).await else {
        panic!("it can no longer be refreshed");
    };
    assert_eq!(after.epoch, Epoch(4));
    assert_eq!(stored(&store, &left).await.unwrap().epoch, Epoch(3));
}

pub(super) async fn a_later_proof_stands_in_the_record_whoever_rotates_it_meanwhile(bed: &impl Bed) {
    let store = bed.open().await.sessions;
    let (proven, left) = (opened(&store).await, opened(&store).await);
    let (later, amr) = (START.plus(DAY), ["pwd", "otp", "mfa"].map(|word| Amr(word.to_owned())));
    let rotations = (1..=20).map(|generation| present(&store, &proven, generation, START));
    let proofs = (0..20).map(|_| store.prove(proven.id, later, &amr));
    let (_, proofs) = tokio::join!(
        async {
            for rotation in rotations {
                rotation.await;
            }
        },
        futures_util::future::join_all(proofs)
    );
    for proof in proofs {
        let stands = proof.unwrap().expect("the session is there");
        assert_eq!((stands.auth_time, stands.amr.as_slice()), (later, amr.as_slice()));
    }
    let stands = stored(&store, &proven).await.unwrap();
    assert_eq!((stands.auth_time, stands.amr.as_slice()), (later, amr.as_slice()));
    assert_eq!(stands.current, Generation(21), "no rotation was undone");
    assert_eq!((&stands.user_agent, stands.ip), (&proven.user_agent, proven.ip));
    assert_eq!(stored(&store, &left).await.unwrap(), left);
    assert_eq!(store.prove(SessionId(fresh_id()), later, &amr).await.unwrap(), None);
}

pub(super) async fn sessions_that_are_over_are_purged_and_no_others(bed: &impl Bed) {
    let store = bed.open().await.sessions;
    let (used, left) = (opened(&store).await, opened(&store).await);
    let user = UserId(fresh_id());
    for _ in 0..20 {
        store.open(&session(user, START)).await.unwrap();
    }
    present(&store, &used, 1, START.plus(DAY)).await;

    let early = START.plus(13 * DAY);
    assert_eq!(bed.time_passes(early).await + store.purge(early).await.unwrap(), 0);
    let end = left.idle_expires_at;
    assert_eq!(bed.time_passes(end).await + store.purge(end).await.unwrap(), 21);
    assert_eq!(stored(&store, &left).await, None);
    assert!(stored(&store, &used).await.is_some());
}

pub(super) async fn sessions_outlive_the_process(bed: &impl Bed) {
    let store = bed.open().await.sessions;
    let session = opened(&store).await;
    present(&store, &session, 1, START).await;
    drop(store);

    let store = bed.open().await.sessions;
    assert_eq!(
        present(&store, &session, 1, START).await,
        Rotation::Repeated(used(&session, 1, 2, START))
    );
    assert!(matches!(
        present(&store, &session, 2, START).await,
        Rotation::Rotated(_)
    ));
    drop(store);

    let store = bed.open().await.sessions;
    assert!(matches!(present(&store, &session, 1, START).await, Rotation::Reused(_)));
    drop(store);

    let store = bed.open().await.sessions;
    assert_eq!(present(&store, &session, 3, START).await, Rotation::Unknown);
}
