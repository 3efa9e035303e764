//! Who is ended, when, and who is not.

use super::*;
use crate::config::{Algorithm, Route};
use crate::model::user::Epoch;
use crate::proxy::world::{found, route};
use crate::token::AccessToken;
use crate::token::world::World;

const SECOND: Duration = Duration::from_secs(1);
const TTL: Duration = Duration::from_mins(15);

/// A guest by a route, and the world that they are looked up in.
struct Visit {
    world: World,
    token: AccessToken,
    watch: Box<Watch>,
}

impl Visit {
    async fn by(route: Route) -> Self {
        let world = World::new(Algorithm::EdDsa).await;
        let token = world.signed_in();
        let who = world.tokens.verify(&token.jwt, route.revocation).await.unwrap();
        let watch = Watch::new(Guest {
            tokens: &world.tokens,
            who: &who,
            found: &found(route),
        });
        Self { world, token, watch }
    }

    async fn new() -> Self {
        Self::by(route()).await
    }

    /// `stays`, or why not.
    async fn look(&mut self) -> &'static str {
        self.watch.look().await.err().map_or("stays", |lost| lost.word())
    }

    fn guest(&self) -> Guest<'_> {
        Guest {
            tokens: &self.world.tokens,
            who: &self.watch.who,
            found: &self.watch.found,
        }
    }

    async fn later(&mut self, time: Duration) -> &'static str {
        self.world.clock.advance(time);
        self.look().await
    }
}

fn with(revocation: RevocationMode) -> Route {
    Route { revocation, ..route() }
}

#[tokio::test]
async fn a_guest_stays_beyond_the_token_and_is_looked_up_as_often_as_it_would_be_renewed() {
    let mut visit = Visit::new().await;
    for _ in 0..10 {
        assert_eq!(visit.later(SECOND).await, "stays");
    }
    assert_eq!(visit.world.pairs.asked(), 0, "the token is good");
    for times in 1..4 {
        assert_eq!(visit.later(TTL).await, "stays");
        assert_eq!(visit.later(SECOND).await, "stays");
        assert_eq!(visit.world.pairs.asked(), times);
    }
}

#[tokio::test]
async fn a_revocation_ends_a_stay_at_the_next_look_unless_the_route_does_not_look() {
    for (mode, said) in [
        (RevocationMode::Cached, "revoked"),
        (RevocationMode::Strict, "revoked"),
        (RevocationMode::Off, "stays"),
    ] {
        let mut visit = Visit::by(with(mode)).await;
        assert_eq!(visit.look().await, "stays");
        visit.world.revoke(&visit.token).await;
        assert_eq!(visit.look().await, said, "{mode:?}");
    }
}

#[tokio::test]
async fn a_revoked_key_ends_what_its_tokens_opened() {
    let mut visit = Visit::new().await;
    let keys = visit.world.tokens.keys().await.unwrap();
    visit.world.tokens.revoke_key(&keys[0].kid).await.unwrap();
    assert_eq!(visit.look().await, "revoked");
}

#[tokio::test]
async fn a_key_whose_time_is_over_ends_nothing() {
    let mut visit = Visit::new().await;
    let tokens = Arc::clone(&visit.world.tokens);
    tokens.rotate_keys(true).await.unwrap();
    assert_eq!(visit.later(Duration::from_hours(2)).await, "stays");
    // The list is read anew, in which the old key counts no more.
    let next = tokens.rotate_keys(true).await.unwrap();
    assert!(!visit.world.is_published(&visit.token));
    assert_eq!(visit.look().await, "stays");
    tokens.revoke_key(&next).await.unwrap();
    assert_eq!(visit.look().await, "stays", "another key");
}

/// What a look-up may find, by name.
type Change = (&'static str, &'static str, fn(&World));

#[tokio::test]
async fn a_session_that_no_refresh_would_revive_ends_its_stays_when_the_token_is_over() {
    let changes: [Change; 5] = [
        ("ended", "revoked", |world| world.pairs.end()),
        ("unused for too long", "expired", |world| {
            world
                .pairs
                .change(|session, _| session.idle_expires_at = session.created_at.plus(TTL));
        }),
        ("disabled", "revoked", |world| {
            world
                .pairs
                .change(|session, user| user.disabled_at = Some(session.created_at));
        }),
        ("of an earlier epoch", "revoked", |world| {
            world.pairs.change(|_, user| user.epoch = Epoch(1));
        }),
        ("of somebody else", "revoked", |world| {
            world.pairs.change(|_, user| user.id.0 = uuid::Uuid::from_u128(9));
        }),
    ];
    for (what, said, change) in changes {
        for mode in [RevocationMode::Cached, RevocationMode::Strict, RevocationMode::Off] {
            let mut visit = Visit::by(with(mode)).await;
            change(&visit.world);
            assert_eq!(visit.later(TTL - SECOND).await, "stays", "{what}: not looked up yet");
            assert_eq!(visit.later(SECOND).await, said, "{what}");
        }
    }
}

