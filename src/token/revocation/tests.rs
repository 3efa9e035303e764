//! What is revoked is refused, wherever it was revoked and whatever the store does; what is not goes on.

use futures_util::FutureExt;

use super::*;
use crate::config::Algorithm;
use crate::model::user::UserId;
use crate::token::world::{World, user};
use crate::token::{AccessToken, Tokens};

use RevocationMode::{Cached, Off, Strict};

const MINUTE: Duration = Duration::from_secs(60);

async fn world() -> World {
    World::new(Algorithm::EdDsa).await
}

async fn passes(tokens: &Tokens, token: &AccessToken, mode: RevocationMode) -> bool {
    match tokens.verify(&token.jwt, mode).await {
        Ok(_) => true,
        Err(Rejected::Revoked) => false,
        Err(other) => panic!("{other}"),
    }
}

async fn is_unavailable(tokens: &Tokens, token: &AccessToken, mode: RevocationMode) -> bool {
    matches!(tokens.verify(&token.jwt, mode).await, Err(Rejected::Unavailable(_)))
}

/// One turn of the feed.
async fn feed(tokens: &Tokens) {
    tokens.state.revocations.load().await;
}

#[tokio::test]
async fn a_token_is_refused_at_once_when_it_its_session_or_its_user_is_revoked() {
    let world = world().await;
    for kind in 0..3 {
        let token = world.issue();
        assert!(passes(&world.tokens, &token, Cached).await);
        let what = match kind {
            0 => Revoked::Token(token.identity.token),
            1 => Revoked::Session(token.identity.session),
            _ => Revoked::User(token.identity.user, world.clock.now()),
        };
        world.tokens.revoke(&[what]).await.unwrap();
        assert!(!passes(&world.tokens, &token, Cached).await, "{what:?}");
        assert!(!passes(&world.tokens, &token, Strict).await, "{what:?}");
        assert!(passes(&world.tokens, &token, Off).await, "the route does not look");
    }
}

#[tokio::test]
async fn a_revoked_user_keeps_sessions_opened_later_and_others_keep_theirs() {
    let world = world().await;
    let moment = world.clock.now();
    world.tokens.revoke(&[Revoked::User(user().id, moment)]).await.unwrap();
    world
        .tokens
        .revoke(&[Revoked::User(UserId(uuid::Uuid::from_u128(9)), moment.plus(MINUTE))])
        .await
        .unwrap();
    world.clock.advance(Duration::from_millis(1));
    let later = world.issue();
    assert!(passes(&world.tokens, &later, Cached).await);
    // An older moment that arrives late takes nothing back and revokes nothing more.
    world
        .tokens
        .revoke(&[Revoked::User(user().id, moment.minus(MINUTE))])
        .await
        .unwrap();
    assert!(passes(&world.tokens, &later, Cached).await);
}

#[tokio::test]
async fn what_another_gateway_revokes_arrives_by_the_feed() {
    let world = world().await;
    let other = world.another().await;
    let token = world.issue();
    assert!(passes(&other, &token, Cached).await);
    world
        .tokens
        .revoke(&[Revoked::Session(token.identity.session)])
        .await
        .unwrap();
    assert!(
        passes(&other, &token, Cached).await,
        "cleared, and the news is still under way"
    );
    assert!(!passes(&other, &token, Strict).await, "strict does not wait for it");
    feed(&other).await;
    assert!(!passes(&other, &token, Cached).await);
}

#[tokio::test]
async fn a_running_gateway_hears_of_a_revocation_by_itself() {
    let world = world().await;
    let other = world.another().await;
    let running = Arc::clone(&other);
    let maintaining = tokio::spawn(async move { running.maintain().await });
    let token = world.issue();
    assert!(passes(&other, &token, Cached).await);
    world
        .tokens
        .revoke(&[Revoked::Token(token.identity.token)])
        .await
        .unwrap();
    let heard = async {
        while passes(&other, &token, Cached).await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), heard).await.unwrap();
    maintaining.abort();
}

