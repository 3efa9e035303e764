//! What a store promises about facts that pass: revocations and their stream, counters, remembered names.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use gateward::model::clock::Timestamp;
use gateward::model::session::{SessionId, TokenId};
use gateward::model::user::UserId;
use gateward::store::ephemeral::{Counter, Cursor, EphemeralStore, News, Revocation, Revoked};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Bed, DAY, MINUTE, SECOND, START, fresh_id};

/// Longer than any test may take: a follower that waits this long was not woken.
const FOREVER: Duration = Duration::from_secs(600);

fn token() -> Revocation {
    Revocation {
        what: Revoked::Token(TokenId(fresh_id())),
        until: START.plus(15 * MINUTE),
    }
}

async fn now(store: &Arc<dyn EphemeralStore>, after: &Cursor) -> News {
    store.follow(after, Duration::ZERO).await.unwrap()
}

/// Where the stream ends.
async fn end(store: &Arc<dyn EphemeralStore>) -> Cursor {
    now(store, &Cursor::default()).await.cursor
}

fn session_opened_at(moment: Timestamp) -> SessionId {
    SessionId(gateward::model::secret::uuid_v7(moment).unwrap())
}

pub(super) async fn a_revoked_token_is_revoked_and_no_other(bed: &impl Bed) {
    let store = bed.open().await.ephemeral;
    let (token, session, user) = (TokenId(fresh_id()), SessionId(fresh_id()), UserId(fresh_id()));
    let revocation = Revocation {
        what: Revoked::Token(token),
        until: START,
    };
    assert!(!store.is_revoked(token, session, user).await.unwrap());
    store.revoke(&[revocation]).await.unwrap();
    store.revoke(&[revocation]).await.unwrap();

    assert!(store.is_revoked(token, session, user).await.unwrap());
    assert!(!store.is_revoked(TokenId(fresh_id()), session, user).await.unwrap());
    // An id says what it is of by where it stands.
    assert!(
        !store
            .is_revoked(TokenId(fresh_id()), SessionId(token.0), UserId(token.0))
            .await
            .unwrap()
    );
}

pub(super) async fn a_revoked_session_takes_all_its_tokens_along(bed: &impl Bed) {
    let store = bed.open().await.ephemeral;
    let (session, user) = (SessionId(fresh_id()), UserId(fresh_id()));
    let what = Revoked::Session(session);
    store.revoke(&[Revocation { what, until: START }]).await.unwrap();

    assert!(store.is_revoked(TokenId(fresh_id()), session, user).await.unwrap());
    assert!(
        !store
            .is_revoked(TokenId(fresh_id()), SessionId(fresh_id()), user)
            .await
            .unwrap()
    );
}

pub(super) async fn a_users_revocation_reaches_sessions_opened_until_its_moment(bed: &impl Bed) {
    let store = bed.open().await.ephemeral;
    let (user, millisecond) = (UserId(fresh_id()), Duration::from_millis(1));
    let what = Revoked::User(user, START);
    let until = START.plus(DAY);
    store.revoke(&[Revocation { what, until }]).await.unwrap();

    for (opened_at, revoked) in [
        (START.minus(DAY), true),
        (START, true),
        (START.plus(millisecond), false),
    ] {
        let session = session_opened_at(opened_at);
        let answer = store.is_revoked(TokenId(fresh_id()), session, user).await.unwrap();
        assert_eq!(answer, revoked, "opened at {opened_at}");
    }
    let old = session_opened_at(START);
    assert!(
        !store
            .is_revoked(TokenId(fresh_id()), old, UserId(fresh_id()))
            .await
            .unwrap()
    );
}

pub(super) async fn the_default_cursor_tells_everything_in_order_and_at_once(bed: &impl Bed) {
    let store = bed.open().await.ephemeral;
    let empty = timeout(MINUTE, store.follow(&Cursor::default(), FOREVER))
        .await
        .unwrap()
        .unwrap();
    assert!(empty.revocations.is_empty() && !empty.gap);
    assert_ne!(empty.cursor, Cursor::default());

    let user = Revoked::User(UserId(fresh_id()), START.minus(SECOND));
    let session = Revoked::Session(SessionId(fresh_id()));
    let revocations = [user, session, token().what].map(|what| Revocation { what, until: START });
    store.revoke(&revocations[..2]).await.unwrap();
    store.revoke(&[]).await.unwrap();
    store.revoke(&revocations[2..]).await.unwrap();

    let all = now(&store, &Cursor::default()).await;
    assert_eq!(all.revocations, revocations);
    assert!(!all.gap);
    assert_eq!(now(&store, &empty.cursor).await, all);
}

