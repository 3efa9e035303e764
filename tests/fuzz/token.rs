//! Anything as a token, and anything under a genuine signature.
//!
//! Nobody but the key's holder makes a token that counts; and of what its holder signs, another JSON reader reads what ours read.
#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateward::config;
use gateward::model::clock::Timestamp;
use gateward::token::verify::{KeySet, against_jwks};
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

static PAIR: LazyLock<Ed25519KeyPair> = LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap());

static SETTINGS: LazyLock<config::Settings> =
    LazyLock::new(|| config::load(concat!(env!("CARGO_MANIFEST_DIR"), "/../../gateway.toml").as_ref()).unwrap());

static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let x = b64(PAIR.public_key().as_ref());
    let set = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"k"}}]}}"#);
    against_jwks(&set, &SETTINGS.tokens).unwrap()
});

fn b64(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

// Three parts, one a line: a header, claims, and a signature; without the last the key's holder signs.
fuzz_target!(|text: &str| {
    assert!(KEYS.verify(text, NOW).is_err(), "nobody signed it");
    let _ = against_jwks(text, &SETTINGS.tokens);
    let mut parts = text.splitn(3, '\n');
    let (header, claims) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let message = format!("{}.{}", b64(header.as_bytes()), b64(claims.as_bytes()));
    if let Some(forged) = parts.next() {
        assert!(
            KEYS.verify(&format!("{message}.{}", b64(forged.as_bytes())), NOW)
                .is_err()
        );
        return;
    }
    let signed = format!("{message}.{}", b64(PAIR.sign(message.as_bytes()).as_ref()));
    if let Ok(identity) = KEYS.verify(&signed, NOW) {
        let read: serde_json::Value = serde_json::from_str(claims).unwrap();
        assert_eq!(read["sub"], identity.user.to_string());
        assert_eq!(read["sid"], identity.session.to_string());
        assert_eq!(read["iss"], SETTINGS.tokens.issuer.as_str());
        assert!(read["exp"].as_u64().unwrap() > NOW.as_secs());
        assert!(KEYS.verify(&format!("{signed}="), NOW).is_err());
    }
});
