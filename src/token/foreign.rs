//! What others have signed: an OpenID provider's ID token, judged by the provider's own JWK set.
//!
//! A signature means here what it means for our own tokens: the algorithm is the key's, never the header's; a symmetric key is no candidate, so neither
//! `none` nor HS256 under a public key is ever tried; a duplicated member refuses the text. Of a header's other members those that would bring a key or
//! another meaning along refuse the token, and the rest is let be (RFC 7515 §4), since providers write some. What the claims mean is the asker's to judge.

use aws_lc_rs::digest::{self, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::compact::Compact;
use super::json::Json;
use super::jwk::{self, Verifier};
use super::{Rejected, TokenError};
use crate::config::Algorithm;

/// Header members that would have us take a key, or a meaning, from the token itself (RFC 8725 §3.10).
const FOREIGN_MEANING: [&str; 7] = ["crit", "b64", "zip", "jku", "jwk", "x5u", "x5c"];

/// Why a statement is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// None of the keys is the one that it names; they may have changed.
    #[error("unknown key")]
    UnknownKey,
    /// Anything else; the word is for the log (a fixed set).
    #[error("{0}")]
    Invalid(&'static str),
}

/// The public keys of somebody else.
#[derive(Debug)]
pub struct ForeignKeys(Vec<Verifier>);

/// What was said, by somebody whose word was proved.
#[derive(Debug)]
pub struct Statement {
    claims: Json,
    /// By which signature; `None`: it came over a connection to whoever says it.
    algorithm: Option<Algorithm>,
}

impl ForeignKeys {
    /// Reads a JWK set.
    ///
    /// # Errors
    /// `BadKey` when it does not mean one thing only.
    pub fn read(set: &str) -> Result<Self, TokenError> {
        jwk::read_set(set).map(Self)
    }

    /// What a token says, if one of these keys signed it with an algorithm that was agreed on.
    pub fn verify(&self, token: &str, agreed: &[Algorithm]) -> Result<Statement, Distrust> {
        let compact = Compact::split(token)?;
        let header = Json::read(&compact.header()?).ok_or(Distrust::Invalid("header is not strict JSON"))?;
        let algorithm = algorithm(&header)?;
        if !agreed.contains(&algorithm) {
            return Err(Distrust::Invalid("an algorithm that was not agreed on"));
        }
        let key = self.named(&header, algorithm)?;
        if key.algorithm != algorithm {
            return Err(Distrust::Invalid("algorithm of another key"));
        }
        if !key.verifies(compact.signed.as_bytes(), &compact.signature()?) {
            return Err(Distrust::Invalid("signature"));
        }
        Statement::of(&compact.payload()?, Some(algorithm))
    }

    /// Without a `kid` there must be one key only that it could be (OpenID Connect Core §10.1).
    fn named(&self, header: &Json, algorithm: Algorithm) -> Result<&Verifier, Distrust> {
        let Some(kid) = header.get("kid") else {
            let mut fitting = self.0.iter().filter(|key| key.algorithm == algorithm);
            return match (fitting.next(), fitting.next()) {
                (Some(key), None) => Ok(key),
                _ => Err(Distrust::UnknownKey),
            };
        };
        let kid = kid.text().ok_or(Distrust::Invalid("header member"))?;
        self.0.iter().find(|key| key.kid == kid).ok_or(Distrust::UnknownKey)
    }
}

impl Statement {
    /// What somebody says over a connection that has proved who they are: without a signature, and as strict JSON all the same.
    pub fn unsigned(text: &[u8]) -> Result<Self, Distrust> {
        Self::of(text, None)
    }

    fn of(text: &[u8], algorithm: Option<Algorithm>) -> Result<Self, Distrust> {
        let claims = Json::read(text).ok_or(Distrust::Invalid("claims are not strict JSON"))?;
        if claims.members().is_none() {
            return Err(Distrust::Invalid("claims are not an object"));
        }
        Ok(Self { claims, algorithm })
    }

    /// Whether it says anything under this name.
    pub fn has(&self, name: &str) -> bool {
        self.claims.get(name).is_some()
    }

    /// A string.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Json::text)
    }

    /// A moment, in seconds.
    pub fn seconds(&self, name: &str) -> Option<u64> {
        self.claims.get(name).and_then(Json::whole)
    }

    /// Whether it is `true`, and not a word that reads so.
    pub fn is_true(&self, name: &str) -> bool {
        self.claims.get(name) == Some(&Json::Truth(true))
    }

    /// One string, or a list of strings; `None` for anything else.
    pub fn texts(&self, name: &str) -> Option<Vec<&str>> {
        texts(self.claims.get(name)?)
    }

    /// The same under a member of a member (`realm_access.roles`), unless a member has that whole name.
    pub fn texts_at(&self, path: &str) -> Option<Vec<&str>> {
        if self.has(path) {
            return self.texts(path);
        }
        let mut steps = path.split('.');
        let first = self.claims.get(steps.next()?)?;
        texts(steps.try_fold(first, |object, step| object.get(step))?)
    }

    /// Whether a hash claim (`at_hash`) is that of a text: the left half of the hash that goes with the signature (OpenID Connect Core §3.1.3.6).
    pub fn is_half_hash(&self, claim: &str, text: &str) -> bool {
        let hash = match self.algorithm {
            Some(Algorithm::Rs256 | Algorithm::Es256) => &digest::SHA256,
            Some(Algorithm::EdDsa) => &digest::SHA512,
            None => return false,
        };
        let hash = digest(hash, text.as_bytes());
        let (half, _) = hash.as_ref().split_at(hash.as_ref().len() / 2);
        self.text(claim) == Some(URL_SAFE_NO_PAD.encode(half).as_str())
    }
}

