//! The refresh token: opaque, computed, never stored.
//!
//! `base64url( session id 16 ‖ generation u32 ‖ nonce 16 ‖ HMAC-SHA256(secret, all before) )`. A forged one is refused without a store; a successor is
//! computed from its predecessor, so a repeat can be answered with the same one; the store keeps the nonce's hash only.

use crate::model::session::{Generation, SessionId};

/// A refresh token to be handed to its owner; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken(String);

impl RefreshToken {
    /// The text, for the cookie or the body.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefreshToken(…)")
    }
}

/// A refresh token that somebody presented and that is genuine.
#[derive(Clone)]
pub struct Presented {
    /// The session it names.
    pub session: SessionId,
    /// Its generation.
    pub generation: Generation,
    /// SHA-256 of its nonce.
    pub nonce_hash: [u8; 32],
}

impl Presented {
    /// The token of another generation of the same session.
    pub fn successor(&self, generation: Generation) -> RefreshToken {
        let _ = generation;
        todo!()
    }
}