pub(super) async fn a_cursor_tells_each_revocation_once(bed: &impl Bed) {
    let store = bed.open().await.ephemeral;
    let mut cursor = end(&store).await;
    for _ in 0..5 {
        let written = [token(), token()];
        store.revoke(&written).await.unwrap();
        let news = now(&store, &cursor).await;
        assert_eq!(news.revocations, written);
        cursor = news.cursor;
    }
    let nothing = now(&store, &cursor).await;
    assert!(nothing.revocations.is_empty() && !nothing.gap);
    assert_eq!(nothing.cursor, cursor);
}

pub(super) async fn a_follower_without_news_returns_after_its_wait(bed: &impl Bed) {
    let store = bed.open().await.ephemeral;
    let cursor = end(&store).await;
    let begun = tokio::time::Instant::now();
    // Other writes are no news.
    store.count("login", MINUTE, START).await.unwrap();
    let news = store.follow(&cursor, Duration::from_millis(120)).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(120));
    assert!(news.revocations.is_empty() && !news.gap);
    assert_eq!(news.cursor, cursor);
}

async fn wakes(follower: Arc<dyn EphemeralStore>, writer: Arc<dyn EphemeralStore>) {
    let mut cursor = end(&follower).await;
    for _ in 0..10 {
        let (store, after) = (follower.clone(), cursor.clone());
        let waiting = tokio::spawn(async move { store.follow(&after, FOREVER).await.unwrap() });
        let written = token();
        writer.revoke(&[written]).await.unwrap();
        let news = timeout(MINUTE, waiting).await.expect("woken").unwrap();
        assert_eq!(news.revocations, [written]);
        cursor = news.cursor;
    }
}

pub(super) async fn a_writer_of_the_same_process_wakes_a_follower(bed: &impl Bed) {
    let store = bed.open().await.ephemeral;
    wakes(store.clone(), store).await;
}

pub(super) async fn a_writer_elsewhere_wakes_a_follower(bed: &impl Bed) {
    wakes(bed.open().await.ephemeral, bed.open().await.ephemeral).await;
}

pub(super) async fn many_followers_all_hear_it(bed: &impl Bed) {
    let gateways = [bed.open().await.ephemeral, bed.open().await.ephemeral];
    let cursor = end(&gateways[0]).await;
    let mut followers = JoinSet::new();
    for n in 0..10 {
        let (store, after) = (gateways[n % 2].clone(), cursor.clone());
        followers.spawn(async move { store.follow(&after, FOREVER).await.unwrap().revocations });
    }
    let written = token();
    gateways[0].revoke(&[written]).await.unwrap();
    let heard = timeout(MINUTE, followers.join_all()).await.expect("woken");
    assert!(heard.iter().all(|heard| *heard == [written]));
}

pub(super) async fn every_follower_sees_the_same_order(bed: &impl Bed) {
    let gateways = [bed.open().await.ephemeral, bed.open().await.ephemeral];
    let mut cursor = end(&gateways[0]).await;
    let mut writers = JoinSet::new();
    for n in 0..40 {
        let store = gateways[n % 2].clone();
        writers.spawn(async move { store.revoke(&[token(), token()]).await.unwrap() });
    }
    let mut seen = Vec::new();
    while seen.len() < 80 {
        let news = timeout(MINUTE, gateways[1].follow(&cursor, FOREVER))
            .await
            .unwrap()
            .unwrap();
        assert!(!news.gap && !news.revocations.is_empty());
        seen.extend(news.revocations);
        cursor = news.cursor;
    }
    writers.join_all().await;

    assert_eq!(now(&gateways[0], &Cursor::default()).await.revocations, seen);
    assert_eq!(seen.iter().map(|seen| seen.what).collect::<HashSet<_>>().len(), 80);
}

pub(super) async fn a_cursor_of_another_stream_is_a_gap<B: Bed>(bed: &B) {
    let other = B::make().await;
    let other = other.open().await.ephemeral;
    let store = bed.open().await.ephemeral;
    for stream in [&store, &other] {
        stream.revoke(&[token(), token()]).await.unwrap();
    }
    for foreign in [end(&other).await, Cursor("what is this".to_owned())] {
        let news = timeout(MINUTE, store.follow(&foreign, FOREVER)).await.unwrap().unwrap();
        assert!(news.gap && news.revocations.is_empty());
        assert_eq!(now(&store, &news.cursor).await.revocations.len(), 2, "it begins again");
    }
}