#[tokio::test]
async fn a_gateway_that_starts_knows_what_was_revoked_before() {
    let world = world().await;
    let token = world.issue();
    world
        .tokens
        .revoke(&[Revoked::Token(token.identity.token)])
        .await
        .unwrap();
    let late = world.another().await;
    let asked = world.revocations.asked();
    assert!(!passes(&late, &token, Cached).await);
    assert_eq!(world.revocations.asked(), asked, "from memory");
}

#[tokio::test]
async fn the_store_is_asked_once_for_a_token_while_the_feed_is_up() {
    let world = world().await;
    let token = world.issue();
    for _ in 0..5 {
        assert!(passes(&world.tokens, &token, Cached).await);
    }
    assert_eq!(world.revocations.asked(), 1);
    for _ in 0..3 {
        assert!(passes(&world.tokens, &token, Strict).await);
    }
    assert_eq!(world.revocations.asked(), 4, "strict asks each time");
}

#[tokio::test]
async fn requests_that_race_with_one_token_ask_once() {
    let world = world().await;
    let token = world.issue();
    // In memory, but not cleared: what a new epoch leaves behind.
    world.tokens.verify(&token.jwt, Off).await.unwrap();
    let races = (0..32).map(|_| passes(&world.tokens, &token, Cached));
    assert!(
        futures_util::future::join_all(races)
            .await
            .into_iter()
            .all(|passed| passed)
    );
    assert_eq!(world.revocations.asked(), 1);
}

#[tokio::test]
async fn when_the_feed_breaks_tokens_are_asked_for_again() {
    let world = world().await;
    let other = world.another().await;
    let token = world.issue();
    assert!(passes(&other, &token, Cached).await);
    other.state.revocations.feed_is_down(&"broken on purpose");
    let asked = world.revocations.asked();
    world
        .tokens
        .revoke(&[Revoked::Token(token.identity.token)])
        .await
        .unwrap();
    assert!(!passes(&other, &token, Cached).await);
    assert_eq!(world.revocations.asked(), asked + 1);
    assert!(!passes(&other, &token, Cached).await);
    assert_eq!(
        world.revocations.asked(),
        asked + 1,
        "what was said to be revoked stays so"
    );
}

#[tokio::test]
async fn while_the_feed_is_down_an_answer_of_the_store_is_good_for_a_second() {
    let world = world().await;
    let token = world.issue();
    world.tokens.state.revocations.feed_is_down(&"broken on purpose");
    assert!(passes(&world.tokens, &token, Cached).await);
    assert!(passes(&world.tokens, &token, Cached).await);
    assert_eq!(world.revocations.asked(), 1);
    world.clock.advance(PAUSE);
    assert!(passes(&world.tokens, &token, Cached).await);
    assert_eq!(world.revocations.asked(), 2);
}

#[tokio::test]
async fn without_the_store_known_tokens_go_on_and_new_ones_for_max_staleness() {
    let world = world().await;
    let known = world.issue();
    assert!(passes(&world.tokens, &known, Cached).await);
    world.revocations.set_down(true);
    feed(&world.tokens).await;
    let new = world.issue();
    world.clock.advance(MINUTE - Duration::from_millis(1));
    assert!(passes(&world.tokens, &new, Cached).await);
    world.clock.advance(Duration::from_millis(1));
    assert!(is_unavailable(&world.tokens, &new, Cached).await);
    assert!(passes(&world.tokens, &known, Cached).await, "a blip signs nobody out");
    assert!(is_unavailable(&world.tokens, &known, Strict).await);
    assert!(passes(&world.tokens, &new, Off).await);
    world.revocations.set_down(false);
    feed(&world.tokens).await;
    world.clock.advance(PAUSE);
    assert!(passes(&world.tokens, &new, Cached).await, "recovery is by itself");
}

