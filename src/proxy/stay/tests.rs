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
    stay: Stay,
}

impl Visit {
    async fn by(route: Route) -> Self {
        let world = World::new(Algorithm::EdDsa).await;
        let token = world.signed_in();
        let who = world.tokens.verify(&token.jwt, route.revocation).await.unwrap();
        let stay = Stay::new(Guest {
            tokens: &world.tokens,
            who: &who,
            found: &found(route),
        });
        Self { world, token, stay }
    }

    async fn new() -> Self {
        Self::by(route()).await
    }

    /// `stays`, or why not.
    async fn look(&mut self) -> &'static str {
        self.stay.look().await.err().unwrap_or("stays")
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
    assert_eq!(visit.look().await, "invalid");
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
    assert_eq!(visit.later(TTL).await, "invalid");
}

#[tokio::test]
async fn a_store_that_does_not_answer_ends_nobodys_stay_before_max_staleness() {
    let mut visit = Visit::new().await;
    assert_eq!(visit.later(TTL - SECOND).await, "stays");
    visit.world.pairs.set_down(true);
    assert_eq!(visit.later(SECOND).await, "stays");
    assert_eq!(visit.later(59 * SECOND).await, "stays");
    visit.world.pairs.set_down(false);
    assert_eq!(visit.later(SECOND).await, "stays", "it was back in time");
    visit.world.pairs.set_down(true);
    assert_eq!(visit.later(TTL).await, "stays", "counted anew");
    assert_eq!(visit.later(60 * SECOND).await, "store_unavailable");
}

#[tokio::test]
async fn where_nothing_may_be_taken_from_memory_it_ends_stays_at_once() {
    let mut visit = Visit::by(with(RevocationMode::Strict)).await;
    assert_eq!(visit.look().await, "stays");
    visit.world.revocations.set_down(true);
    assert_eq!(visit.look().await, "store_unavailable");
}

#[tokio::test]
async fn an_ending_is_done_when_the_guest_must_go() {
    let visit = Visit::new().await;
    let found = Arc::clone(&visit.stay.found);
    tokio::time::pause();
    let mut ending = Guest {
        tokens: &visit.world.tokens,
        who: &visit.stay.who,
        found: &found,
    }
    .ending();
    let early = tokio::time::timeout(100 * SECOND, &mut ending).await;
    assert!(early.is_err(), "nothing has happened");
    visit.world.revoke(&visit.token).await;
    tokio::time::timeout(2 * SECOND, ending).await.unwrap();
}
