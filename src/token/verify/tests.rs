//! The attacks on a JWT, one by one, by somebody who may even hold our key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::config::Algorithm;
use crate::model::session::{Amr, SessionId, TokenId};
use crate::model::user::UserId;
use crate::token::pair::Pair;
use crate::token::world::START;

/// A key, and whoever holds it can sign anything.
struct Forge {
    pair: Pair,
    key: Arc<Verifier>,
}

impl Forge {
    fn new(algorithm: Algorithm) -> Self {
        let pair = Pair::generate(algorithm).unwrap();
        let key = pair.public().unwrap().verifier("kid-1".to_owned()).unwrap();
        Self {
            pair,
            key: Arc::new(key),
        }
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", b64(header.as_bytes()), b64(claims.as_bytes()));
        let signature = self.pair.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", b64(&signature))
    }

    fn judge(&self, token: &str) -> Result<Identity, Rejected> {
        let find = |kid: &str| (kid == "kid-1").then(|| Arc::clone(&self.key));
        let verified = genuine(token, &expected(), find)?;
        verified.judge(START)?;
        Ok(verified.identity)
    }

    fn header(&self) -> Value {
        json!({"alg": self.key.algorithm.name(), "typ": "at+jwt", "kid": "kid-1"})
    }

    /// Why a token with this header is refused.
    #[track_caller]
    fn header_refused(&self, header: &str) -> String {
        refusal(self.judge(&self.sign(header, &claims().to_string())))
    }

    /// Why a token with one claim changed (or, by null, taken away) is refused.
    #[track_caller]
    fn claim_refused(&self, name: &str, value: Value) -> String {
        refusal(self.judge(&self.with_claim(name, value)))
    }

    fn with_claim(&self, name: &str, value: Value) -> String {
        let mut claims = claims();
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.to_owned(), value),
        };
        self.sign(&self.header().to_string(), &claims.to_string())
    }

    fn good(&self) -> String {
        self.sign(&self.header().to_string(), &claims().to_string())
    }
}

fn b64(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

fn expected() -> Expected {
    Expected {
        issuer: "https://id.example.com".to_owned(),
        audience: vec!["gateward".to_owned(), "second".to_owned()],
        longest_life: Duration::from_secs(900),
    }
}

fn claims() -> Value {
    let now = START.as_secs();
    json!({
        "iss": "https://id.example.com", "sub": "01900000-0000-7000-8000-000000000001", "aud": "gateward",
        "iat": now, "nbf": now, "exp": now + 900,
        "jti": "01900000-0000-7000-8000-000000000002", "sid": "01900000-0000-7000-8000-000000000003",
        "auth_time": now, "amr": ["pwd"], "email": "ada@example.com", "roles": ["staff"],
    })
}

#[track_caller]
fn refusal(judged: Result<Identity, Rejected>) -> String {
    judged.expect_err("it was accepted").to_string()
}

#[test]
fn a_good_token_of_each_algorithm_is_accepted() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let forge = Forge::new(algorithm);
        assert!(forge.judge(&forge.good()).is_ok());
    }
}

#[test]
fn alg_none_is_refused_signed_or_not() {
    let forge = Forge::new(Algorithm::EdDsa);
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = json!({"alg": alg, "typ": "at+jwt", "kid": "kid-1"}).to_string();
        assert_eq!(forge.header_refused(&header), "algorithm");
        let unsigned = format!("{}.{}.", b64(header.as_bytes()), b64(claims().to_string().as_bytes()));
        assert_eq!(refusal(forge.judge(&unsigned)), "algorithm");
    }
    let (signed, _) = forge
        .good()
        .rsplit_once('.')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert_eq!(refusal(forge.judge(&format!("{signed}."))), "signature");
}

#[test]
fn hs256_with_the_public_key_as_its_secret_is_refused() {
    let forge = Forge::new(Algorithm::Rs256);
    let header = json!({"alg": "HS256", "typ": "at+jwt", "kid": "kid-1"}).to_string();
    let signed = format!("{}.{}", b64(header.as_bytes()), b64(claims().to_string().as_bytes()));
    let public = forge.pair.public().unwrap().published("kid-1");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public.as_bytes());
    let mac = aws_lc_rs::hmac::sign(&key, signed.as_bytes());
    assert_eq!(
        refusal(forge.judge(&format!("{signed}.{}", b64(mac.as_ref())))),
        "algorithm"
    );
}

#[test]
fn the_algorithm_is_the_keys_not_the_headers() {
    let forge = Forge::new(Algorithm::EdDsa);
    for alg in ["RS256", "ES256"] {
        let header = json!({"alg": alg, "typ": "at+jwt", "kid": "kid-1"}).to_string();
        assert_eq!(forge.header_refused(&header), "algorithm of another key");
    }
}

