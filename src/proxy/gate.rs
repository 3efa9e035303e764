//! Who may pass.
//!
//! A public route identifies nobody. Elsewhere exactly one credential counts. A bearer token that is there, on a route that takes them, is judged alone: a bad
//! one is refused, on optional routes too, and never falls back to the cookie. An `Authorization` of another scheme, or any on a route that takes no
//! bearer tokens, is the application's own and goes on to it; but a token of ours is never passed on unless the route says `forward_token`, wherever it
//! stands. A cookie is judged only after the request has shown that a page of ours may have sent it, renewal included. On an optional route a cookie
//! that is dead and cannot be renewed identifies nobody, and the request goes on; a page must not break because a session ended.

use std::sync::Arc;

use http::header::{AUTHORIZATION, ORIGIN};
use http::{HeaderMap, Method, Uri};

use super::Found;
use super::headers::wanted_upgrade;
use crate::config::{Access, RevocationMode};
use crate::model::proof;
use crate::token::verify::Verified;
use crate::token::{Rejected, Tokens};
use crate::wire::cookie::{self, Ours};
use crate::wire::origin::Origin;
use crate::wire::reply::{Code, Problem};
use crate::wire::{cors, site, step_up};

/// Leave to forward one request. Only this file can make one.
#[derive(Debug)]
pub struct Admitted {
    /// The route.
    pub(super) route: Arc<Found>,
    /// Who is calling, where somebody was identified.
    pub(super) who: Option<Arc<Verified>>,
    /// Whether the client's `Authorization` is meant for the upstream.
    pub(super) keep_authorization: bool,
}

impl Admitted {
    /// Who is calling, for the access log.
    pub fn who(&self) -> Option<&Verified> {
        self.who.as_deref()
    }
}

/// Why a request may not pass.
#[derive(Debug)]
pub enum Refused {
    /// It leans on cookies whose access token is missing, expired or refused, and there is a refresh cookie: renew, then ask again with the new token.
    Renewable,
    /// No credential, or none that counts; `no_token` or `invalid_token`. A page is sent to sign in, everything else gets the problem.
    Unauthenticated(Problem),
    /// Known, and what they have proved is not enough here, or too long ago. A page is taken through the missing step and back, everything else gets the problem.
    Insufficient(Problem),
    /// Known, but not allowed; cross-site; doubled cookies; a store that is needed and does not answer: everything that signing in would not mend.
    Denied(Problem),
}

/// A decision's reason, as metrics have it.
type Reason = &'static str;

/// One request, as the gate sees it.
#[derive(Debug)]
pub(super) struct Knock<'a> {
    pub(super) origin: &'a Origin,
    pub(super) method: &'a Method,
    pub(super) headers: &'a HeaderMap,
    /// A token to judge in place of the access cookie.
    pub(super) access: Option<&'a str>,
}

/// The gate of a configuration.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) tokens: Arc<Tokens>,
    pub(super) public_url: Uri,
}

/// What was found out about a caller, and from what.
struct Seen {
    who: Option<Arc<Verified>>,
    reason: Reason,
    keep_authorization: bool,
}

impl Gate {
    /// Decides, and counts the decision. `Renewable` is none yet.
    pub(super) async fn admit(&self, route: &Arc<Found>, knock: Knock<'_>) -> Result<Admitted, Refused> {
        match self.decide(route, &knock).await {
            Ok(seen) => {
                route.counts.auth_decision("allowed", seen.reason);
                Ok(Admitted {
                    route: Arc::clone(route),
                    who: seen.who,
                    keep_authorization: seen.keep_authorization || route.route.forward_token,
                })
            }
            Err((refused, reason)) => {
                if !matches!(refused, Refused::Renewable) {
                    route.counts.auth_decision("refused", reason);
                }
                Err(refused)
            }
        }
    }

    async fn decide(&self, found: &Found, knock: &Knock<'_>) -> Result<Seen, (Refused, Reason)> {
        let route = &found.route;
        let bearer = match authorization(knock.headers).map_err(denied)? {
            Some(token) if route.accept_bearer && route.access != Access::Public => Some(token),
            Some(foreign) => return self.decide_beside(found, knock, foreign).await,
            None => None,
        };
        let seen = match (route.access, bearer) {
            (Access::Public, _) => return Ok(Seen::nobody("public")),
            (_, Some(token)) => self.by_bearer(found, knock, token).await?,
            (_, None) => self.by_cookie(found, knock).await?,
        };
        self.suffices(found, allow(found, seen)?)
    }

