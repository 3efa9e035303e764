//! Other people's tokens: the public vectors for JSON Web Signatures, as an operator would try them.
//!
//! Which of them are well signed is judged beside the verifier (`src/token/verify/wycheproof.rs`). Here it counts that none of them, well signed or not,
//! is an access token, whichever key set it comes with: a signature by a known key is not enough.

use serde_json::Value;

use crate::world::{Upstream, World};

#[tokio::test(flavor = "multi_thread")]
async fn no_public_vector_is_an_access_token_however_well_it_is_signed() {
    let upstream = Upstream::friendly();
    let world = World::stopped(&upstream, |_| {});
    let vectors: Value = serde_json::from_str(include_str!("../../wycheproof/jws.json")).expect("JSON");
    let set = world.dir().join("jwks.json");
    let mut sets = 0;
    for group in vectors["groups"].as_array().expect("groups") {
        std::fs::write(&set, group["set"].to_string()).expect("a key set");
        let tests = group["tests"].as_array().expect("tests");
        let tokens: Vec<&str> = tests.iter().filter_map(|test| test[3].as_str()).collect();
        let outcome = world
            .run_with_input(
                &["token", "verify", "--jwks", &set.to_string_lossy()],
                &tokens.join("\n"),
            )
            .refused();
        if outcome.out.is_empty() {
            // The set was refused as a whole: a key too short, one that can be factored, a point off its curve.
            assert!(outcome.err.contains("key"), "{group}: {outcome:?}");
            continue;
        }
        sets += 1;
        // A line without a token is none.
        let judged = tokens.iter().filter(|token| !token.is_empty()).count();
        assert_eq!(outcome.out.lines().count(), judged, "{outcome:?}");
        for (line, token) in outcome.out.lines().zip(tokens.iter().filter(|token| !token.is_empty())) {
            assert!(line.starts_with("invalid: "), "{line}: {token}");
        }
    }
    assert!(sets > 10, "only {sets} key sets could be read");
}
