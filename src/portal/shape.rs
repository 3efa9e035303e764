//! What goes over the JSON face: bodies in, views of users and sessions out. From these types `openapi.json` is made as well, and their comments are in it.

pub(super) mod factors;
pub(super) mod passkeys;

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::intake::Shape;
use crate::auth::SignedIn;
use crate::auth::federation::Tie;
use crate::auth::step_up::Raised;
use crate::model::session::{Amr, Session, SessionId};
use crate::model::user::{Email, Role, User, UserId};
use crate::provider::Provider;

/// What makes an account.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Register {
    #[schemars(extend("format" = "email"))]
    pub(super) email: String,
    #[schemars(extend("format" = "password"))]
    pub(super) password: String,
}

impl Shape for Register {
    const SHAPE: &'static str = r#"Send {"email": "…", "password": "…"}."#;
}

/// What signs in.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Login {
    #[schemars(extend("format" = "email"))]
    pub(super) email: String,
    #[schemars(extend("format" = "password"))]
    pub(super) password: String,
    #[serde(default)]
    pub(super) transport: Transport,
}

impl Shape for Login {
    const SHAPE: &'static str = r#"Send {"email": "…", "password": "…"}, and "transport": "body" to get the refresh token in the answer instead of cookies."#;
}

/// How tokens travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Transport {
    /// Both in cookies; the access token in the answer as well.
    #[default]
    Cookie,
    /// Both in the answer.
    Body,
}

/// A refresh token, from whoever keeps no cookies.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Refresh {
    #[serde(default)]
    pub(super) refresh_token: Option<String>,
}

impl Shape for Refresh {
    const SHAPE: &'static str = r#"Send {"refresh_token": "…"}, or no body and the cookie."#;
}

/// What changes a password.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ChangePassword {
    #[schemars(extend("format" = "password"))]
    pub(super) current: String,
    #[schemars(extend("format" = "password"))]
    pub(super) new: String,
}

impl Shape for ChangePassword {
    const SHAPE: &'static str = r#"Send {"current": "…", "new": "…"}."#;
}

/// An address that a letter is asked for.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Asked {
    #[schemars(extend("format" = "email"))]
    pub(super) email: String,
}

impl Shape for Asked {
    const SHAPE: &'static str = r#"Send {"email": "…"}."#;
}

/// What sets a new password.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ResetPassword {
    /// Out of the link in the letter.
    pub(super) token: String,
    #[schemars(extend("format" = "password"))]
    pub(super) new: String,
}

impl Shape for ResetPassword {
    const SHAPE: &'static str = r#"Send {"token": "…", "new": "…"}."#;
}

/// What confirms an address.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ConfirmAddress {
    /// Out of the link in the letter.
    pub(super) token: String,
    /// That of the account, or of the registration.
    #[schemars(extend("format" = "password"))]
    pub(super) password: String,
}

impl Shape for ConfirmAddress {
    const SHAPE: &'static str = r#"Send {"token": "…", "password": "…"}."#;
}

/// Another address for the account.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ChangeEmail {
    #[schemars(extend("format" = "email"))]
    pub(super) email: String,
    #[schemars(extend("format" = "password"))]
    pub(super) password: String,
}

impl Shape for ChangeEmail {
    const SHAPE: &'static str = r#"Send {"email": "…", "password": "…"}."#;
}

/// The password once more, for what cannot be undone.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Confirm {
    #[schemars(extend("format" = "password"))]
    pub(super) password: String,
}

impl Shape for Confirm {
    const SHAPE: &'static str = r#"Send {"password": "…"} to confirm."#;
}

/// A user as everybody sees themselves.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "User")]
pub(super) struct UserView<'a> {
    /// For ever the same.
    #[schemars(with = "String", extend("format" = "uuid"))]
    id: UserId,
    #[schemars(with = "String", extend("format" = "email"))]
    email: &'a Email,
    #[schemars(with = "Vec<String>")]
    roles: &'a [Role],
    #[schemars(extend("format" = "date-time"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
}

impl<'a> UserView<'a> {
    pub(super) fn of(user: &'a User) -> Self {
        Self {
            id: user.id,
            email: &user.email,
            roles: &user.roles,
            created_at: None,
        }
    }

    pub(super) fn with_age(user: &'a User) -> Self {
        Self {
            created_at: Some(user.created_at.to_string()),
            ..Self::of(user)
        }
    }
}