    /// The bearer token is nobody's business here, except that one of ours must not leak to the upstream.
    async fn decide_beside(&self, found: &Found, knock: &Knock<'_>, bearer: &[u8]) -> Result<Seen, (Refused, Reason)> {
        let keep_authorization = found.route.forward_token || !self.is_ours(bearer).await;
        let seen = match found.route.access {
            Access::Public => {
                return Ok(Seen {
                    keep_authorization,
                    ..Seen::nobody("public")
                });
            }
            _ => self.by_cookie(found, knock).await?,
        };
        let seen = Seen {
            keep_authorization,
            ..seen
        };
        self.suffices(found, allow(found, seen)?)
    }

    /// Whether somebody who may pass has proved as much as the route asks for, and recently enough. It comes last: whom no proof would help is told so.
    fn suffices(&self, found: &Found, seen: Seen) -> Result<Seen, (Refused, Reason)> {
        let route = &found.route;
        let Some(who) = seen
            .who
            .as_ref()
            .filter(|_| route.two_factors || route.max_age.is_some())
        else {
            return Ok(seen);
        };
        let who = &who.identity;
        let two = !route.two_factors || proof::is_multi(&who.amr);
        let recent = route
            .max_age
            .is_none_or(|most| self.tokens.now().since(who.auth_time) <= most);
        if two && recent {
            return Ok(seen);
        }
        let problem = step_up::problem(route.two_factors, route.max_age);
        Err((Refused::Insufficient(problem), "insufficient"))
    }

    async fn is_ours(&self, bearer: &[u8]) -> bool {
        !matches!(
            self.tokens.verify(bearer, RevocationMode::Off).await,
            Err(Rejected::Invalid(_))
        )
    }

    async fn by_bearer(&self, found: &Found, knock: &Knock<'_>, token: &[u8]) -> Result<Seen, (Refused, Reason)> {
        let mode = found.route.revocation;
        let who = match self.tokens.verify(token, mode).await {
            Ok(who) => who,
            Err(rejected) => return Err(refusal(&rejected)),
        };
        if found.route.accept_cookie && self.cookie_disagrees(knock, &who, mode).await? {
            return Err(denied("the bearer token and the cookie name different people"));
        }
        Ok(Seen {
            who: Some(who),
            reason: "bearer",
            keep_authorization: false,
        })
    }

    /// A cookie that does not count says nothing; one that does must name the same person.
    async fn cookie_disagrees(
        &self,
        knock: &Knock<'_>,
        who: &Verified,
        mode: RevocationMode,
    ) -> Result<bool, (Refused, Reason)> {
        let Some(access) = cookies(knock)?.access else {
            return Ok(false);
        };
        let other = self.tokens.verify(access, mode).await;
        Ok(other.is_ok_and(|other| other.identity.user != who.identity.user))
    }

    async fn by_cookie(&self, found: &Found, knock: &Knock<'_>) -> Result<Seen, (Refused, Reason)> {
        let route = &found.route;
        let ours = if route.accept_cookie {
            cookies(knock)?
        } else {
            Ours::default()
        };
        let access = knock.access.or(ours.access);
        let renewable = knock.access.is_none() && ours.refresh.is_some();
        if access.is_none() && !renewable {
            return Ok(Seen::nobody("no_token"));
        }
        self.check_site(found, knock)?;
        let (refused, reason) = match access {
            Some(access) => match self.tokens.verify(access, route.revocation).await {
                Ok(who) => {
                    return Ok(Seen::known(
                        who,
                        if knock.access.is_some() { "renewed" } else { "cookie" },
                    ));
                }
                Err(rejected) => refusal(&rejected),
            },
            None => (Refused::Renewable, "renewable"),
        };
        match refused {
            Refused::Denied(_) => Err((refused, reason)),
            _ if renewable => Err((Refused::Renewable, "renewable")),
            _ if route.access == Access::Optional => Ok(Seen::nobody(reason)),
            _ => Err((refused, reason)),
        }
    }

