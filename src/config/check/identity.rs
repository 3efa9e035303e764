//! `identity` of a route: which headers say who is calling, and which may not be used for it.

use http::HeaderName;

use crate::config::read::Reader;
use crate::config::words::{Preset, UserClaim};
use crate::config::{Claim, IdentityHeaders, file};

use super::routes::Surroundings;

/// Headers that have a meaning of their own (folded): framing and hop-by-hop (RFC 9110 §7.6.1), credentials, what the gateway itself tells, and what
/// describes the message.
const TAKEN: [&str; 44] = [
    "connection",
    "contentlength",
    "host",
    "keepalive",
    "te",
    "trailer",
    "transferencoding",
    "upgrade",
    "proxyconnection",
    "proxyauthenticate",
    "proxyauthorization",
    "authorization",
    "cookie",
    "setcookie",
    "expect",
    "xforwardedfor",
    "xforwardedproto",
    "xforwardedhost",
    "xforwardedport",
    "xrealip",
    "forwarded",
    "xrequestid",
    "xgatewardassertion",
    "traceparent",
    "tracestate",
    "contenttype",
    "contentencoding",
    "contentrange",
    "accept",
    "acceptencoding",
    "origin",
    "referer",
    "useragent",
    "via",
    "date",
    "range",
    "ifmatch",
    "ifnonematch",
    "ifmodifiedsince",
    "maxforwards",
    "cachecontrol",
    "wwwauthenticate",
    "http2settings",
    "location",
];

pub(super) fn identity(reader: &mut Reader, file: &file::Identity, around: &Surroundings<'_>) -> IdentityHeaders {
    let user = match file.user.value {
        UserClaim::Subject => Claim::Subject,
        UserClaim::Email => Claim::Email,
    };
    if user == Claim::Email && file.user.given && !around.claim_email {
        reader.mistake(
            &file.user.place,
            "tokens do not say the e-mail; put \"email\" into `tokens.claims`",
        );
    }
    let mut headers = preset(file.preset.value, user);
    for (name, claim) in &file.headers.0 {
        match header(name, claim.value, &headers, around) {
            Ok(name) => headers.push((name, claim.value)),
            Err(message) => reader.mistake(&claim.place, message),
        }
    }
    IdentityHeaders {
        headers,
        assertion: file.assertion.value,
    }
}

fn preset(preset: Preset, user: Claim) -> Vec<(HeaderName, Claim)> {
    let names = match preset {
        Preset::XForwarded => ["x-forwarded-user", "x-forwarded-email", "x-forwarded-groups"],
        Preset::RemoteUser => ["remote-user", "remote-email", "remote-groups"],
        Preset::XAuthRequest => ["x-auth-request-user", "x-auth-request-email", "x-auth-request-groups"],
        Preset::None => return Vec::new(),
    };
    let claims = [user, Claim::Email, Claim::Roles];
    names.map(HeaderName::from_static).into_iter().zip(claims).collect()
}

fn header(
    name: &str,
    claim: Claim,
    others: &[(HeaderName, Claim)],
    around: &Surroundings<'_>,
) -> Result<HeaderName, String> {
    let header: HeaderName = name.parse().map_err(|_| "is not the name of a header".to_owned())?;
    let this = folded(name);
    if TAKEN.contains(&this.as_str()) {
        return Err("has a meaning of its own and cannot carry a claim; choose another name".to_owned());
    }
    if let Some((other, _)) = others.iter().find(|(other, _)| folded(other.as_str()) == this) {
        return Err(format!(
            "is the same header as `{other}`, to many an upstream; keep one of them"
        ));
    }
    match claim {
        Claim::Email if !around.claim_email => {
            Err("tokens do not say it; put \"email\" into `tokens.claims`".to_owned())
        }
        Claim::Roles if !around.claim_roles => {
            Err("tokens do not say it; put \"roles\" into `tokens.claims`".to_owned())
        }
        _ => Ok(header),
    }
}

/// Names that only case and punctuation tell apart are one name to CGI and its heirs.
fn folded(name: &str) -> String {
    let kept = name.chars().filter(|c| !matches!(c, '-' | '_' | '.' | ' '));
    kept.map(|c| c.to_ascii_lowercase()).collect()
}
