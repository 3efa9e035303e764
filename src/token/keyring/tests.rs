//! The life of keys over real stores: made, rotated, revoked, imported, by one gateway or several.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::config::{Algorithm, RevocationMode};
use crate::token::world::{START, World, user};
use crate::token::{AccessToken, Rejected, Tokens};

async fn passes(tokens: &Tokens, token: &AccessToken) -> bool {
    match tokens.verify(&token.jwt, RevocationMode::Cached).await {
        Ok(_) => true,
        Err(Rejected::Invalid("unknown key")) => false,
        Err(other) => panic!("{other}"),
    }
}

async fn states(tokens: &Tokens) -> Vec<KeyState> {
    tokens.keys().await.unwrap().into_iter().map(|key| key.state).collect()
}

async fn turn(tokens: &Tokens) {
    tokens
        .state
        .keyring
        .turn(&tokens.state.policy.load_full())
        .await
        .unwrap();
}

fn published(tokens: &Tokens) -> usize {
    let set: serde_json::Value = serde_json::from_slice(&tokens.jwks().0).unwrap();
    set["keys"].as_array().unwrap().len()
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[tokio::test]
async fn the_first_key_is_made_once_and_signs_at_once() {
    let world = World::new(Algorithm::EdDsa).await;
    assert_eq!(states(&world.tokens).await, [KeyState::Signing]);
    let other = world.another().await;
    assert!(passes(&other, &world.issue()).await);
    assert_eq!(states(&other).await.len(), 1);
}

#[tokio::test]
async fn another_secret_is_told_apart_from_a_store_that_fails() {
    let world = World::new(Algorithm::EdDsa).await;
    assert!(matches!(world.with_secret(8).await, Err(TokenError::WrongSecret)));
}

#[tokio::test]
async fn a_rotation_publishes_first_and_keeps_the_old_key_for_its_tokens() {
    let world = World::new(Algorithm::EdDsa).await;
    let tokens = &world.tokens;
    let kid = tokens.rotate_keys(false).await.unwrap();
    assert_eq!(states(tokens).await, [KeyState::Signing, KeyState::Published]);
    assert_eq!(published(tokens), 2);
    let infos = tokens.keys().await.unwrap();
    assert_eq!(infos[0].next_change, Some(START.plus(world.settings.publish_before)));
    assert_eq!(infos[1].kid, kid);
    world
        .clock
        .advance(world.settings.publish_before - Duration::from_secs(1));
    let old = world.issue();
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(states(tokens).await, [KeyState::Retiring, KeyState::Signing]);
    world.clock.advance(Duration::from_secs(898));
    assert!(passes(tokens, &old).await, "to the end of its life");
    assert!(passes(&*world.another().await, &old).await);
    world.clock.advance(Duration::from_secs(60));
    turn(tokens).await;
    assert_eq!(published(tokens), 1);
    world.clock.advance(Duration::from_secs(3600));
    turn(tokens).await;
    assert_eq!(states(tokens).await, [KeyState::Signing], "the old one was taken away");
}

#[tokio::test]
async fn keys_rotate_on_schedule_and_one_gateway_does_it_for_all() {
    let world = World::new(Algorithm::EdDsa).await;
    let other = world.another().await;
    let due = world.settings.rotate_every - world.settings.publish_before;
    world.clock.advance(due - Duration::from_secs(1));
    turn(&world.tokens).await;
    assert_eq!(states(&world.tokens).await.len(), 1);
    world.clock.advance(Duration::from_secs(1));
    tokio::join!(turn(&world.tokens), turn(&other), turn(&other), turn(&world.tokens));
    assert_eq!(states(&world.tokens).await, [KeyState::Signing, KeyState::Published]);
    assert_eq!(world.tokens.keys().await.unwrap(), other.keys().await.unwrap());
}

#[tokio::test]
async fn a_token_of_a_key_made_elsewhere_a_moment_ago_is_accepted() {
    let world = World::new(Algorithm::EdDsa).await;
    let other = world.another().await;
    world.tokens.rotate_keys(true).await.unwrap();
    assert!(passes(&other, &world.issue()).await);
}

#[tokio::test]
async fn inventing_key_names_does_not_keep_the_store_busy() {
    let world = World::new(Algorithm::EdDsa).await;
    let other = world.another().await;
    let begun = Instant::now();
    assert!(!world.tokens.state.keyring.look_for("invented").await.unwrap());
    let newest = other.rotate_keys(true).await.unwrap();
    let found = world.tokens.state.keyring.look_for(&newest).await.unwrap();
    assert!(
        !found || begun.elapsed() >= AT_MOST_EVERY,
        "the store was asked again so soon"
    );
}

#[tokio::test]
async fn a_revocation_counts_even_if_another_key_does_not_open() {
    let world = World::new(Algorithm::EdDsa).await;
    let token = world.issue();
    assert!(passes(&world.tokens, &token).await);
    let kid = world.tokens.keys().await.unwrap()[0].kid.clone();
    let foreign = StoredKey {
        kid: "foreign".to_owned(),
        algorithm: Algorithm::EdDsa,
        sealed: vec![1; 64],
        created_at: START.plus(EVERY),
        active_from: START,
        retires_at: None,
        revoked_at: None,
    };
    assert!(world.stores.accounts.add_key(&foreign, Some(&kid), None).await.unwrap());
    world.stores.accounts.revoke_key(&kid, START).await.unwrap();
    assert!(matches!(world.tokens.keys().await, Err(TokenError::WrongSecret)));
    assert!(!passes(&world.tokens, &token).await);
}

#[tokio::test]
async fn a_revoked_key_takes_its_tokens_along_cached_or_not_and_another_signs() {
    let world = World::new(Algorithm::EdDsa).await;
    let other = world.another().await;
    let token = world.issue();
    assert!(passes(&world.tokens, &token).await);
    assert!(passes(&other, &token).await);
    let kid = world.tokens.keys().await.unwrap()[0].kid.clone();
    assert!(world.tokens.revoke_key(&kid).await.unwrap());
    assert!(!passes(&world.tokens, &token).await);
    let next = world.issue();
    assert!(passes(&world.tokens, &next).await);
    assert!(passes(&other, &token).await, "it has not read the keys yet");
    turn(&other).await;
    assert!(!passes(&other, &token).await);
    assert!(passes(&other, &next).await);
    assert_eq!(states(&other).await, [KeyState::Revoked, KeyState::Signing]);
    assert_eq!(published(&other), 1);
    assert!(!world.tokens.revoke_key(&kid).await.unwrap(), "once only");
    assert!(!world.tokens.revoke_key("unknown").await.unwrap());
}

#[tokio::test]
async fn a_published_key_steps_in_for_a_revoked_one() {
    let world = World::new(Algorithm::EdDsa).await;
    let next = world.tokens.rotate_keys(false).await.unwrap();
    let first = world.tokens.keys().await.unwrap()[0].kid.clone();
    assert!(world.tokens.revoke_key(&first).await.unwrap());
    let keys = world.tokens.keys().await.unwrap();
    assert_eq!(keys.len(), 2);
    assert_eq!(
        (keys[1].kid.as_str(), keys[1].state),
        (next.as_str(), KeyState::Signing)
    );
    assert!(passes(&world.tokens, &world.issue()).await);
}

#[tokio::test]
async fn an_assertion_of_a_revoked_key_is_made_anew() {
    let world = World::new(Algorithm::EdDsa).await;
    let token = world.issue();
    let verified = world.tokens.verify(&token.jwt, RevocationMode::Cached).await.unwrap();
    let old = world.tokens.assertion(&verified, "app").unwrap();
    let kid = world.tokens.keys().await.unwrap()[0].kid.clone();
    world.tokens.revoke_key(&kid).await.unwrap();
    assert_ne!(world.tokens.assertion(&verified, "app").unwrap(), old);
}

#[tokio::test]
async fn a_key_of_another_algorithm_takes_over_after_its_notice() {
    let world = World::new(Algorithm::EdDsa).await;
    let settings = crate::token::world::settings(Algorithm::Es256);
    let tokens = world.tokens.reconfigured(&settings, &world.store);
    turn(&tokens).await;
    let old = tokens.issue(&user(), &world.session(&user())).unwrap();
    world.clock.advance(settings.publish_before - Duration::from_secs(60));
    let last = tokens.issue(&user(), &world.session(&user())).unwrap();
    world.clock.advance(Duration::from_secs(60));
    let new = tokens.issue(&user(), &world.session(&user())).unwrap();
    let header = |token: &AccessToken| token.jwt.split('.').next().unwrap().to_owned();
    assert_eq!(header(&old), header(&last));
    assert_ne!(header(&old), header(&new));
    assert!(passes(&tokens, &new).await);
    assert!(passes(&tokens, &last).await);
}

#[tokio::test]
async fn an_operators_key_is_published_and_then_signs() {
    let world = World::new(Algorithm::Rs256).await;
    let pair = Pair::generate(Algorithm::Rs256).unwrap();
    let pkcs8 = pair.to_pkcs8().unwrap();
    // PKCS#8 wraps PKCS#1 in 26 octets for a key of this size (RFC 5958 §2).
    for pem in [pem("PRIVATE KEY", &pkcs8), pem("RSA PRIVATE KEY", &pkcs8[26..])] {
        assert_eq!(Pair::from_pem(&pem).unwrap().public().unwrap(), pair.public().unwrap());
    }
    let kid = world.tokens.import_key(&pem("PRIVATE KEY", &pkcs8)).await.unwrap();
    assert_eq!(kid, pair.public().unwrap().thumbprint());
    assert_eq!(states(&world.tokens).await, [KeyState::Signing, KeyState::Published]);
    world.clock.advance(world.settings.publish_before);
    assert!(passes(&world.tokens, &world.issue()).await);
    assert_eq!(states(&world.tokens).await, [KeyState::Retiring, KeyState::Signing]);
    let again = world.tokens.import_key(&pem("PRIVATE KEY", &pkcs8)).await;
    assert!(matches!(again, Err(TokenError::BadKey(_))));
}

#[tokio::test]
async fn a_key_that_is_of_no_use_is_refused_with_a_reason() {
    let world = World::new(Algorithm::Rs256).await;
    let other = Pair::generate(Algorithm::EdDsa).unwrap();
    for (text, word) in [
        (pem("PRIVATE KEY", &other.to_pkcs8().unwrap()), "tokens.algorithm"),
        (pem("ENCRYPTED PRIVATE KEY", b"x"), "encrypted"),
        (pem("PRIVATE KEY", b"x"), "damaged"),
        (pem("CERTIFICATE", b"x"), "no PEM private key"),
        ("nothing".to_owned(), "no PEM private key"),
    ] {
        let error = world.tokens.import_key(&text).await.unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    assert_eq!(states(&world.tokens).await.len(), 1);
}

#[tokio::test]
async fn every_algorithm_survives_being_sealed_and_opened() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let world = World::new(algorithm).await;
        let other = world.another().await;
        assert!(passes(&other, &world.issue()).await);
        let token = other.issue(&user(), &world.session(&user())).unwrap();
        assert!(passes(&world.tokens, &token).await);
    }
}
