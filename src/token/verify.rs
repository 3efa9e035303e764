//! The hot path: is this access token ours and good?
//!
//! `genuine` does what is done once for a token, in the order of the contract: size, alphabet and shape, header, key, signature, claims. What it finds is kept
//! by the whole text. `Verified::judge` does what is done on every request, first or cached alike: the key's standing and the times.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::HeaderValue;

use super::claims::{self, Expected};
use super::compact::Compact;
use super::json::Json;
use super::jwk::{self, Verifier};
use super::revocation::Clearance;
use super::{Rejected, TokenError};
use crate::config::{self, Claim};
use crate::model::clock::Timestamp;
use crate::model::identity::Identity;

/// How far another gateway's clock may be ahead of ours. It is not given to `exp`: a token is never good for longer than it says.
pub(super) const LEEWAY: Duration = Duration::from_secs(30);

/// The types that an access token may have (RFC 9068 §2.1, RFC 7515 §4.1.9).
const TYPES: [&str; 2] = ["at+jwt", "application/at+jwt"];

/// A token that was found genuine, with what it says ready to be put into headers.
#[derive(Debug)]
pub struct Verified {
    /// Who is calling.
    pub identity: Identity,
    /// The whole of it, by which it is known.
    pub(super) text: Arc<[u8]>,
    not_before: Timestamp,
    headers: [Option<HeaderValue>; 7],
    key: Arc<Verifier>,
    pub(super) clearance: Clearance,
}

impl Verified {
    /// A claim as a header value, made once at verification. `None`: the token does not carry it, or it is an empty list.
    pub fn header(&self, claim: Claim) -> Option<&HeaderValue> {
        self.headers.get(place(claim)).and_then(Option::as_ref)
    }

    /// What may change from one request to the next: the key, and the time. Revocation is judged by `Revocations`.
    pub(super) fn judge(&self, now: Timestamp) -> Result<(), Rejected> {
        if self.key.is_refused() {
            return Err(UNKNOWN_KEY);
        }
        // RFC 7519 §4.1.4: on or after `exp` it must not be accepted.
        if now >= self.identity.expires_at {
            return Err(Rejected::Expired);
        }
        let latest = now.plus(LEEWAY);
        if self.not_before > latest || self.identity.issued_at > latest {
            return Err(Rejected::Invalid("not good yet"));
        }
        Ok(())
    }

    /// Whether the key that signed it was revoked; one whose time is over was not.
    pub(super) fn is_of_revoked_key(&self) -> bool {
        self.key.is_revoked()
    }

    fn new(text: &str, read: claims::Read, key: Arc<Verifier>) -> Result<Self, Rejected> {
        Ok(Self {
            text: text.as_bytes().into(),
            headers: headers(&read.identity)?,
            identity: read.identity,
            not_before: read.not_before,
            key,
            clearance: Clearance::default(),
        })
    }
}

/// Everything about a token but its times and its revocation. `find` knows the keys by `kid`.
pub(super) fn genuine(
    text: &str,
    expected: &Expected,
    find: impl FnOnce(&str) -> Option<Arc<Verifier>>,
) -> Result<Verified, Rejected> {
    let compact = Compact::split(text)?;
    let header = Header::read(&compact.header()?)?;
    if !header.is_access_token {
        return Err(Rejected::Invalid("type"));
    }
    let key = header.signer(&compact, find)?;
    Verified::new(text, claims::read(&compact.payload()?, expected)?, key)
}

pub(super) const UNKNOWN_KEY: Rejected = Rejected::Invalid("unknown key");

/// Verifies tokens against a JWK set given as text, as strictly as the gateway does against its own; for `gateward token verify --jwks`.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Arc<Verifier>>,
    expected: Expected,
}

/// Reads a JWK set; issuer, audience and longest life are those of the settings.
///
/// # Errors
/// `BadKey` when the text is not a JWK set that means one thing only.
pub fn against_jwks(jwks: &str, settings: &config::Tokens) -> Result<KeySet, TokenError> {
    Ok(KeySet {
        keys: jwk::read_set(jwks)?.into_iter().map(Arc::new).collect(),
        expected: Expected {
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            longest_life: settings.access_ttl,
        },
    })
}

