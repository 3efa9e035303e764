//! What the room promises to its callers, and that an independent library agrees.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use config::{Algorithm, Claim};
use serde_json::{Value, json};

use super::*;
use world::{START, World, user};

const SECOND: Duration = Duration::from_secs(1);

fn part(token: &str, index: usize) -> Value {
    let octets = URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap();
    serde_json::from_slice(&octets).unwrap()
}

/// Judged by a library that is not ours, against the keys that we publish.
fn by_an_independent_library(tokens: &Tokens, token: &str, audience: &str) -> Value {
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_slice(&tokens.jwks().0).unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    let jwk = set.find(header.kid.as_deref().unwrap()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(jwk).unwrap();
    let mut validation = jsonwebtoken::Validation::new(header.alg);
    validation.set_audience(&[audience]);
    validation.set_issuer(&["https://id.example.com"]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // The clock of the tests stands still.
    validation.validate_exp = false;
    jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap().claims
}

#[tokio::test]
async fn an_independent_library_accepts_our_tokens_against_our_jwks() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let world = World::new(algorithm).await;
        let token = world.issue();
        let claims = by_an_independent_library(&world.tokens, &token.jwt, "gateward");
        assert_eq!(claims["sub"], user().id.to_string());
        let verified = world.tokens.verify(&token.jwt, RevocationMode::Cached).await.unwrap();
        assert_eq!(verified.identity, token.identity);
        let set = std::str::from_utf8(&world.tokens.jwks().0).unwrap().to_owned();
        let keys = verify::against_jwks(&set, &world.settings).unwrap();
        assert_eq!(keys.verify(&token.jwt, START).unwrap(), token.identity);
    }
}

#[tokio::test]
async fn the_jwks_holds_public_members_only_and_is_cached_for_half_the_notice() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let world = World::new(algorithm).await;
        let (set, max_age) = world.tokens.jwks();
        assert!(max_age <= world.settings.publish_before / 2);
        let set: Value = serde_json::from_slice(&set).unwrap();
        let key = set["keys"][0].as_object().unwrap();
        assert_eq!(key["use"], "sig");
        assert_eq!(key["alg"], algorithm.name());
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(!key.contains_key(private), "{private}");
        }
    }
}

#[tokio::test]
async fn an_access_token_says_what_was_contracted() {
    let world = World::new(Algorithm::EdDsa).await;
    let token = world.issue();
    let header = part(&token.jwt, 0);
    assert_eq!(header["typ"], "at+jwt");
    assert_eq!(header["alg"], "EdDSA");
    assert_eq!(header.as_object().unwrap().len(), 3);
    let claims = part(&token.jwt, 1);
    let now = START.as_secs();
    let expected = json!({
        "iss": "https://id.example.com", "sub": user().id.to_string(), "aud": "gateward",
        "iat": now, "nbf": now, "exp": now + 900,
        "jti": token.identity.token.to_string(), "sid": token.identity.session.to_string(),
        "auth_time": now, "amr": ["pwd"], "acr": "urn:gateward:acr:1fa", "email": "ada@example.com", "roles": ["staff", "team:a"],
    });
    assert_eq!(claims, expected);
    assert_eq!(token.expires_in, Duration::from_secs(900));
    assert_eq!(token.identity.token.0.get_version_num(), 7);
    assert!(token.jwt.len() < 1024);
}

#[tokio::test]
async fn several_audiences_are_a_list_and_claims_can_be_left_out() {
    let world = World::new(Algorithm::EdDsa).await;
    let mut settings = world.settings.clone();
    settings.audience.push("other".to_owned());
    settings.claim_email = false;
    settings.claim_roles = false;
    let tokens = world.tokens.reconfigured(&settings, &world.store);
    let token = tokens.issue(&user(), &world.session(&user())).unwrap();
    let claims = part(&token.jwt, 1);
    assert_eq!(claims["aud"], json!(["gateward", "other"]));
    assert_eq!((claims.get("email"), claims.get("roles")), (None, None));
    let verified = tokens.verify(&token.jwt, RevocationMode::Off).await.unwrap();
    assert_eq!(verified.header(Claim::Email), None);
    assert_eq!(verified.header(Claim::Roles), None);
}

