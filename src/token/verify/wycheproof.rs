//! The public vectors for JSON Web Signatures, against the steps that a signature is judged by.
//!
//! They are no access tokens of ours: none says `typ`, so the gateway refuses them all before it looks at the signature (a black-box test sees to that).
//! Here that one step is left out, and what remains must tell the good from the bad.

use serde_json::Value;

use super::*;

const VECTORS: &str = include_str!("../../../tests/wycheproof/jws.json");

/// Shape, header, key and signature of a token, by a key set given as text.
fn judge(token: &str, set: &str) -> Result<(), String> {
    let keys: Vec<Arc<Verifier>> = jwk::read_set(set)
        .map_err(|e| e.to_string())?
        .into_iter()
        .map(Arc::new)
        .collect();
    let find = |kid: &str| keys.iter().find(|key| key.kid == kid).cloned();
    let steps = || {
        let compact = Compact::split(token)?;
        Header::read(&compact.header()?)?.signer(&compact, find)
    };
    steps().map(drop).map_err(|why| why.to_string())
}

#[test]
fn every_public_vector_is_judged_as_its_authors_say() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let (mut good, mut bad) = (0, 0);
    for group in vectors["groups"].as_array().unwrap() {
        let set = group["set"].to_string();
        for test in group["tests"].as_array().unwrap() {
            let token = test[3].as_str().unwrap();
            let judged = judge(token, &set);
            // A token without claims says nothing, however well it is signed; ours has three parts, each with something in it.
            let is_empty = token.split('.').nth(1) == Some("");
            let expected = test[2] == "valid" && !is_empty;
            assert_eq!(judged.is_ok(), expected, "{} {test}: {judged:?}", group["file"]);
            *(if expected { &mut good } else { &mut bad }) += 1;
        }
    }
    assert_eq!((good, bad), (10, 278));
}
