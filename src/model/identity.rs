//! Who is calling, once a token has proved it.

use super::clock::Timestamp;
use super::session::{Amr, SessionId, TokenId};
use super::user::{Email, Role, UserId};

/// The verified content of an access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user (`sub`).
    pub user: UserId,
    /// The session (`sid`).
    pub session: SessionId,
    /// The token (`jti`).
    pub token: TokenId,
    /// The address, where tokens carry it (`tokens.claims`).
    pub email: Option<Email>,
    /// The roles as of the last refresh.
    pub roles: Vec<Role>,
    /// When the person last proved themselves (`auth_time`).
    pub auth_time: Timestamp,
    /// How they did (`amr`).
    pub amr: Vec<Amr>,
    /// When the token was made (`iat`).
    pub issued_at: Timestamp,
    /// From when on it is no longer good (`exp`).
    pub expires_at: Timestamp,
}