#[tokio::test]
async fn what_a_token_says_is_ready_as_header_values() {
    let world = World::new(Algorithm::EdDsa).await;
    let token = world.issue();
    let verified = world.tokens.verify(&token.jwt, RevocationMode::Cached).await.unwrap();
    let header = |claim| verified.header(claim).unwrap().to_str().unwrap();
    assert_eq!(header(Claim::Subject), user().id.to_string());
    assert_eq!(header(Claim::Email), "ada@example.com");
    assert_eq!(header(Claim::Roles), "staff,team:a");
    assert_eq!(header(Claim::Session), token.identity.session.to_string());
    assert_eq!(header(Claim::Token), token.identity.token.to_string());
    assert_eq!(header(Claim::AuthTime), START.as_secs().to_string());
    assert_eq!(header(Claim::Amr), "pwd");
}

#[tokio::test]
async fn a_token_does_not_outlive_its_session() {
    let world = World::new(Algorithm::EdDsa).await;
    let mut session = world.session(&user());
    session.expires_at = START.plus(Duration::from_millis(90_500));
    let token = world.tokens.issue(&user(), &session).unwrap();
    assert_eq!(token.identity.expires_at, START.plus(90 * SECOND));
    session.idle_expires_at = START;
    assert!(world.tokens.issue(&user(), &session).is_err());
}

#[tokio::test]
async fn a_token_that_no_verifier_would_take_is_not_made() {
    let world = World::new(Algorithm::EdDsa).await;
    let mut user = user();
    user.roles = (0..200).map(|n| format!("role-{n:050}").parse().unwrap()).collect();
    assert!(world.tokens.issue(&user, &world.session(&user)).is_err());
}

#[tokio::test]
async fn a_cached_token_expires_like_any_other() {
    let world = World::new(Algorithm::EdDsa).await;
    let token = world.issue();
    let first = world.tokens.verify(&token.jwt, RevocationMode::Cached).await.unwrap();
    let again = world.tokens.verify(&token.jwt, RevocationMode::Cached).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again), "the second time it comes from memory");
    world.clock.advance(Duration::from_secs(900) - Duration::from_millis(1));
    assert!(world.tokens.verify(&token.jwt, RevocationMode::Cached).await.is_ok());
    world.clock.advance(Duration::from_millis(1));
    let cached = world.tokens.verify(&token.jwt, RevocationMode::Cached).await;
    assert!(matches!(cached, Err(Rejected::Expired)));
    let first_sight = world.another().await.verify(&token.jwt, RevocationMode::Cached).await;
    assert!(matches!(first_sight, Err(Rejected::Expired)));
}

#[tokio::test]
async fn a_token_from_a_clock_that_is_too_far_ahead_is_refused_cached_or_not() {
    let world = World::new(Algorithm::EdDsa).await;
    world.clock.advance(31 * SECOND);
    let token = world.issue();
    assert!(world.tokens.verify(&token.jwt, RevocationMode::Off).await.is_ok());
    let behind = World::new(Algorithm::EdDsa).await;
    let keys = verify::against_jwks(std::str::from_utf8(&world.tokens.jwks().0).unwrap(), &world.settings).unwrap();
    assert!(matches!(
        keys.verify(&token.jwt, behind.clock.now()),
        Err(Rejected::Invalid(_))
    ));
    assert!(keys.verify(&token.jwt, behind.clock.now().plus(SECOND)).is_ok());
}

#[tokio::test]
async fn a_cached_token_is_found_by_its_whole_text_only() {
    let world = World::new(Algorithm::EdDsa).await;
    let token = world.issue();
    world.tokens.verify(&token.jwt, RevocationMode::Cached).await.unwrap();
    let other = world.issue();
    let (_, signature) = token.jwt.rsplit_once('.').unwrap();
    let (claims, _) = other.jwt.rsplit_once('.').unwrap();
    for forged in [
        format!("{claims}.{signature}"),
        format!("{}.", claims),
        token.jwt[1..].to_owned(),
    ] {
        assert!(world.tokens.verify(&forged, RevocationMode::Cached).await.is_err());
    }
}