#[test]
fn another_type_or_none_is_refused() {
    let forge = Forge::new(Algorithm::EdDsa);
    for typ in [
        "JWT",
        "jwt",
        "AT+JWT",
        "gateward-assertion+jwt",
        "refresh+jwt",
        "at+jwt ",
        "",
    ] {
        let header = json!({"alg": "EdDSA", "typ": typ, "kid": "kid-1"}).to_string();
        assert_eq!(forge.header_refused(&header), "type", "{typ}");
    }
    assert_eq!(forge.header_refused(r#"{"alg":"EdDSA","kid":"kid-1"}"#), "type");
    let long = r#"{"alg":"EdDSA","typ":"application/at+jwt","kid":"kid-1"}"#;
    assert!(forge.judge(&forge.sign(long, &claims().to_string())).is_ok());
}

#[test]
fn an_unknown_or_missing_kid_is_refused() {
    let forge = Forge::new(Algorithm::EdDsa);
    for kid in [
        json!("kid-2"),
        json!(""),
        json!(1),
        json!(["kid-1"]),
        json!("../kid-1"),
        Value::Null,
    ] {
        let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": kid}).to_string();
        assert_eq!(forge.header_refused(&header), "unknown key");
    }
    assert_eq!(forge.header_refused(r#"{"alg":"EdDSA","typ":"at+jwt"}"#), "unknown key");
}

#[test]
fn a_header_that_brings_its_own_key_or_meaning_is_refused() {
    let forge = Forge::new(Algorithm::EdDsa);
    for (name, value) in [
        ("crit", json!(["b64"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("jku", json!("https://evil.example/jwks.json")),
        ("jwk", json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"})),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", json!(["AA"])),
        ("enc", json!("A256GCM")),
        ("cty", json!("JWT")),
    ] {
        let mut header = forge.header();
        header.as_object_mut().unwrap().insert(name.to_owned(), value);
        assert_eq!(forge.header_refused(&header.to_string()), "header member", "{name}");
    }
}

#[test]
fn a_duplicate_member_is_refused_in_header_and_claims() {
    let forge = Forge::new(Algorithm::EdDsa);
    for header in [
        r#"{"alg":"none","alg":"EdDSA","typ":"at+jwt","kid":"kid-1"}"#,
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"kid-2","kid":"kid-1"}"#,
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"kid-2","\u006bid":"kid-1"}"#,
    ] {
        assert_eq!(forge.header_refused(header), "header is not strict JSON");
    }
    let claims = claims().to_string();
    let twice = claims.replacen('{', r#"{"sub":"01900000-0000-7000-8000-00000000000f","#, 1);
    let nested = claims.replacen('{', r#"{"extra":[{"a":1,"a":2}],"#, 1);
    for claims in [twice, nested] {
        let token = forge.sign(&forge.header().to_string(), &claims);
        assert_eq!(refusal(forge.judge(&token)), "claims are not strict JSON");
    }
}

#[test]
fn header_and_claims_must_be_objects() {
    let forge = Forge::new(Algorithm::EdDsa);
    assert_eq!(forge.header_refused("[]"), "header is not an object");
    assert_eq!(forge.header_refused("{"), "header is not strict JSON");
    for claims in ["[]", "null", "\"x\"", "1"] {
        let token = forge.sign(&forge.header().to_string(), claims);
        assert_eq!(refusal(forge.judge(&token)), "claims are not an object");
    }
}

#[test]
fn every_registered_claim_must_be_there_and_of_its_type() {
    let forge = Forge::new(Algorithm::EdDsa);
    for name in [
        "iss",
        "sub",
        "aud",
        "iat",
        "nbf",
        "exp",
        "jti",
        "sid",
        "auth_time",
        "amr",
    ] {
        for value in [Value::Null, json!(true), json!({}), json!(-1), json!(1.5), json!([1])] {
            let why = forge.claim_refused(name, value.clone());
            assert_eq!(why, "claim missing or of another type", "{name}: {value}");
        }
    }
    for name in ["iat", "nbf", "exp", "auth_time"] {
        forge.claim_refused(name, json!(START.as_secs().to_string()));
    }
    for (name, value) in [
        ("email", json!(1)),
        ("roles", json!("staff")),
        ("roles", json!([1])),
        ("amr", json!("pwd")),
    ] {
        assert_eq!(forge.claim_refused(name, value), "claim missing or of another type");
    }
}

#[test]
fn email_and_roles_may_be_left_out() {
    let forge = Forge::new(Algorithm::EdDsa);
    for name in ["email", "roles"] {
        assert!(forge.judge(&forge.with_claim(name, Value::Null)).is_ok());
    }
}

#[test]
fn another_issuer_or_audience_is_refused() {
    let forge = Forge::new(Algorithm::EdDsa);
    for issuer in [
        "https://id.example.com/",
        "https://ID.example.com",
        "",
        "http://id.example.com",
    ] {
        assert_eq!(forge.claim_refused("iss", json!(issuer)), "issuer");
    }
    for audience in [
        json!("other"),
        json!([]),
        json!(["other"]),
        json!("gateward second"),
        json!(""),
    ] {
        assert_eq!(forge.claim_refused("aud", audience), "audience");
    }
    for audience in [json!("second"), json!(["gateward"]), json!(["other", "second"])] {
        assert!(forge.judge(&forge.with_claim("aud", audience)).is_ok());
    }
}

#[test]
fn times_are_judged_with_leeway_for_other_clocks_only() {
    let forge = Forge::new(Algorithm::EdDsa);
    let now = START.as_secs();
    let lived = |iat: u64, nbf: u64, exp: u64| {
        let mut claims = claims();
        for (name, value) in [("iat", iat), ("nbf", nbf), ("exp", exp)] {
            claims.as_object_mut().unwrap().insert(name.to_owned(), json!(value));
        }
        forge.judge(&forge.sign(&forge.header().to_string(), &claims.to_string()))
    };
    assert!(lived(now + 30, now + 30, now + 100).is_ok());
    assert_eq!(refusal(lived(now + 31, now, now + 100)), "not good yet");
    assert_eq!(refusal(lived(now, now + 31, now + 100)), "not good yet");
    assert!(lived(now - 10, now, now + 1).is_ok());
    assert_eq!(refusal(lived(now - 10, now, now)), "expired");
    assert_eq!(refusal(lived(now, now, now + 901)), "life too long");
    assert_eq!(refusal(lived(now, now, now)), "life too long");
    assert_eq!(refusal(lived(now, now, now - 1)), "life too long");
    assert_eq!(refusal(lived(0, now, u64::MAX)), "life too long");
    assert_eq!(refusal(lived(u64::MAX, now, u64::MAX)), "life too long");
}

#[test]
fn ids_are_canonical_uuids_and_nothing_else() {
    let forge = Forge::new(Algorithm::EdDsa);
    for name in ["sub", "sid", "jti"] {
        for value in [
            "",
            "ada",
            "01900000-0000-7000-8000-00000000000A",
            "01900000000070008000000000000001",
            "{01900000-0000-7000-8000-000000000001}",
            "urn:uuid:01900000-0000-7000-8000-000000000001",
            " 01900000-0000-7000-8000-000000000001",
            "01900000-0000-7000-8000-000000000001\r\nX-Admin: 1",
        ] {
            assert_eq!(
                forge.claim_refused(name, json!(value)),
                "claim grammar",
                "{name}: {value}"
            );
        }
    }
}

#[test]
fn what_becomes_a_header_value_matches_its_grammar() {
    let forge = Forge::new(Algorithm::EdDsa);
    for (name, value) in [
        ("roles", json!(["staff,admin"])),
        ("roles", json!([""])),
        ("roles", json!(["staff\r\n"])),
        ("roles", json!(["größer"])),
        ("email", json!("Ada@example.com")),
        ("email", json!("ada@example.com,eve@example.com")),
        ("email", json!("ada")),
        ("amr", json!(["pwd,otp"])),
        ("amr", json!([""])),
    ] {
        assert_eq!(forge.claim_refused(name, value.clone()), "claim grammar", "{value}");
    }
}

#[test]
fn only_the_canonical_spelling_of_a_token_counts() {
    // 64 octets leave four bits over in the last character, 256 leave two.
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let forge = Forge::new(algorithm);
        let token = forge.good();
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let last = alphabet.find(token.chars().last().unwrap()).unwrap();
        let stray = format!("{}{}", &token[..token.len() - 1], &alphabet[last + 1..last + 2]);
        assert_eq!(refusal(forge.judge(&stray)), "not canonical base64url");
        for padded in [
            format!("{token}="),
            format!("{token}=="),
            format!(" {token}"),
            format!("{token}\n"),
        ] {
            assert_eq!(refusal(forge.judge(&padded)), "alphabet");
        }
        let standard = token.replace('-', "+").replace('_', "/");
        assert!(standard == token || forge.judge(&standard).is_err());
    }
}

#[test]
fn a_token_has_three_parts_and_a_size() {
    let forge = Forge::new(Algorithm::EdDsa);
    let token = forge.good();
    for text in [
        "",
        ".",
        "..",
        "...",
        "a.b",
        "a.b.c.d",
        ".b.c",
        "a..c",
        &format!("{token}.x"),
        &format!("x.{token}"),
    ] {
        assert_eq!(refusal(forge.judge(text)), "not three parts", "{text}");
    }
    let long = forge.with_claim("extra", json!("x".repeat(8192)));
    assert_eq!(refusal(forge.judge(&long)), "too long");
}

#[test]
fn a_token_of_another_key_of_the_same_name_is_refused() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let token = Forge::new(algorithm).good();
        assert_eq!(refusal(Forge::new(algorithm).judge(&token)), "signature");
    }
}

#[test]
fn a_refused_key_takes_its_tokens_along() {
    let forge = Forge::new(Algorithm::EdDsa);
    let token = forge.good();
    assert!(forge.judge(&token).is_ok());
    forge.key.retire();
    assert_eq!(refusal(forge.judge(&token)), "unknown key");
    forge.key.revoke();
    assert_eq!(refusal(forge.judge(&token)), "unknown key");
}

#[test]
fn a_given_key_set_is_as_strict_as_our_own() {
    let forge = Forge::new(Algorithm::Es256);
    let set = format!(r#"{{"keys":[{}]}}"#, forge.pair.public().unwrap().published("kid-1"));
    let settings = crate::token::world::settings(Algorithm::Rs256);
    let keys = against_jwks(&set, &settings).unwrap();
    assert!(keys.verify(&forge.good(), START).is_ok());
    assert!(matches!(
        keys.verify(&forge.good(), START.plus(Duration::from_secs(900))),
        Err(Rejected::Expired)
    ));
    let other_audience = forge.with_claim("aud", json!("second"));
    assert_eq!(refusal(keys.verify(&other_audience, START)), "audience");
    assert_eq!(refusal(keys.verify("eyJhbGciOiJub25lIn0.e30.", START)), "algorithm");
    assert!(against_jwks("{}", &settings).is_err());
}

proptest! {
    #[test]
    fn arbitrary_text_is_refused_without_a_panic(text in ".{0,300}") {
        prop_assert!(Forge::new(Algorithm::EdDsa).judge(&text).is_err());
    }

    #[test]
    fn arbitrary_json_under_a_genuine_signature_never_panics(header in json_like(), claims in json_like()) {
        let forge = Forge::new(Algorithm::EdDsa);
        prop_assert!(forge.judge(&forge.sign(&header, &claims)).is_err());
        let _ = forge.judge(&forge.sign(&forge.header().to_string(), &claims));
    }

    #[test]
    fn what_a_token_says_is_read_as_it_was_written(who in identity(), with_roles in any::<bool>()) {
        let expected = expected();
        let written = claims::Written::access(&expected.issuer, &expected.audience, &who, with_roles);
        let read = claims::read(&serde_json::to_vec(&written).unwrap(), &expected).unwrap().identity;
        let roles = if with_roles { who.roles.clone() } else { Vec::new() };
        prop_assert_eq!(read, Identity { roles, ..who });
    }

    #[test]
    fn a_token_changed_in_any_place_is_refused(at in 0_usize..1000, to in any::<char>(), cut in any::<bool>()) {
        let forge = Forge::new(Algorithm::EdDsa);
        let token = forge.good();
        let at = at % token.len();
        let changed = if cut { token[..at].to_owned() } else { format!("{}{to}{}", &token[..at], &token[at + 1..]) };
        prop_assert!(changed == token || forge.judge(&changed).is_err());
    }
}

fn identity() -> impl Strategy<Value = Identity> {
    let words = |pattern: &'static str| prop::collection::vec(pattern, 0..4);
    let email = prop::option::of("[a-z]{1,9}@[a-z]{1,9}\\.example");
    let times = (1_u64..4_000_000_000, 1_u64..=900, 0_u64..4_000_000_000);
    (
        any::<[u128; 3]>(),
        email,
        words("[A-Za-z0-9._:/-]{1,64}"),
        words("[a-z0-9._-]{1,32}"),
        times,
    )
        .prop_map(
            |([user, session, token], email, roles, amr, (issued, life, auth))| Identity {
                user: UserId(Uuid::from_u128(user)),
                session: SessionId(Uuid::from_u128(session)),
                token: TokenId(Uuid::from_u128(token)),
                email: email.map(|email| email.parse().unwrap()),
                roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
                auth_time: Timestamp::from_secs(auth),
                amr: amr.into_iter().map(Amr).collect(),
                issued_at: Timestamp::from_secs(issued),
                expires_at: Timestamp::from_secs(issued + life),
            },
        )
}

fn json_like() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"alg\"",
        "\"EdDSA\"",
        "\"kid\"",
        "\"kid-1\"",
        "\"exp\"",
        "1",
        "-1",
        "1e999",
        "null",
        "\"aud\"",
        "\"\\ud800\"",
        "\u{0}",
        "é",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}