pub(super) async fn a_cursor_outlives_a_purge(bed: &impl Bed) {
    let store = bed.open().await.ephemeral;
    store.revoke(&[token()]).await.unwrap();
    let cursor = end(&store).await;
    store.revoke(&[token()]).await.unwrap();
    assert_eq!(store.purge(START.plus(DAY)).await.unwrap(), 2);

    let news = now(&store, &cursor).await;
    assert!(news.revocations.is_empty() && !news.gap);
    let written = token();
    store.revoke(&[written]).await.unwrap();
    assert_eq!(now(&store, &news.cursor).await.revocations, [written]);
    assert_eq!(now(&bed.open().await.ephemeral, &cursor).await.revocations, [written]);
}

pub(super) async fn a_counter_lives_for_one_window_from_its_first_count(bed: &impl Bed) {
    let store = bed.open().await.ephemeral;
    for (later, count, resets_at) in [
        (0, 1, 60),
        (1, 2, 60),
        (59, 3, 60),
        (60, 1, 120),
        (119, 2, 120),
        (500, 1, 560),
    ] {
        let counted = store
            .count("login:ada", MINUTE, START.plus(SECOND * later))
            .await
            .unwrap();
        assert_eq!(counted.count, count, "after {later} s");
        assert_eq!(counted.resets_at, START.plus(SECOND * resets_at), "after {later} s");
    }
}

pub(super) async fn counters_do_not_know_each_other(bed: &impl Bed) {
    let store = bed.open().await.ephemeral;
    for key in ["a", "A", "a ", "", "é'; --"] {
        assert_eq!(store.count(key, MINUTE, START).await.unwrap().count, 1, "{key:?}");
        assert_eq!(store.count(key, MINUTE, START).await.unwrap().count, 2, "{key:?}");
    }
}

pub(super) async fn racers_each_count_once(bed: &impl Bed) {
    let gateways = [bed.open().await.ephemeral, bed.open().await.ephemeral];
    let mut racers = JoinSet::new();
    for n in 0..100 {
        let store = gateways[n % 2].clone();
        racers.spawn(async move { store.count("login", MINUTE, START).await.unwrap().count });
    }
    let counts: BTreeSet<u32> = racers.join_all().await.into_iter().collect();
    assert_eq!(counts, (1..=100).collect());
}

pub(super) async fn an_attempt_is_counted_up_to_the_first_counter_that_refuses(bed: &impl Bed) {
    let store = bed.open().await.ephemeral;
    let counters = [counter("here", 3), counter("there", 2), counter("everywhere", 9)];
    assert_eq!(store.admit(&counters, START).await.unwrap(), None);
    assert_eq!(store.admit(&counters, START.plus(SECOND)).await.unwrap(), None);
    // The second refuses, then the first of them.
    for count in [3, 4] {
        let refused = store.admit(&counters, START.plus(SECOND)).await.unwrap().unwrap();
        assert_eq!((refused.count, refused.resets_at), (count, START.plus(MINUTE)));
    }
    let counted = async |key| store.count(key, MINUTE, START.plus(SECOND)).await.unwrap().count - 1;
    assert_eq!(
        (
            counted("here").await,
            counted("there").await,
            counted("everywhere").await
        ),
        (4, 3, 2)
    );
    assert_eq!(store.admit(&counters, START.plus(MINUTE)).await.unwrap(), None);
    assert_eq!(store.admit(&[], START).await.unwrap(), None);
}

pub(super) async fn a_counter_leaves_out_whom_it_does_not_concern(bed: &impl Bed) {
    let store = bed.open().await.ephemeral;
    let counters = [
        counter("here", 9),
        Counter {
            except: Some("ada@10.0.0.1"),
            ..counter("strangers", 1)
        },
        counter("last", 9),
    ];
    assert_eq!(store.admit(&counters, START).await.unwrap(), None);
    assert_eq!(store.admit(&counters, START).await.unwrap().unwrap().count, 2);
    store.remember("ada@10.0.0.1", START.plus(SECOND)).await.unwrap();
    assert_eq!(
        store.admit(&counters, START).await.unwrap(),
        None,
        "though it has counted too many"
    );
    let later = store.admit(&counters, START.plus(SECOND)).await.unwrap();
    assert_eq!(later.unwrap().count, 3, "not the one that it did not concern");
    assert_eq!(store.count("last", MINUTE, START).await.unwrap().count, 3);
}

fn counter(key: &str, most: u32) -> Counter<'_> {
    Counter {
        key,
        window: MINUTE,
        most,
        except: None,
    }
}

pub(super) async fn a_stream_has_a_name_of_its_own(bed: &impl Bed) {
    let gateways = [bed.open().await.ephemeral, bed.open().await.ephemeral];
    let name = end(&gateways[0]).await.stream().to_owned();
    gateways[0].revoke(&[token()]).await.unwrap();
    assert!(!name.is_empty());
    assert_eq!(end(&gateways[1]).await.stream(), name);
}