impl From<Rejected> for Distrust {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Invalid(why) => Self::Invalid(why),
            _ => Self::Invalid("not a signed text"),
        }
    }
}

fn algorithm(header: &Json) -> Result<Algorithm, Distrust> {
    if FOREIGN_MEANING.iter().any(|name| header.get(name).is_some()) {
        return Err(Distrust::Invalid("header member"));
    }
    // RFC 8725 §3.11: an access token or a logout token of the same issuer says so, and is no ID token.
    let kind = header.get("typ").map(|typ| typ.text().unwrap_or_default());
    if kind.is_some_and(|typ| !typ.eq_ignore_ascii_case("jwt")) {
        return Err(Distrust::Invalid("type"));
    }
    let name = header.get("alg").and_then(Json::text);
    name.and_then(Algorithm::named).ok_or(Distrust::Invalid("algorithm"))
}

fn texts(value: &Json) -> Option<Vec<&str>> {
    match value {
        Json::Text(one) => Some(vec![one]),
        list => list.texts(),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;

    use super::*;
    use crate::token::pair::Pair;

    const ALL: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];

    struct Signer {
        pair: Pair,
        set: String,
    }

    impl Signer {
        fn new(algorithm: Algorithm) -> Self {
            let pair = Pair::generate(algorithm).unwrap();
            let set = format!(r#"{{"keys":[{}]}}"#, pair.public().unwrap().published("one"));
            Self { pair, set }
        }

        fn keys(&self) -> ForeignKeys {
            ForeignKeys::read(&self.set).unwrap()
        }

        fn sign(&self, header: &str, claims: &str) -> String {
            let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
            let signature = self.pair.sign(signed.as_bytes()).unwrap();
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        }
    }

    #[test]
    fn each_algorithm_of_ours_is_believed_under_its_own_key_only() {
        for algorithm in ALL {
            let (signer, other) = (Signer::new(algorithm), Signer::new(algorithm));
            let header = format!(r#"{{"alg":"{}","typ":"JWT","kid":"one","x5t":"x"}}"#, algorithm.name());
            let token = signer.sign(&header, r#"{"sub":"ada"}"#);
            let statement = signer.keys().verify(&token, &ALL).unwrap();
            assert_eq!(statement.text("sub"), Some("ada"));
            assert_eq!(
                other.keys().verify(&token, &ALL).unwrap_err(),
                Distrust::Invalid("signature")
            );
            let agreed: Vec<_> = ALL.into_iter().filter(|other| *other != algorithm).collect();
            assert!(matches!(
                signer.keys().verify(&token, &agreed),
                Err(Distrust::Invalid(_))
            ));
        }
    }

    #[test]
    fn neither_an_unsigned_text_nor_one_under_the_public_key_as_a_secret_is_believed() {
        let signer = Signer::new(Algorithm::Rs256);
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"ada"}"#);
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"one"}"#);
        assert!(signer.keys().verify(&format!("{none}.{claims}."), &ALL).is_err());
        let signed = format!("{}.{claims}", URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","kid":"one"}"#));
        let key = hmac::Key::new(hmac::HMAC_SHA256, signer.set.as_bytes());
        let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
        assert!(signer.keys().verify(&format!("{signed}.{tag}"), &ALL).is_err());
    }

    #[test]
    fn a_header_that_brings_a_key_or_another_meaning_is_refused() {
        let signer = Signer::new(Algorithm::EdDsa);
        for member in [
            r#""crit":["x"]"#,
            r#""b64":false"#,
            r#""jwk":{}"#,
            r#""jku":"https://evil""#,
            r#""x5c":[]"#,
            r#""typ":"at+jwt""#,
            r#""typ":"logout+jwt""#,
            r#""typ":1"#,
            r#""kid":"one""#,
        ] {
            let token = signer.sign(&format!(r#"{{"alg":"EdDSA","kid":"one",{member}}}"#), "{}");
            assert!(signer.keys().verify(&token, &ALL).is_err(), "{member}");
        }
    }

    #[test]
    fn a_key_that_is_not_in_the_set_is_told_from_a_bad_signature() {
        let signer = Signer::new(Algorithm::EdDsa);
        let unknown = signer.sign(r#"{"alg":"EdDSA","kid":"two"}"#, "{}");
        assert_eq!(signer.keys().verify(&unknown, &ALL).unwrap_err(), Distrust::UnknownKey);
        let unnamed = signer.sign(r#"{"alg":"EdDSA"}"#, "{}");
        assert!(signer.keys().verify(&unnamed, &ALL).is_ok());
        let two = ForeignKeys::read(&format!(
            r#"{{"keys":[{},{}]}}"#,
            signer.pair.public().unwrap().published("one"),
            Pair::generate(Algorithm::EdDsa)
                .unwrap()
                .public()
                .unwrap()
                .published("two")
        ));
        assert_eq!(two.unwrap().verify(&unnamed, &ALL).unwrap_err(), Distrust::UnknownKey);
    }

    #[test]
    fn a_claim_is_what_it_is_and_not_what_it_looks_like() {
        let text = br#"{"yes":true,"word":"true","one":"a","many":["a","b"],"mixed":["a",1],"x.y":["whole"],"x":{"y":["path"]},"z":{"y":["deep"]}}"#;
        let said = Statement::unsigned(text).unwrap();
        assert!(said.is_true("yes") && !said.is_true("word") && !said.is_true("missing"));
        assert_eq!(said.texts("one"), Some(vec!["a"]));
        assert_eq!(said.texts("many"), Some(vec!["a", "b"]));
        assert_eq!(said.texts("mixed"), None);
        assert_eq!(said.texts_at("x.y"), Some(vec!["whole"]));
        assert_eq!(said.texts_at("z.y"), Some(vec!["deep"]));
        assert_eq!(said.texts_at("z.y.w"), None);
    }

    #[test]
    fn the_half_hash_is_that_of_the_specification() {
        let signer = Signer::new(Algorithm::Rs256);
        let access = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        let token = signer.sign(
            r#"{"alg":"RS256","kid":"one"}"#,
            r#"{"at_hash":"77QmUPtjPfzWtF2AnpK9RQ"}"#,
        );
        let said = signer.keys().verify(&token, &ALL).unwrap();
        assert!(said.is_half_hash("at_hash", access));
        assert!(!said.is_half_hash("at_hash", "another"));
        assert!(!said.is_half_hash("c_hash", access));
    }
}
