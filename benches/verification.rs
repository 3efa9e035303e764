//! What does it cost to verify an access token: one that was seen before, one that was not, and of the latter the signature and claims alone?
//!
//! A first appearance asks the store whether the token was revoked, so `first_appearance` is more than `signature_and_claims`.

use std::sync::Arc;

use divan::Bencher;
use futures_util::FutureExt;
use gateward::config::RevocationMode;
use gateward::model::clock::Timestamp;
use gateward::model::identity::Identity;
use gateward::token::Tokens;
use gateward::token::verify::{self, KeySet, Verified};

use crate::installation::Installation;

const ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];

#[divan::bench]
fn seen_before(bencher: Bencher<'_, '_>) {
    let house = Installation::new();
    let jwt = house.signed_in().access.jwt;
    let tokens = &house.rooms.tokens;
    house
        .runtime
        .block_on(tokens.verify(&jwt, RevocationMode::Cached))
        .unwrap();
    bencher.bench_local(|| known(tokens, &jwt));
}

/// A function of its own, as are its like in other files, so that callgrind can count what happens in it.
#[inline(never)]
pub fn known(tokens: &Tokens, jwt: &str) -> Arc<Verified> {
    let verified = tokens.verify(jwt, RevocationMode::Cached).now_or_never();
    verified.expect("nothing to wait for").unwrap()
}

#[divan::bench(args = ALGORITHMS, sample_count = 50, sample_size = 4)]
fn first_appearance(bencher: Bencher<'_, '_>, algorithm: &str) {
    let house = Installation::signing(algorithm);
    let signed_in = house.signed_in();
    let tokens = &house.rooms.tokens;
    bencher
        .with_inputs(|| tokens.issue(&signed_in.user, &signed_in.session).unwrap().jwt)
        .bench_local_refs(|jwt| {
            house
                .runtime
                .block_on(tokens.verify(jwt, RevocationMode::Cached))
                .unwrap()
        });
}

#[divan::bench(args = ALGORITHMS)]
fn signature_and_claims(bencher: Bencher<'_, '_>, algorithm: &str) {
    let house = Installation::signing(algorithm);
    let access = house.signed_in().access;
    let (jwks, _) = house.rooms.tokens.jwks();
    let jwks = std::str::from_utf8(&jwks).unwrap();
    let keys = verify::against_jwks(jwks, &house.settings.tokens).unwrap();
    let now = access.identity.issued_at;
    bencher.bench_local(|| genuine(&keys, &access.jwt, now));
}

#[inline(never)]
fn genuine(keys: &KeySet, jwt: &str, now: Timestamp) -> Identity {
    keys.verify(jwt, now).unwrap()
}