/// Answer to `register`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Registered<'a> {
    pub(super) user: UserView<'a>,
}

/// Answer to `login` and `refresh`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Granted<'a> {
    /// For `Authorization: Bearer`.
    access_token: &'a str,
    #[schemars(extend("const" = "Bearer"))]
    token_type: &'static str,
    /// How long the access token is good, in seconds.
    expires_in: u64,
    /// Only with `"transport": "body"`; otherwise it is in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    /// How long the session lives on unused, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_expires_in: Option<u64>,
    user: UserView<'a>,
}

impl<'a> Granted<'a> {
    pub(super) fn of(signed_in: &'a SignedIn, transport: Transport) -> Self {
        let in_body = transport == Transport::Body;
        Self {
            access_token: &signed_in.access.jwt,
            token_type: "Bearer",
            expires_in: signed_in.access.expires_in.as_secs(),
            refresh_token: in_body.then(|| signed_in.refresh.expose()),
            refresh_expires_in: in_body.then(|| unused_life(&signed_in.session)),
            user: UserView::of(&signed_in.user),
        }
    }
}

impl<'a> Granted<'a> {
    /// A session that goes on with the refresh token that it has.
    pub(super) fn raised(raised: &'a Raised) -> Self {
        Self {
            access_token: &raised.access.jwt,
            token_type: "Bearer",
            expires_in: raised.access.expires_in.as_secs(),
            refresh_token: None,
            refresh_expires_in: None,
            user: UserView::of(&raised.user),
        }
    }
}

/// How long a session just used lives on if it is not used again, in seconds.
pub(super) fn unused_life(session: &Session) -> u64 {
    session.idle_expires_at.since(session.last_used_at).as_secs()
}

/// Answer to `me`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Me<'a> {
    pub(super) user: UserView<'a>,
    pub(super) session: Present<'a>,
}

/// The session one is in.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PresentSession")]
pub(super) struct Present<'a> {
    #[schemars(with = "String", extend("format" = "uuid"))]
    id: SessionId,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    /// When it ends, however much it is used.
    #[schemars(extend("format" = "date-time"))]
    expires_at: String,
    /// How the person proved themselves (RFC 8176).
    #[schemars(with = "Vec<String>")]
    amr: &'a [Amr],
}

impl<'a> Present<'a> {
    pub(super) fn of(session: &'a Session) -> Self {
        Self {
            id: session.id,
            created_at: session.created_at.to_string(),
            expires_at: session.expires_at.to_string(),
            amr: &session.amr,
        }
    }
}

/// Answer to `sessions`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Sessions")]
pub(super) struct Listing<'a> {
    pub(super) sessions: Vec<Listed<'a>>,
}

/// One of a person's sessions.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Session")]
pub(super) struct Listed<'a> {
    #[schemars(with = "String", extend("format" = "uuid"))]
    id: SessionId,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    last_used_at: String,
    /// Where it was opened from.
    #[schemars(with = "Option<String>")]
    ip: Option<IpAddr>,
    /// The browser's own words for itself.
    user_agent: &'a str,
    /// Whether it is the one that asks.
    current: bool,
}

impl<'a> Listed<'a> {
    pub(super) fn of(session: &'a Session, current: SessionId) -> Self {
        Self {
            id: session.id,
            created_at: session.created_at.to_string(),
            last_used_at: session.last_used_at.to_string(),
            ip: session.ip,
            user_agent: &session.user_agent,
            current: session.id == current,
        }
    }
}

/// Answer to `providers`.
#[derive(Serialize, JsonSchema)]
pub(super) struct ProviderList<'a> {
    pub(super) providers: Vec<ProviderView<'a>>,
}

/// A provider that one may sign in with, on the sign-in page.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Provider")]
pub(super) struct ProviderView<'a> {
    /// Its name in paths.
    id: &'a str,
    /// Its name for people.
    name: &'a str,
    /// Whether the account of whoever asks is connected to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    connected: Option<bool>,
}

impl<'a> ProviderView<'a> {
    pub(super) fn of(provider: &'a Provider, ties: Option<&[Tie]>) -> Self {
        Self {
            id: provider.id(),
            name: provider.name(),
            connected: ties.map(|ties| ties.iter().any(|tie| tie.issuer == provider.issuer())),
        }
    }
}
