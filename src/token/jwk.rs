//! The public half of a key: as a JWK (RFC 7517), as its thumbprint (RFC 7638), and ready to verify.
//!
//! A set is read as strictly as a token is: a duplicated member, a private member, a repeated `kid` or a non-canonical number refuses the whole set.
//! Keys of kinds that are not ours are passed over, as RFC 7517 §5 asks; so a symmetric key is never a candidate.

use std::sync::atomic::{AtomicU8, Ordering};

use aws_lc_rs::digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::TokenError;
use super::json::Json;
use super::roca;
use crate::config::Algorithm;

/// Public numbers, as octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Jwk {
    /// Modulus and exponent.
    Rsa {
        /// Big-endian, no leading zero.
        n: Vec<u8>,
        /// Big-endian, no leading zero.
        e: Vec<u8>,
    },
    /// A point on P-256.
    P256 {
        /// 32 octets.
        x: Vec<u8>,
        /// 32 octets.
        y: Vec<u8>,
    },
    /// A point on Ed25519.
    Ed25519 {
        /// 32 octets.
        x: Vec<u8>,
    },
}

/// A public key that verifies.
#[derive(Debug)]
pub(super) struct Verifier {
    /// What the header's `kid` must say.
    pub(super) kid: String,
    /// What the header's `alg` must say.
    pub(super) algorithm: Algorithm,
    public: ParsedPublicKey,
    standing: AtomicU8,
}

/// It counts.
const GOOD: u8 = 0;
/// Its time is over.
const RETIRED: u8 = 1;
/// It was revoked.
const REVOKED: u8 = 2;

impl Jwk {
    /// Takes an uncompressed point of P-256 apart (SEC 1 §2.3.3).
    pub(super) fn from_point(point: &[u8]) -> Result<Self, TokenError> {
        match point.split_first() {
            Some((4, rest)) if rest.len() == 64 => {
                let (x, y) = rest.split_at(32);
                Ok(Self::P256 {
                    x: x.to_vec(),
                    y: y.to_vec(),
                })
            }
            _ => Err(TokenError::Signing("the crypto library gave no point")),
        }
    }

