//! Signing keys and their life: published, signing, retiring, gone.

use crate::config::Algorithm;
use crate::model::clock::Timestamp;

/// Where in its life a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// In the JWKS, does not sign yet.
    Published,
    /// Signs.
    Signing,
    /// Signs no more; its last tokens are still good.
    Retiring,
    /// Revoked; its tokens are refused.
    Revoked,
}

/// A key as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Where in its life it is.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its state changes next, if that is known.
    pub next_change: Option<Timestamp>,
}