#[tokio::test]
async fn nothing_waits_for_a_store_that_just_failed() {
    let world = world().await;
    world.revocations.set_down(true);
    feed(&world.tokens).await;
    for _ in 0..5 {
        assert!(passes(&world.tokens, &world.issue(), Cached).await);
    }
    assert_eq!(world.revocations.asked(), 1);
}

#[tokio::test]
async fn a_token_that_comes_right_after_an_outage_is_known_in_the_next_one() {
    let world = world().await;
    world.revocations.set_down(true);
    feed(&world.tokens).await;
    assert!(passes(&world.tokens, &world.issue(), Cached).await);
    world.revocations.set_down(false);
    feed(&world.tokens).await;
    let token = world.issue();
    assert!(passes(&world.tokens, &token, Cached).await);
    world.revocations.set_down(true);
    feed(&world.tokens).await;
    world.clock.advance(2 * MINUTE);
    assert!(passes(&world.tokens, &token, Cached).await);
}

#[tokio::test]
async fn what_was_revoked_stays_refused_while_the_store_is_down() {
    let world = world().await;
    let token = world.issue();
    world
        .tokens
        .revoke(&[Revoked::Session(token.identity.session)])
        .await
        .unwrap();
    world.revocations.set_down(true);
    feed(&world.tokens).await;
    assert!(!passes(&world.tokens, &token, Cached).await);
}

#[tokio::test]
async fn a_revocation_that_the_store_did_not_take_is_reported() {
    let world = world().await;
    let token = world.issue();
    world.revocations.set_down(true);
    let refused = world.tokens.revoke(&[Revoked::Token(token.identity.token)]).await;
    assert!(matches!(refused, Err(TokenError::Store(_))));
}

#[tokio::test]
async fn a_gateway_that_never_heard_the_feed_concludes_nothing_from_silence() {
    let world = world().await;
    world.revocations.set_down(true);
    let late = world.another().await;
    assert!(is_unavailable(&late, &world.issue(), Cached).await);
}

#[tokio::test]
async fn revocations_that_a_store_lost_are_put_back() {
    let world = world().await;
    let token = world.issue();
    world
        .tokens
        .revoke(&[Revoked::Token(token.identity.token)])
        .await
        .unwrap();
    feed(&world.tokens).await;
    world.revocations.lose();
    assert_eq!(world.revocations.held(), 0);
    feed(&world.tokens).await;
    assert_eq!(world.revocations.held(), 1);
    feed(&world.tokens).await;
    assert!(!passes(&world.tokens, &token, Cached).await);
    assert!(!passes(&*world.another().await, &token, Cached).await);
}

#[tokio::test]
async fn what_a_store_lost_while_it_was_away_is_put_back_and_its_sessions_end_again() {
    let world = world().await;
    let session = world.session(&user());
    world.tokens.revoke(&[Revoked::Session(session.id)]).await.unwrap();
    feed(&world.tokens).await;
    world.revocations.set_down(true);
    feed(&world.tokens).await;
    // A replica that was behind takes over: it has neither the revocation nor the end of the session.
    world.revocations.lose();
    world.stores.sessions.open(&session).await.unwrap();
    world.revocations.set_down(false);
    feed(&world.tokens).await;
    assert_eq!(world.revocations.held(), 1);
    assert_eq!(world.stores.sessions.find(session.id).await.unwrap(), None);
}

#[tokio::test]
async fn our_own_news_coming_back_does_not_make_every_token_be_looked_up_again() {
    let world = world().await;
    world
        .tokens
        .revoke(&[Revoked::User(user().id, world.clock.now())])
        .await
        .unwrap();
    let version = world.tokens.state.revocations.mirror.version();
    feed(&world.tokens).await;
    assert_eq!(world.tokens.state.revocations.mirror.version(), version);
}

/// Whether it is let through without waiting for anything.
fn passes_at_once(tokens: &Tokens, token: &AccessToken) -> bool {
    let judged = tokens.verify(&token.jwt, Cached).now_or_never();
    matches!(judged, Some(Ok(_)))
}

