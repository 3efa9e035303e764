//! What goes over the JSON face: bodies in, views of users and sessions out.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::intake::Shape;
use crate::auth::SignedIn;
use crate::model::session::{Amr, Session, SessionId};
use crate::model::user::{Email, Role, User, UserId};

/// `POST register`
#[derive(Deserialize)]
pub(super) struct Register {
    pub(super) email: String,
    pub(super) password: String,
}

impl Shape for Register {
    const SHAPE: &'static str = r#"Send {"email": "…", "password": "…"}."#;
}

/// `POST login`
#[derive(Deserialize)]
pub(super) struct Login {
    pub(super) email: String,
    pub(super) password: String,
    #[serde(default)]
    pub(super) transport: Transport,
}

impl Shape for Login {
    const SHAPE: &'static str = r#"Send {"email": "…", "password": "…"}, and "transport": "body" to get the refresh token in the answer instead of cookies."#;
}

/// How tokens travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Transport {
    /// Both in cookies; the access token in the answer as well.
    #[default]
    Cookie,
    /// Both in the answer.
    Body,
}

/// `POST refresh` and `POST logout`
#[derive(Deserialize)]
pub(super) struct Refresh {
    #[serde(default)]
    pub(super) refresh_token: Option<String>,
}

impl Shape for Refresh {
    const SHAPE: &'static str = r#"Send {"refresh_token": "…"}, or no body and the cookie."#;
}

/// `POST password`
#[derive(Deserialize)]
pub(super) struct ChangePassword {
    pub(super) current: String,
    pub(super) new: String,
}

impl Shape for ChangePassword {
    const SHAPE: &'static str = r#"Send {"current": "…", "new": "…"}."#;
}

/// `DELETE me`
#[derive(Deserialize)]
pub(super) struct Confirm {
    pub(super) password: String,
}

impl Shape for Confirm {
    const SHAPE: &'static str = r#"Send {"password": "…"} to confirm."#;
}

/// A user as everybody sees themselves.
#[derive(Serialize)]
pub(super) struct UserView<'a> {
    id: UserId,
    email: &'a Email,
    roles: &'a [Role],
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
#[derive(Serialize)]
pub(super) struct Registered<'a> {
    pub(super) user: UserView<'a>,
}

/// Answer to `login` and `refresh`.
#[derive(Serialize)]
pub(super) struct Granted<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
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

/// How long a session just used lives on if it is not used again, in seconds.
pub(super) fn unused_life(session: &Session) -> u64 {
    session.idle_expires_at.since(session.last_used_at).as_secs()
}

/// Answer to `me`.
#[derive(Serialize)]
pub(super) struct Me<'a> {
    pub(super) user: UserView<'a>,
    pub(super) session: Present<'a>,
}

/// The session one is in.
#[derive(Serialize)]
pub(super) struct Present<'a> {
    id: SessionId,
    created_at: String,
    expires_at: String,
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
#[derive(Serialize)]
pub(super) struct Listing<'a> {
    pub(super) sessions: Vec<Listed<'a>>,
}

/// One of a person's sessions.
#[derive(Serialize)]
pub(super) struct Listed<'a> {
    id: SessionId,
    created_at: String,
    last_used_at: String,
    ip: Option<IpAddr>,
    user_agent: &'a str,
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