    /// An unsafe request must prove where it comes from, and so must the handshake of a WebSocket, which is not bound by the same-origin policy
    /// (RFC 6455 §10.2); `csrf = false` lifts the first rule, not the second. An origin that
    /// the route shares its answers with, cookies included, is trusted as our own is.
    fn check_site(&self, found: &Found, knock: &Knock<'_>) -> Result<(), (Refused, Reason)> {
        let Knock {
            origin,
            method,
            headers,
            ..
        } = knock;
        let trusted = found
            .route
            .cors
            .as_ref()
            .is_some_and(|cors| cors::trusts(cors, headers));
        let proven = trusted
            || if found.route.websocket && wanted_upgrade(headers).is_some() {
                headers.contains_key(ORIGIN) && site::comes_from_us(headers, &self.public_url, origin)
            } else {
                !found.route.csrf || site::is_same_site(method, headers, &self.public_url, origin)
            };
        if proven {
            return Ok(());
        }
        let problem = Problem::new(
            Code::CrossSite,
            "A request that changes something must come from a page of this site; send its Origin, or use a bearer token.",
        );
        Err((Refused::Denied(problem), "cross_site"))
    }
}

impl Seen {
    const fn nobody(reason: Reason) -> Self {
        Self {
            who: None,
            reason,
            keep_authorization: true,
        }
    }

    const fn known(who: Arc<Verified>, reason: Reason) -> Self {
        Self {
            who: Some(who),
            reason,
            keep_authorization: true,
        }
    }
}

/// The route's own rule. A list of roles asks for somebody, on an optional route too.
fn allow(found: &Found, seen: Seen) -> Result<Seen, (Refused, Reason)> {
    let route = &found.route;
    match &seen.who {
        None if route.access == Access::Optional && route.roles.is_empty() => Ok(seen),
        None => {
            let problem = Problem::new(Code::NoToken, "Sign in, or send an access token as a bearer token.");
            Err((Refused::Unauthenticated(problem), "no_token"))
        }
        Some(who) if route.is_for(&who.identity.roles) => Ok(seen),
        Some(_) => {
            let problem = Problem::new(Code::Forbidden, "Your account has none of the roles that this needs.");
            Err((Refused::Denied(problem), "forbidden"))
        }
    }
}

fn cookies<'a>(knock: &Knock<'a>) -> Result<Ours<'a>, (Refused, Reason)> {
    cookie::find(knock.headers)
        .map_err(|_| denied("a cookie of the gateway's is there twice; clear the cookies of this site"))
}

/// The token of a `Bearer` credential (RFC 6750 §2.1); `None` for another scheme's, or none. More than one line is nobody's.
fn authorization(headers: &HeaderMap) -> Result<Option<&[u8]>, &'static str> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err("more than one Authorization");
    }
    let line = line.as_bytes();
    let (scheme, rest) = line.split_at(
        line.iter()
            .position(|b| matches!(b, b' ' | b'\t'))
            .unwrap_or(line.len()),
    );
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(None);
    }
    Ok(Some(rest.trim_ascii()))
}

fn denied(detail: &'static str) -> (Refused, Reason) {
    (Refused::Denied(Problem::new(Code::BadRequest, detail)), "bad_request")
}

/// The client is told `invalid_token` and not why; metrics are.
fn refusal(rejected: &Rejected) -> (Refused, Reason) {
    let reason = match rejected {
        Rejected::Invalid(why) => {
            tracing::debug!(why, "an access token was refused");
            "invalid"
        }
        Rejected::Expired => "expired",
        Rejected::Revoked => "revoked",
        Rejected::Unavailable(cause) => {
            tracing::warn!(%cause, "cannot tell whether an access token is revoked");
            let problem = Problem::new(
                Code::StoreUnavailable,
                "It cannot be told at this moment whether the token is still good. Try again.",
            );
            return (Refused::Denied(problem.retry_after(1)), "store_unavailable");
        }
    };
    (Refused::Unauthenticated(no_longer()), reason)
}

/// All that is said of a token that does not count.
pub(super) fn no_longer() -> Problem {
    Problem::new(
        Code::InvalidToken,
        "The access token is not valid, or no longer. Get a new one.",
    )
}

#[cfg(test)]
mod tests;
