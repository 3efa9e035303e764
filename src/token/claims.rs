//! What an access token says: written from a session, read back with suspicion.
//!
//! Reading takes nothing on trust: every registered claim of RFC 9068 §2.2 must be there with its own JSON type, ids must be canonical UUIDs, and roles,
//! address and methods must match the grammar that makes them safe as header values. Other claims are let be.

use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use uuid::Uuid;

use super::Rejected;
use super::json::Json;
use crate::model::clock::Timestamp;
use crate::model::identity::Identity;
use crate::model::proof;
use crate::model::session::{Amr, SessionId, TokenId};
use crate::model::user::{Email, Role, UserId};

/// Who a token must come from and be for, and how long one may live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    /// `iss`, exactly.
    pub(super) issuer: String,
    /// `aud`: one of them at least.
    pub(super) audience: Vec<String>,
    /// `exp - iat` at most.
    pub(super) longest_life: Duration,
}

/// The claims in the order and form they are written.
#[derive(Serialize)]
pub(super) struct Written<'a> {
    iss: &'a str,
    sub: UserId,
    aud: Audience<'a>,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<u64>,
    exp: u64,
    jti: TokenId,
    sid: SessionId,
    auth_time: u64,
    amr: &'a [Amr],
    acr: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a Email>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<&'a [Role]>,
}

/// `aud` as RFC 7519 §4.1.3 has it: one string, or a list.
#[derive(Serialize)]
#[serde(untagged)]
enum Audience<'a> {
    One(&'a str),
    Many(&'a [String]),
}

impl<'a> Written<'a> {
    /// The claims of an access token.
    pub(super) fn access(issuer: &'a str, audience: &'a [String], who: &'a Identity, with_roles: bool) -> Self {
        let aud = match audience {
            [one] => Audience::One(one),
            many => Audience::Many(many),
        };
        let roles = with_roles.then_some(who.roles.as_slice());
        Self::about(issuer, aud, who, roles, Some(who.issued_at))
    }

    /// The claims of an assertion for one upstream; `who` carries the assertion's own times and id.
    pub(super) fn assertion(issuer: &'a str, route: &'a str, who: &'a Identity) -> Self {
        Self::about(issuer, Audience::One(route), who, Some(&who.roles), None)
    }

    fn about(
        iss: &'a str,
        aud: Audience<'a>,
        who: &'a Identity,
        roles: Option<&'a [Role]>,
        not_before: Option<Timestamp>,
    ) -> Self {
        Self {
            iss,
            sub: who.user,
            aud,
            iat: who.issued_at.as_secs(),
            nbf: not_before.map(Timestamp::as_secs),
            exp: who.expires_at.as_secs(),
            jti: who.token,
            sid: who.session,
            auth_time: who.auth_time.as_secs(),
            amr: &who.amr,
            acr: proof::acr(&who.amr),
            email: who.email.as_ref(),
            roles,
        }
    }
}

/// What was read from the payload of a token whose signature is genuine. Its times are still to be judged.
pub(super) struct Read {
    /// Who is calling.
    pub(super) identity: Identity,
    /// `nbf`
    pub(super) not_before: Timestamp,
}

/// Reads a payload.
pub(super) fn read(payload: &[u8], expected: &Expected) -> Result<Read, Rejected> {
    let claims = Json::read(payload).ok_or(Rejected::Invalid("claims are not strict JSON"))?;
    if claims.members().is_none() {
        return Err(Rejected::Invalid("claims are not an object"));
    }
    if text(&claims, "iss")? != expected.issuer {
        return Err(Rejected::Invalid("issuer"));
    }
    for_us(&claims, &expected.audience)?;
    let issued_at = seconds(&claims, "iat")?;
    let expires_at = seconds(&claims, "exp")?;
    if expires_at <= issued_at || expires_at.since(issued_at) > expected.longest_life {
        return Err(Rejected::Invalid("life too long"));
    }
    Ok(Read {
        not_before: seconds(&claims, "nbf")?,
        identity: Identity {
            user: UserId(id(&claims, "sub")?),
            session: SessionId(id(&claims, "sid")?),
            token: TokenId(id(&claims, "jti")?),
            email: email(&claims)?,
            roles: roles(&claims)?,
            auth_time: seconds(&claims, "auth_time")?,
            amr: methods(&claims)?,
            issued_at,
            expires_at,
        },
    })
}

const MISSING: Rejected = Rejected::Invalid("claim missing or of another type");
const GRAMMAR: Rejected = Rejected::Invalid("claim grammar");

fn text<'a>(claims: &'a Json, name: &str) -> Result<&'a str, Rejected> {
    claims.get(name).and_then(Json::text).ok_or(MISSING)
}

fn seconds(claims: &Json, name: &str) -> Result<Timestamp, Rejected> {
    claims
        .get(name)
        .and_then(Json::whole)
        .map(Timestamp::from_secs)
        .ok_or(MISSING)
}

fn for_us(claims: &Json, ours: &[String]) -> Result<(), Rejected> {
    let named = match claims.get("aud") {
        Some(Json::Text(one)) => vec![one.as_str()],
        Some(list) => list.texts().ok_or(MISSING)?,
        None => return Err(MISSING),
    };
    if named.iter().any(|name| ours.iter().any(|our| our == name)) {
        Ok(())
    } else {
        Err(Rejected::Invalid("audience"))
    }
}

/// Only the canonical spelling (RFC 9562 §4): one id, one text, in every log, header and list.
fn id(claims: &Json, name: &str) -> Result<Uuid, Rejected> {
    let text = text(claims, name)?;
    let id = Uuid::try_parse(text).map_err(|_| GRAMMAR)?;
    if id.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text {
        Ok(id)
    } else {
        Err(GRAMMAR)
    }
}

fn email(claims: &Json) -> Result<Option<Email>, Rejected> {
    let Some(claim) = claims.get("email") else {
        return Ok(None);
    };
    let text = claim.text().ok_or(MISSING)?;
    let email = Email::from_str(text).map_err(|_| GRAMMAR)?;
    if email.as_str() == text {
        Ok(Some(email))
    } else {
        Err(GRAMMAR)
    }
}

fn roles(claims: &Json) -> Result<Vec<Role>, Rejected> {
    let Some(claim) = claims.get("roles") else {
        return Ok(Vec::new());
    };
    let names = claim.texts().ok_or(MISSING)?;
    names
        .into_iter()
        .map(|name| name.parse().map_err(|_| GRAMMAR))
        .collect()
}

fn methods(claims: &Json) -> Result<Vec<Amr>, Rejected> {
    let names = claims.get("amr").and_then(Json::texts).ok_or(MISSING)?;
    names
        .into_iter()
        .map(|name| name.parse().map_err(|_| GRAMMAR))
        .collect()
}
