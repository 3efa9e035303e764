//! The refresh token: opaque, computed, never stored.
//!
//! `base64url( session id 16 ‖ generation u32 ‖ nonce 16 ‖ HMAC-SHA256(secret, all before) )`. A forged one is refused without a store; a successor is
//! computed from its predecessor, so a repeat can be answered with the same one; the store keeps the nonce's hash only.

use std::sync::Arc;

use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::TokenError;
use crate::model::secret::{self, Secret};
use crate::model::session::{Generation, SessionId};

const NONCE: usize = 16;
const BODY: usize = 16 + 4 + NONCE;
const MAC: usize = 32;
/// 68 octets in base64 without padding.
const TEXT: usize = 91;

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
    nonce: Zeroizing<[u8; NONCE]>,
    mint: Arc<RefreshMint>,
}

impl Presented {
    /// The token of another generation of the same session.
    pub fn successor(&self, generation: Generation) -> RefreshToken {
        self.mint.write(self.session, generation, &self.nonce)
    }
}

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Presented({}, {}, …)", self.session, self.generation.0)
    }
}

/// Computes refresh tokens and tells genuine ones.
pub(super) struct RefreshMint(hmac::Key);

impl RefreshMint {
    /// The mint of an installation.
    pub(super) fn new(secret: &Secret) -> Result<Self, TokenError> {
        let key = secret.derive("refresh tokens").map_err(|_| NO_RANDOM)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key.as_slice())))
    }

    /// The first token of a session, and the SHA-256 of the nonce that all its successors share.
    pub(super) fn first(&self, session: SessionId) -> Result<(RefreshToken, [u8; 32]), TokenError> {
        let nonce: Zeroizing<[u8; NONCE]> = Zeroizing::new(secret::random().map_err(|_| NO_RANDOM)?);
        let token = self.write(session, Generation::FIRST, &nonce);
        Ok((token, sha256(nonce.as_slice())))
    }

    /// The token that a text is. `None`: not one of ours. The MAC is compared in constant time.
    pub(super) fn read(self: &Arc<Self>, text: &str) -> Option<Presented> {
        if text.len() != TEXT {
            return None;
        }
        let octets = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        let (body, mac) = octets.split_at_checked(BODY)?;
        hmac::verify(&self.0, body, mac).ok()?;
        let (session, rest) = body.split_first_chunk::<16>()?;
        let (generation, rest) = rest.split_first_chunk::<4>()?;
        let nonce: [u8; NONCE] = rest.try_into().ok()?;
        Some(Presented {
            session: SessionId(Uuid::from_bytes(*session)),
            generation: Generation(u32::from_be_bytes(*generation)),
            nonce_hash: sha256(&nonce),
            nonce: Zeroizing::new(nonce),
            mint: Arc::clone(self),
        })
    }

    fn write(&self, session: SessionId, generation: Generation, nonce: &[u8; NONCE]) -> RefreshToken {
        let mut octets = Zeroizing::new(Vec::with_capacity(BODY + MAC));
        octets.extend_from_slice(session.0.as_bytes());
        octets.extend_from_slice(&generation.0.to_be_bytes());
        octets.extend_from_slice(nonce);
        let mac = hmac::sign(&self.0, &octets);
        octets.extend_from_slice(mac.as_ref());
        RefreshToken(URL_SAFE_NO_PAD.encode(&octets))
    }
}

impl std::fmt::Debug for RefreshMint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefreshMint(…)")
    }
}

const NO_RANDOM: TokenError = TokenError::Signing("the system's random generator failed");

fn sha256(octets: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, octets).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mint(secret: u8) -> Arc<RefreshMint> {
        Arc::new(RefreshMint::new(&Secret::new([secret; 32])).unwrap())
    }

    fn session() -> SessionId {
        SessionId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001))
    }

    #[test]
    fn a_token_says_what_it_was_made_for() {
        let mint = mint(1);
        let (token, hash) = mint.first(session()).unwrap();
        let read = mint.read(token.expose()).unwrap();
        assert_eq!((read.session, read.generation), (session(), Generation::FIRST));
        assert_eq!(read.nonce_hash, hash);
        assert_eq!(token.expose().len(), TEXT);
    }

    #[test]
    fn every_holder_computes_the_same_successor() {
        let mint = mint(1);
        let (first, hash) = mint.first(session()).unwrap();
        let one = mint.read(first.expose()).unwrap().successor(Generation(2));
        let other = mint.read(first.expose()).unwrap().successor(Generation(2));
        assert_eq!(one, other);
        let read = mint.read(one.expose()).unwrap();
        assert_eq!((read.generation, read.nonce_hash), (Generation(2), hash));
        assert_eq!(read.successor(Generation(1)), first);
    }

    #[test]
    fn a_token_of_another_installation_is_unknown() {
        let (token, _) = mint(1).first(session()).unwrap();
        assert!(mint(2).read(token.expose()).is_none());
    }

    #[test]
    fn a_token_changed_in_any_character_is_unknown() {
        let mint = mint(1);
        let (token, _) = mint.first(session()).unwrap();
        for at in 0..TEXT {
            let mut text = token.expose().as_bytes().to_vec();
            text[at] = if text[at] == b'A' { b'B' } else { b'A' };
            let text = String::from_utf8(text).unwrap();
            assert!(mint.read(&text).is_none(), "character {at}");
        }
    }

    #[test]
    fn only_the_canonical_spelling_counts() {
        let mint = mint(1);
        let (token, _) = mint.first(session()).unwrap();
        let text = token.expose();
        assert!(mint.read(&format!("{text}=")).is_none());
        assert!(mint.read(&format!(" {text}")).is_none());
        // 91 characters carry 546 bits, two more than there are: both must be zero.
        let (head, last) = text.split_at(TEXT - 1);
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let value = alphabet.find(last).unwrap();
        let other = alphabet.get(value + 1..value + 2).unwrap();
        assert!(mint.read(&format!("{head}{other}")).is_none());
    }

    #[test]
    fn it_is_never_printed() {
        let (token, _) = mint(1).first(session()).unwrap();
        assert_eq!(format!("{token:?}"), "RefreshToken(…)");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_as_it_was(session in any::<u128>(), generation in any::<u32>()) {
            let mint = mint(1);
            let session = SessionId(Uuid::from_u128(session));
            let (first, hash) = mint.first(session).unwrap();
            let token = mint.read(first.expose()).unwrap().successor(Generation(generation));
            let read = mint.read(token.expose()).unwrap();
            prop_assert_eq!((read.session, read.generation, read.nonce_hash), (session, Generation(generation), hash));
        }

        #[test]
        fn reading_never_panics(text in ".{0,120}") {
            prop_assert!(mint(1).read(&text).is_none());
        }
    }
}