pub(super) async fn a_name_is_remembered_until_the_later_moment(bed: &impl Bed) {
    let store = bed.open().await.ephemeral;
    assert!(!store.remembers("ada@10.0.0.1", START).await.unwrap());
    store.remember("ada@10.0.0.1", START.plus(DAY)).await.unwrap();
    store.remember("ada@10.0.0.1", START.plus(SECOND)).await.unwrap();

    assert!(store.remembers("ada@10.0.0.1", START.plus(MINUTE)).await.unwrap());
    assert!(!store.remembers("ada@10.0.0.1", START.plus(DAY)).await.unwrap());
    assert!(!store.remembers("ada@10.0.0.2", START).await.unwrap());
    assert_eq!(
        store.remembered_until("ada@10.0.0.1").await.unwrap(),
        Some(START.plus(DAY))
    );
    assert_eq!(store.remembered_until("ada@10.0.0.2").await.unwrap(), None);

    store.remember("ada@10.0.0.1", START.plus(2 * DAY)).await.unwrap();
    assert!(
        bed.open()
            .await
            .ephemeral
            .remembers("ada@10.0.0.1", START.plus(DAY))
            .await
            .unwrap()
    );
}

pub(super) async fn a_kept_value_is_taken_once(bed: &impl Bed) {
    let gateways = [bed.open().await.ephemeral, bed.open().await.ephemeral];
    let value = [0, 255, 10, 13, 7];
    gateways[0].keep("reset:1", &value, START.plus(MINUTE)).await.unwrap();
    assert_eq!(gateways[1].peek("reset:1", START).await.unwrap().unwrap(), value);
    let mut racers = JoinSet::new();
    for n in 0..20 {
        let store = gateways[n % 2].clone();
        racers.spawn(async move { store.take("reset:1", START).await.unwrap() });
    }
    let taken: Vec<_> = racers.join_all().await.into_iter().flatten().collect();
    assert_eq!(taken, [value]);
    assert_eq!(gateways[1].peek("reset:1", START).await.unwrap(), None);
    assert_eq!(gateways[1].take("reset:2", START).await.unwrap(), None);
}

pub(super) async fn a_kept_value_is_replaced_and_ends(bed: &impl Bed) {
    let store = bed.open().await.ephemeral;
    store.keep("a", b"first", START.plus(DAY)).await.unwrap();
    store.keep("a", b"", START.plus(SECOND)).await.unwrap();
    assert_eq!(store.peek("a", START).await.unwrap().unwrap(), b"");
    assert_eq!(store.peek("a", START.plus(SECOND)).await.unwrap(), None);
    assert_eq!(store.take("a", START.plus(SECOND)).await.unwrap(), None);
    store.keep("b", b"lasting", START.plus(SECOND)).await.unwrap();
    bed.time_passes(START).await;
    store.purge(START).await.unwrap();
    assert_eq!(store.take("b", START).await.unwrap().unwrap(), b"lasting");
}

pub(super) async fn what_has_passed_is_purged_and_nothing_else(bed: &impl Bed) {
    let store = bed.open().await.ephemeral;
    let until = |until| Revocation { until, ..token() };
    let (past, lasting) = (until(START), until(START.plus(SECOND)));
    store.revoke(&[past, lasting]).await.unwrap();
    store.count("past", MINUTE, START.minus(MINUTE)).await.unwrap();
    store.count("lasting", MINUTE, START.minus(SECOND)).await.unwrap();
    store.remember("past", START).await.unwrap();
    store.remember("lasting", START.plus(SECOND)).await.unwrap();

    assert_eq!(bed.time_passes(START).await + store.purge(START).await.unwrap(), 3);
    assert_eq!(bed.time_passes(START).await + store.purge(START).await.unwrap(), 0);

    assert_eq!(now(&store, &Cursor::default()).await.revocations, [lasting]);
    assert_eq!(store.count("lasting", MINUTE, START).await.unwrap().count, 2);
    assert!(store.remembers("lasting", START).await.unwrap());
}

pub(super) async fn revocations_outlive_the_process(bed: &impl Bed) {
    let (session, written) = (SessionId(fresh_id()), token());
    let Revoked::Token(id) = written.what else {
        unreachable!()
    };
    let cursor = {
        let store = bed.open().await.ephemeral;
        let cursor = end(&store).await;
        store.revoke(&[written]).await.unwrap();
        cursor
    };
    let store = bed.open().await.ephemeral;
    assert!(store.is_revoked(id, session, UserId(fresh_id())).await.unwrap());
    assert_eq!(now(&store, &cursor).await.revocations, [written]);
}
