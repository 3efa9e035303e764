//! Access tokens: good ones verify with anybody's library, forged ones never reach an upstream.

pub mod mint;

use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use crate::world::forge::encode;
use crate::world::{Upstream, World};
use mint::Mint;

async fn jwks(world: &World) -> Value {
    world.client().get("/.well-known/jwks.json").send().await.is(200).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_verifies_with_an_independent_library_against_the_jwks() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let person = world.person("ada").await;
    let set: JwkSet = serde_json::from_value(jwks(&world).await).expect("a JWK set");
    let header = jsonwebtoken::decode_header(&person.access).expect("a header");
    assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::RS256, Some("at+jwt")));

    let jwk = set
        .find(header.kid.as_deref().expect("a kid"))
        .expect("its key is published");
    let mut wanted = Validation::new(Algorithm::RS256);
    wanted.set_audience(&["gateward"]);
    wanted.set_issuer(&[world.origin()]);
    wanted.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    let key = DecodingKey::from_jwk(jwk).expect("a key");
    let token = jsonwebtoken::decode::<Value>(&person.access, &key, &wanted).expect("the token verifies");
    assert_eq!(token.claims["sub"], person.id.as_str());
    assert_eq!(token.claims["email"], person.email.as_str());
    for claim in ["iat", "nbf", "exp", "auth_time"] {
        assert!(token.claims[claim].is_u64(), "{claim} is no number: {}", token.claims);
    }
    assert_eq!(
        token.claims["exp"]
            .as_u64()
            .zip(token.claims["iat"].as_u64())
            .map(|(e, i)| e - i),
        Some(900)
    );
    assert_eq!(token.claims["amr"], json!(["pwd"]));
    assert!(token.claims["jti"].is_string() && token.claims["sid"].is_string());
    assert!(person.access.len() < 1000, "{} bytes", person.access.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_jwks_holds_public_members_and_thumbprints_only() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let answer = world.client().get("/.well-known/jwks.json").send().await.is(200);
    let cache = answer.header("cache-control").to_owned();
    let age: u64 = cache
        .split("max-age=")
        .nth(1)
        .and_then(|age| age.parse().ok())
        .expect("a max-age");
    assert!(
        cache.starts_with("public") && age <= 1800,
        "at most half of publish_before: {cache}"
    );

    let set = answer.json();
    let keys = set["keys"].as_array().expect("keys");
    assert!(!keys.is_empty());
    for key in keys {
        let mut names: Vec<&str> = key.as_object().expect("a key").keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["alg", "e", "kid", "kty", "n", "use"]);
        assert_eq!((&key["use"], &key["alg"]), (&json!("sig"), &json!("RS256")));
        let e = key["e"].as_str().expect("e");
        let n = key["n"].as_str().expect("n");
        // RFC 7638 §3: required members in lexicographic order, no white space.
        let members = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
        assert_eq!(
            key["kid"],
            encode(digest(&SHA256, members.as_bytes()).as_ref()).as_str()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_headers_never_reach_the_upstream() {
    let upstream = Upstream::friendly();
    let mint = Mint::open(&upstream).await;
    mint.person
        .client
        .get("/things")
        .bearer(&mint.good())
        .send()
        .await
        .is(200);
    assert_eq!(upstream.last().value("x-forwarded-user"), mint.person.id);

    for (what, token) in mint.forged_headers() {
        mint.refuses(&upstream, &what, &token).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_claims_never_reach_the_upstream() {
    let upstream = Upstream::friendly();
    let mint = Mint::open(&upstream).await;
    mint.person
        .client
        .get("/things")
        .bearer(&mint.good())
        .send()
        .await
        .is(200);
    for (what, token) in mint.forged_claims() {
        mint.refuses(&upstream, &what, &token).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_signatures_and_spellings_never_reach_the_upstream() {
    let upstream = Upstream::friendly();
    let mint = Mint::open(&upstream).await;
    let good = mint.good();
    mint.person.client.get("/things").bearer(&good).send().await.is(200);
    for (what, token) in mint.forged_spellings() {
        mint.refuses(&upstream, &what, &token).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_bearer_never_falls_back_to_the_cookie_and_two_credentials_must_agree() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let ada = world.person("ada").await;
    let ben = world.person("ben").await;
    let cookie = |token: &str| format!("__Host-gateward={token}");
    let call = || world.client().get("/things");

    call().header("cookie", &cookie(&ada.access)).send().await.is(200);
    call()
        .header("cookie", &cookie(&ada.access))
        .bearer("nonsense")
        .send()
        .await
        .problem(401, "invalid_token");
    let disagreeing = call()
        .header("cookie", &cookie(&ada.access))
        .bearer(&ben.access)
        .send()
        .await;
    assert!(matches!(disagreeing.status, 400 | 401), "{}", disagreeing.text());
    let doubled = format!("{}; {}", cookie(&ada.access), cookie(&ben.access));
    let doubled = call().header("cookie", &doubled).send().await;
    assert!(matches!(doubled.status, 400 | 401), "{}", doubled.text());
    let lines = call()
        .header("cookie", &cookie(&ada.access))
        .header("cookie", &cookie(&ben.access))
        .send()
        .await;
    assert!(matches!(lines.status, 400 | 401), "{}", lines.text());
    let two = call().bearer(&ada.access).bearer(&ada.access).send().await;
    assert!(matches!(two.status, 400 | 401), "{}", two.text());
    assert_eq!(upstream.count(), 1);

    // RFC 9110 §11.1: a scheme's name has no case.
    call()
        .header("authorization", &format!("bearer {}", ada.access))
        .send()
        .await
        .is(200);
    // A token in the query is no credential.
    world
        .client()
        .get(&format!("/things?access_token={}", ada.access))
        .send()
        .await
        .problem(401, "no_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_that_do_not_accept_a_credential_do_not_see_it() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.route("bearer-only", "path = \"/b\"\ncredentials = [\"bearer\"]");
        config.route("cookie-only", "path = \"/c\"\ncredentials = [\"cookie\"]");
    });
    let ada = world.person("ada").await;
    let cookie = format!("__Host-gateward={}", ada.access);
    ada.get("/b").await.is(200);
    world.client().get("/c").header("cookie", &cookie).send().await.is(200);
    world
        .client()
        .get("/b")
        .header("cookie", &cookie)
        .send()
        .await
        .problem(401, "no_token");
    ada.get("/c").await.problem(401, "no_token");
    assert_eq!(upstream.count(), 2);
}