#[tokio::test]
async fn a_role_that_the_route_asks_for_and_is_gone_ends_the_stay() {
    let mut visit = Visit::by(Route {
        roles: vec!["staff".parse().unwrap(), "admin".parse().unwrap()],
        ..route()
    })
    .await;
    assert_eq!(visit.later(TTL).await, "stays");
    visit
        .world
        .pairs
        .change(|_, user| user.roles = vec!["admin".parse().unwrap()]);
    assert_eq!(visit.later(TTL).await, "stays", "any of them does");
    visit
        .world
        .pairs
        .change(|_, user| user.roles = vec!["team:a".parse().unwrap()]);
    assert_eq!(visit.later(TTL).await, "forbidden");
}

#[tokio::test]
async fn a_store_that_does_not_answer_ends_nobodys_stay_before_max_staleness() {
    let mut visit = Visit::new().await;
    assert_eq!(visit.later(TTL - SECOND).await, "stays");
    visit.world.pairs.set_down(true);
    assert_eq!(visit.later(SECOND).await, "stays");
    assert_eq!(visit.later(58 * SECOND).await, "stays");
    visit.world.pairs.set_down(false);
    assert_eq!(visit.later(SECOND).await, "stays", "it was back in time");
    assert_eq!(visit.later(TTL - SECOND).await, "stays");
    visit.world.pairs.set_down(true);
    assert_eq!(visit.later(59 * SECOND).await, "stays", "counted anew");
    assert_eq!(visit.later(SECOND).await, "store_unavailable");
}

/// Whoever took nothing for an hour was not looked at for an hour: what is not known then was not known for as long.
#[tokio::test]
async fn ignorance_counts_from_the_last_certainty() {
    let mut visit = Visit::new().await;
    visit.world.pairs.set_down(true);
    assert_eq!(visit.later(TTL).await, "store_unavailable");
}

#[tokio::test]
async fn where_nothing_may_be_taken_from_memory_it_ends_stays_at_once() {
    let mut visit = Visit::by(with(RevocationMode::Strict)).await;
    assert_eq!(visit.later(SECOND).await, "stays");
    visit.world.revocations.set_down(true);
    assert_eq!(visit.later(SECOND).await, "store_unavailable");
}

#[tokio::test]
async fn however_much_one_token_has_open_the_store_is_asked_once_a_second() {
    let mut visit = Visit::by(with(RevocationMode::Strict)).await;
    let mut others: Vec<Box<Watch>> = (0..20).map(|_| Watch::new(visit.guest())).collect();
    let before = visit.world.revocations.asked();
    for _ in 0..3 {
        assert_eq!(visit.later(SECOND).await, "stays");
        for other in &mut others {
            other.look().await.unwrap();
        }
    }
    assert_eq!(visit.world.revocations.asked() - before, 3);
}

#[tokio::test]
async fn nobody_begins_a_stay_who_was_revoked_while_the_upstream_thought() {
    for mode in [RevocationMode::Cached, RevocationMode::Strict] {
        let visit = Visit::by(with(mode)).await;
        assert!(visit.guest().stay().await.is_ok());
        visit.world.revoke(&visit.token).await;
        assert!(visit.guest().stay().await.is_err(), "{mode:?}");
    }
}

async fn may_have_more(stay: &mut Stay) -> Poll<bool> {
    poll_fn(|cx| Poll::Ready(stay.poll_more(cx))).await
}

#[tokio::test]
async fn a_stay_is_over_when_the_guest_must_go() {
    let visit = Visit::new().await;
    tokio::time::pause();
    let mut stay = visit.guest().stay().await.unwrap();
    for _ in 0..10 {
        tokio::time::advance(GLANCE).await;
        assert_eq!(may_have_more(&mut stay).await, Poll::Ready(true));
    }
    let over = visit.guest().stay().await.unwrap().over();
    visit.world.revoke(&visit.token).await;
    tokio::time::timeout(2 * GLANCE, over).await.unwrap();
    tokio::time::advance(GLANCE).await;
    for _ in 0..2 {
        assert_eq!(may_have_more(&mut stay).await, Poll::Ready(false));
    }
}

#[tokio::test]
async fn nothing_is_handed_out_on_the_strength_of_an_old_look() {
    let visit = Visit::by(with(RevocationMode::Strict)).await;
    let mut stay = visit.guest().stay().await.unwrap();
    visit.world.revocations.set_hanging(true);
    visit.world.clock.advance(GLANCE);
    tokio::time::pause();
    tokio::time::advance(GLANCE).await;
    assert_eq!(
        may_have_more(&mut stay).await,
        Poll::Ready(true),
        "looked at a second ago"
    );
    tokio::time::advance(LONGEST).await;
    assert_eq!(may_have_more(&mut stay).await, Poll::Pending, "nobody knows");
    visit.world.revocations.set_hanging(false);
    let answered = poll_fn(|cx| stay.poll_more(cx));
    assert!(tokio::time::timeout(GLANCE, answered).await.unwrap());
}