impl KeySet {
    /// What the token says, if it is good at the given moment. Whether it was revoked cannot be told from a key set.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Identity, Rejected> {
        let find = |kid: &str| self.keys.iter().find(|key| key.kid == kid).cloned();
        let verified = genuine(token, &self.expected, find)?;
        verified.judge(now)?;
        Ok(verified.identity)
    }
}

/// What a header says, all of which must be borne out by the key.
struct Header {
    algorithm: config::Algorithm,
    is_access_token: bool,
    kid: Option<String>,
}

impl Header {
    /// Exactly `alg`, `typ` and `kid`: whatever else a header can say would have us take a key, or a meaning, from the token itself (RFC 8725 §3.10).
    fn read(octets: &[u8]) -> Result<Self, Rejected> {
        let header = Json::read(octets).ok_or(Rejected::Invalid("header is not strict JSON"))?;
        let members = header.members().ok_or(Rejected::Invalid("header is not an object"))?;
        if members
            .iter()
            .any(|(name, _)| !["alg", "typ", "kid"].contains(&name.as_str()))
        {
            return Err(Rejected::Invalid("header member"));
        }
        let word = |name: &str| header.get(name).and_then(Json::text);
        let algorithm = word("alg").and_then(config::Algorithm::named);
        let algorithm = algorithm.ok_or(Rejected::Invalid("algorithm"))?;
        Ok(Self {
            algorithm,
            is_access_token: word("typ").is_some_and(|typ| TYPES.contains(&typ)),
            kid: word("kid").map(str::to_owned),
        })
    }

    /// The key that the header names, if it made the signature.
    fn signer(
        &self,
        compact: &Compact<'_>,
        find: impl FnOnce(&str) -> Option<Arc<Verifier>>,
    ) -> Result<Arc<Verifier>, Rejected> {
        let key = self.kid.as_deref().and_then(find).ok_or(UNKNOWN_KEY)?;
        // RFC 8725 §3.1: the key says what its algorithm is; the header only has to agree.
        if key.algorithm != self.algorithm {
            return Err(Rejected::Invalid("algorithm of another key"));
        }
        if !key.verifies(compact.signed.as_bytes(), &compact.signature()?) {
            return Err(Rejected::Invalid("signature"));
        }
        Ok(key)
    }
}

const fn place(claim: Claim) -> usize {
    match claim {
        Claim::Subject => 0,
        Claim::Email => 1,
        Claim::Roles => 2,
        Claim::Session => 3,
        Claim::Token => 4,
        Claim::AuthTime => 5,
        Claim::Amr => 6,
    }
}

/// All header values of a token are slices of one allocation, since a hundred thousand of them are kept.
fn headers(who: &Identity) -> Result<[Option<HeaderValue>; 7], Rejected> {
    let mut octets = BytesMut::with_capacity(192);
    let mut value = |text: &str| -> Result<Option<HeaderValue>, Rejected> {
        if text.is_empty() {
            return Ok(None);
        }
        octets.extend_from_slice(text.as_bytes());
        HeaderValue::from_maybe_shared(octets.split().freeze())
            .map(Some)
            .map_err(|_| Rejected::Invalid("claim grammar"))
    };
    let roles: Vec<&str> = who.roles.iter().map(|role| role.as_str()).collect();
    let amr: Vec<&str> = who.amr.iter().map(|amr| amr.0.as_str()).collect();
    Ok([
        value(&who.user.to_string())?,
        value(who.email.as_ref().map_or("", |email| email.as_str()))?,
        value(&roles.join(","))?,
        value(&who.session.to_string())?,
        value(&who.token.to_string())?,
        value(&who.auth_time.as_secs().to_string())?,
        value(&amr.join(","))?,
    ])
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wycheproof;