#[tokio::test]
async fn sign_out_can_read_an_expired_or_revoked_token_but_no_forged_one() {
    let world = World::new(Algorithm::EdDsa).await;
    let token = world.issue();
    world
        .tokens
        .revoke(&[Revoked::Token(token.identity.token)])
        .await
        .unwrap();
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(world.tokens.read_expired(&token.jwt).unwrap(), token.identity);
    let (signed, _) = token.jwt.rsplit_once('.').unwrap();
    assert!(world.tokens.read_expired(&format!("{signed}.AAAA")).is_err());
}

#[tokio::test]
async fn another_issuer_or_audience_after_a_reload_holds_for_cached_tokens_too() {
    let world = World::new(Algorithm::EdDsa).await;
    let token = world.issue();
    for _ in 0..3 {
        world.tokens.verify(&token.jwt, RevocationMode::Cached).await.unwrap();
    }
    let mut settings = world.settings.clone();
    settings.audience = vec!["other".to_owned()];
    let tokens = world.tokens.reconfigured(&settings, &world.store);
    let refused = tokens.verify(&token.jwt, RevocationMode::Cached).await;
    assert!(matches!(refused, Err(Rejected::Invalid("audience"))));
}

#[tokio::test]
async fn a_shorter_life_after_a_reload_refuses_no_token_that_is_about() {
    let world = World::new(Algorithm::EdDsa).await;
    let token = world.issue();
    let settings = config::Tokens {
        access_ttl: 60 * SECOND,
        ..world.settings.clone()
    };
    let tokens = world.tokens.reconfigured(&settings, &world.store);
    assert!(tokens.verify(&token.jwt, RevocationMode::Cached).await.is_ok());
    let next = tokens.issue(&user(), &world.session(&user())).unwrap();
    assert_eq!(next.expires_in, 60 * SECOND);
}

#[tokio::test]
async fn an_assertion_is_for_one_route_and_made_again_before_it_is_old() {
    let world = World::new(Algorithm::EdDsa).await;
    let token = world.issue();
    let verified = world.tokens.verify(&token.jwt, RevocationMode::Cached).await.unwrap();
    let assertion = |route| world.tokens.assertion(&verified, route).unwrap();
    let first = assertion("app");
    let text = first.to_str().unwrap();
    assert_eq!(part(text, 0)["typ"], "gateward-assertion+jwt");
    let claims = by_an_independent_library(&world.tokens, text, "app");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);
    assert_eq!(claims["sid"], token.identity.session.to_string());
    assert_eq!(claims["roles"], json!(["staff", "team:a"]));
    assert_ne!(assertion("api"), first);
    world.clock.advance(49 * SECOND);
    assert_eq!(assertion("app"), first, "used again");
    world.clock.advance(SECOND);
    assert_ne!(assertion("app"), first);
}

#[tokio::test]
async fn neither_an_assertion_nor_a_refresh_token_is_an_access_token() {
    let world = World::new(Algorithm::EdDsa).await;
    let token = world.issue();
    let verified = world.tokens.verify(&token.jwt, RevocationMode::Cached).await.unwrap();
    // A route may be called like our audience.
    let assertion = world.tokens.assertion(&verified, "gateward").unwrap();
    let refused = world
        .tokens
        .verify(assertion.to_str().unwrap(), RevocationMode::Cached)
        .await;
    assert!(matches!(refused, Err(Rejected::Invalid("type"))));
    let (refresh, _) = world.tokens.first_refresh_token(token.identity.session).unwrap();
    let refused = world.tokens.verify(refresh.expose(), RevocationMode::Cached).await;
    assert!(matches!(refused, Err(Rejected::Invalid(_))));
    assert!(world.tokens.read_refresh(&token.jwt).is_none());
}

#[tokio::test]
async fn no_debug_output_holds_a_token() {
    let world = World::new(Algorithm::EdDsa).await;
    let token = world.issue();
    let verified = world.tokens.verify(&token.jwt, RevocationMode::Cached).await.unwrap();
    let said = format!("{token:?} {verified:?} {:?}", world.tokens);
    let signature = token.jwt.rsplit('.').next().unwrap();
    assert!(!said.contains(signature));
}