    /// What the key verifies.
    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::P256 { .. } => Algorithm::Es256,
            Self::Ed25519 { .. } => Algorithm::EdDsa,
        }
    }

    /// The members that RFC 7638 §3.2 (and RFC 8037 §2) hashes, in its order: SHA-256, base64url.
    pub(super) fn thumbprint(&self) -> String {
        let hash = digest::digest(&digest::SHA256, format!("{{{}}}", self.members()).as_bytes());
        b64(hash.as_ref())
    }

    /// The key as a member of a JWK set: public numbers, `use`, `alg`, `kid`, and nothing else.
    pub(super) fn published(&self, kid: &str) -> String {
        let alg = self.algorithm().name();
        format!(r#"{{{},"use":"sig","alg":"{alg}","kid":"{kid}"}}"#, self.members())
    }

    /// The key made ready to verify under a name.
    pub(super) fn verifier(&self, kid: String) -> Result<Verifier, TokenError> {
        if matches!(self, Self::Rsa { n, .. } if roca::is_weak(n)) {
            return Err(TokenError::BadKey(format!(
                "the key {kid} is one that can be factored (ROCA)"
            )));
        }
        let parsed = match self {
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256),
            Self::P256 { x, y } => {
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [&[4], x.as_slice(), y.as_slice()].concat())
            }
            Self::Ed25519 { x } => ParsedPublicKey::new(&ED25519, x),
        };
        Ok(Verifier {
            public: parsed.map_err(|_| TokenError::BadKey(format!("the key {kid} is not valid")))?,
            algorithm: self.algorithm(),
            standing: AtomicU8::new(GOOD),
            kid,
        })
    }

    fn members(&self) -> String {
        match self {
            Self::Rsa { n, e } => format!(r#""e":"{}","kty":"RSA","n":"{}""#, b64(e), b64(n)),
            Self::P256 { x, y } => format!(r#""crv":"P-256","kty":"EC","x":"{}","y":"{}""#, b64(x), b64(y)),
            Self::Ed25519 { x } => format!(r#""crv":"Ed25519","kty":"OKP","x":"{}""#, b64(x)),
        }
    }
}

impl Verifier {
    /// Whether `signature` is this key's signature of `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public.verify_sig(message, signature).is_ok()
    }

    /// From now on no token of this key counts, however long it has been in a cache: its time is over.
    pub(super) fn retire(&self) {
        let _ = self.standing.fetch_max(RETIRED, Ordering::AcqRel);
    }

    /// The same, before its time; and what its tokens have opened is to end.
    pub(super) fn revoke(&self) {
        let _ = self.standing.fetch_max(REVOKED, Ordering::AcqRel);
    }

    /// Whether no token of the key counts.
    pub(super) fn is_refused(&self) -> bool {
        self.standing.load(Ordering::Acquire) != GOOD
    }

    /// Whether the key was revoked.
    pub(super) fn is_revoked(&self) -> bool {
        self.standing.load(Ordering::Acquire) == REVOKED
    }
}

/// Reads a JWK set.
///
/// # Errors
/// `BadKey` with the reason when it is not one, or holds anything that makes it ambiguous.
pub(super) fn read_set(text: &str) -> Result<Vec<Verifier>, TokenError> {
    let set = Json::read(text.as_bytes()).ok_or_else(|| bad("it is not JSON without duplicate members"))?;
    let keys = set
        .get("keys")
        .and_then(Json::list)
        .ok_or_else(|| bad("there is no list `keys`"))?;
    let mut verifiers: Vec<Verifier> = Vec::with_capacity(keys.len());
    for key in keys {
        let Some(jwk) = read_key(key)? else { continue };
        let kid = key.get("kid").map_or(Ok(jwk.thumbprint()), |kid| {
            kid.text()
                .map(str::to_owned)
                .ok_or_else(|| bad("a `kid` is not a string"))
        })?;
        if verifiers.iter().any(|known| known.kid == kid) {
            return Err(bad("two keys have the same `kid`"));
        }
        verifiers.push(jwk.verifier(kid)?);
    }
    Ok(verifiers)
}

/// `None`: of no use for us, which is not a mistake of the set.
fn read_key(key: &Json) -> Result<Option<Jwk>, TokenError> {
    let kind = key.get("kty").and_then(Json::text);
    let curve = key.get("crv").and_then(Json::text);
    let jwk = match (kind, curve) {
        (Some("RSA"), _) => Jwk::Rsa {
            n: octets(key, "n")?,
            e: octets(key, "e")?,
        },
        (Some("EC"), Some("P-256")) => Jwk::P256 {
            x: exactly_32(key, "x")?,
            y: exactly_32(key, "y")?,
        },
        (Some("OKP"), Some("Ed25519")) => Jwk::Ed25519 {
            x: exactly_32(key, "x")?,
        },
        _ => return Ok(None),
    };
    if ["d", "p", "q", "dp", "dq", "qi", "k"]
        .iter()
        .any(|name| key.get(name).is_some())
    {
        return Err(bad("a key carries private members; a set must be public"));
    }
    let for_us = |name: &str, value: &str| key.get(name).is_none_or(|member| member.text() == Some(value));
    // RFC 7517 §4.3: a key that says what it is for is for nothing else.
    let may_verify = key
        .get("key_ops")
        .is_none_or(|ops| ops.texts().is_some_and(|ops| ops.contains(&"verify")));
    Ok((may_verify && for_us("use", "sig") && for_us("alg", jwk.algorithm().name())).then_some(jwk))
}

fn exactly_32(key: &Json, name: &str) -> Result<Vec<u8>, TokenError> {
    let octets = octets(key, name)?;
    if octets.len() == 32 {
        Ok(octets)
    } else {
        Err(bad(&format!("a key's `{name}` is not 32 octets")))
    }
}

fn octets(key: &Json, name: &str) -> Result<Vec<u8>, TokenError> {
    key.get(name)
        .and_then(Json::text)
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .ok_or_else(|| bad(&format!("a key's `{name}` is missing or not base64url")))
}

fn b64(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

fn bad(why: &str) -> TokenError {
    TokenError::BadKey(format!("not a JWK set that can be used: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_the_rfc() {
        // RFC 7638 §3.1
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj\
                 hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ\
                 vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK\
                 nqDKgw";
        let jwk = Jwk::Rsa {
            n: URL_SAFE_NO_PAD.decode(n).unwrap(),
            e: vec![1, 0, 1],
        };
        assert_eq!(jwk.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn a_thumbprint_of_ed25519_is_that_of_the_rfc() {
        // RFC 8037 appendix A.3
        let x = URL_SAFE_NO_PAD
            .decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
            .unwrap();
        assert_eq!(
            Jwk::Ed25519 { x }.thumbprint(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn keys_of_other_kinds_are_passed_over() {
        let set = r#"{"keys":[{"kty":"oct","k":"AAAA","kid":"1"},{"kty":"EC","crv":"P-384","x":"AA","y":"AA"},{"kty":"new"}]}"#;
        assert!(read_set(set).unwrap().is_empty());
    }

    #[test]
    fn an_ambiguous_set_is_refused() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let key = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"1"}}"#);
        assert_eq!(read_set(&format!(r#"{{"keys":[{key}]}}"#)).unwrap().len(), 1);
        for set in [
            format!(r#"{{"keys":[{key},{key}]}}"#),
            format!(r#"{{"keys":[],"keys":[{key}]}}"#),
            format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}","d":"{x}"}}]}}"#),
            format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}="}}]}}"#),
            r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AAAA"}]}"#.to_owned(),
            r#"{"keys":{}}"#.to_owned(),
            "[]".to_owned(),
            "keys".to_owned(),
        ] {
            assert!(read_set(&set).is_err(), "{set}");
        }
    }
}
