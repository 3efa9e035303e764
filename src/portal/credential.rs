//! Who is asking our own endpoints: a bearer token, or the access cookie.
//!
//! A bearer that is there and bad never falls back to the cookie, and two credentials that name different people are refused: nobody could say on whose
//! behalf such a request would act.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::refusal::rejected;
use crate::config::RevocationMode;
use crate::token::Tokens;
use crate::token::verify::Verified;
use crate::wire::cookie::Ours;
use crate::wire::reply::{Code, Problem};

/// The bearer token of a request (RFC 6750 §2.1), if its `Authorization` is of that scheme. Another scheme is somebody else's business.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let confused = || Problem::new(Code::BadRequest, "Send one Authorization header, or none.");
    if lines.next().is_some() {
        return Err(confused());
    }
    let line = line.to_str().map_err(|_| confused())?.trim();
    // A tab parts them as well here, as it does at the gate: what one takes for a bearer, the other must not pass over.
    let (scheme, token) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    Ok(scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()))
}

/// Whose request this is.
pub(super) async fn identify(
    tokens: &Tokens,
    headers: &HeaderMap,
    cookies: &Ours<'_>,
    mode: RevocationMode,
) -> Result<Arc<Verified>, Problem> {
    let bearer = bearer(headers)?;
    let Some(token) = bearer.or(cookies.access) else {
        return Err(Problem::new(Code::NoToken, "Send an access token, or sign in first."));
    };
    let verified = tokens.verify(token, mode).await.map_err(rejected)?;
    let other = bearer
        .and(cookies.access)
        .and_then(|cookie| tokens.read_expired(cookie).ok());
    if other.is_some_and(|other| other.user != verified.identity.user) {
        let words = "The bearer token and the cookie belong to different people; send one of them.";
        return Err(Problem::new(Code::BadRequest, words));
    }
    Ok(verified)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(lines: &[&'static str]) -> HeaderMap {
        lines
            .iter()
            .map(|line| (AUTHORIZATION, HeaderValue::from_static(line)))
            .collect()
    }

    #[test]
    fn a_bearer_is_read_whatever_the_case_of_its_scheme() {
        for line in ["Bearer abc", "bearer abc", "BEARER  abc "] {
            assert_eq!(bearer(&headers(&[line])).unwrap(), Some("abc"), "{line}");
        }
        assert_eq!(bearer(&headers(&["Bearer"])).unwrap(), Some(""), "there, and bad");
    }

    #[test]
    fn another_scheme_is_no_bearer() {
        assert_eq!(bearer(&headers(&["Basic abc"])).unwrap(), None);
        assert_eq!(bearer(&headers(&[])).unwrap(), None);
    }

    #[test]
    fn two_authorizations_are_refused() {
        assert_eq!(
            bearer(&headers(&["Bearer a", "Basic b"])).unwrap_err().code,
            Code::BadRequest
        );
    }
}