/// Whatever was spawned gets its turn.
async fn until_asked(world: &World, times: usize) {
    let asked = async {
        while world.revocations.asked() < times {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(10), asked).await;
    assert!(in_time.is_ok(), "asked {} times", world.revocations.asked());
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.revocations.asked(), times);
}

async fn until_refused(tokens: &Tokens, token: &AccessToken) {
    let refused = async {
        while passes(tokens, token, Cached).await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), refused).await.unwrap();
}

#[tokio::test]
async fn a_known_token_waits_for_no_store_that_hangs_and_is_asked_for_once_meanwhile() {
    let world = world().await;
    let [one, other] = [world.issue(), world.issue()];
    for token in [&one, &other] {
        assert!(passes(&world.tokens, token, Cached).await);
    }
    world.revocations.set_hanging(true);
    feed(&world.tokens).await;
    world.clock.advance(2 * MINUTE);
    for _ in 0..3 {
        assert!(passes_at_once(&world.tokens, &one));
        assert!(passes_at_once(&world.tokens, &other));
        until_asked(&world, 4).await;
    }
    let strict = world.tokens.verify(&one.jwt, Strict).now_or_never();
    assert!(strict.is_none(), "strict waits for an answer");
    world.revocations.set_hanging(false);
    feed(&world.tokens).await;
    assert!(passes(&world.tokens, &one, Cached).await);
}

#[tokio::test]
async fn questions_that_nobody_waits_for_are_bounded_in_number() {
    let world = world().await;
    let tokens: Vec<AccessToken> = (0..2 * MEANWHILE).map(|_| world.issue()).collect();
    for token in &tokens {
        assert!(passes(&world.tokens, token, Cached).await);
    }
    world.revocations.set_hanging(true);
    feed(&world.tokens).await;
    for token in tokens.iter().chain(&tokens) {
        assert!(passes_at_once(&world.tokens, token));
    }
    until_asked(&world, tokens.len() + MEANWHILE).await;
}

#[tokio::test]
async fn a_revocation_of_a_silent_store_counts_as_soon_as_it_answers() {
    let world = world().await;
    let other = world.another().await;
    let token = world.issue();
    assert!(passes(&other, &token, Cached).await);
    world.revocations.set_hanging(true);
    feed(&other).await;
    assert!(passes_at_once(&other, &token));
    world.revocations.set_hanging(false);
    world
        .tokens
        .revoke(&[Revoked::Session(token.identity.session)])
        .await
        .unwrap();
    // By the question alone: the feed is still down.
    until_refused(&other, &token).await;
    // Nobody has to wait for a first request to find that out: the whole feed says it.
    let second = world.issue();
    assert!(passes(&other, &second, Cached).await);
    world
        .tokens
        .revoke(&[Revoked::Token(second.identity.token)])
        .await
        .unwrap();
    feed(&other).await;
    assert!(!passes(&other, &second, Cached).await);
}

#[tokio::test]
async fn when_the_store_answers_and_the_feed_is_down_a_known_token_waits_for_the_answer() {
    let world = world().await;
    let other = world.another().await;
    let token = world.issue();
    world.revocations.set_down(true);
    feed(&other).await;
    world.revocations.set_down(false);
    assert!(passes(&other, &token, Cached).await, "new, so asked for: it answers");
    world
        .tokens
        .revoke(&[Revoked::Token(token.identity.token)])
        .await
        .unwrap();
    world.clock.advance(PAUSE);
    assert!(!passes(&other, &token, Cached).await);
}

#[tokio::test]
async fn a_token_from_before_an_outage_waits_in_none_that_follows() {
    let world = world().await;
    let token = world.issue();
    assert!(passes(&world.tokens, &token, Cached).await);
    world.revocations.set_down(true);
    feed(&world.tokens).await;
    world.revocations.set_down(false);
    feed(&world.tokens).await;
    // The feed does not know yet, and the token was not asked for in this epoch.
    world.revocations.set_hanging(true);
    assert!(passes_at_once(&world.tokens, &token));
}
