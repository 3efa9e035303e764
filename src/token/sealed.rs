//! Private keys at rest: sealed with AES-256-GCM under a key derived from the installation's secret.
//!
//! The `kid` is authenticated along with the key, so that somebody who can write to the store cannot put one key's body under another's name.
//! Layout: version 1 ‖ nonce 12 ‖ ciphertext and tag.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::TokenError;
use crate::model::secret::{self, Secret};

const VERSION: u8 = 1;

/// Seals and opens private keys.
pub(super) struct Seal(LessSafeKey);

impl Seal {
    /// The seal of an installation.
    pub(super) fn new(secret: &Secret) -> Result<Self, TokenError> {
        let key = secret.derive("signing keys").map_err(|_| NO_SEAL)?;
        let key = UnboundKey::new(&AES_256_GCM, key.as_slice()).map_err(|_| NO_SEAL)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals a key under its name. The nonce is random: a handful of keys in the life of a secret is far from where that wears out.
    pub(super) fn seal(&self, kid: &str, pkcs8: &[u8]) -> Result<Vec<u8>, TokenError> {
        let nonce: [u8; NONCE_LEN] = secret::random().map_err(|_| NO_SEAL)?;
        let mut body = Zeroizing::new(pkcs8.to_vec());
        let tag = self
            .0
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(kid.as_bytes()),
                &mut body,
            )
            .map_err(|_| NO_SEAL)?;
        Ok([&[VERSION], nonce.as_slice(), body.as_slice(), tag.as_ref()].concat())
    }

    /// Opens a key.
    ///
    /// # Errors
    /// `WrongSecret` when it was sealed under another secret or name, or was changed.
    pub(super) fn open(&self, kid: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, TokenError> {
        let (version, rest) = sealed.split_first().ok_or(TokenError::WrongSecret)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(TokenError::WrongSecret)?;
        if *version != VERSION {
            return Err(TokenError::WrongSecret);
        }
        let mut body = Zeroizing::new(body.to_vec());
        let length = self
            .0
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(kid.as_bytes()),
                &mut body,
            )
            .map_err(|_| TokenError::WrongSecret)?
            .len();
        body.truncate(length);
        Ok(body)
    }
}

const NO_SEAL: TokenError = TokenError::Signing("a private key could not be sealed");

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_secret_and_name_open_a_key() {
        let seal = Seal::new(&Secret::new([7; 32])).unwrap();
        let sealed = seal.seal("kid", b"private").unwrap();
        assert_eq!(seal.open("kid", &sealed).unwrap().as_slice(), b"private");
        assert!(seal.open("other", &sealed).is_err());
        let other = Seal::new(&Secret::new([8; 32])).unwrap();
        assert!(matches!(other.open("kid", &sealed), Err(TokenError::WrongSecret)));
    }

    #[test]
    fn a_changed_or_cut_key_does_not_open() {
        let seal = Seal::new(&Secret::new([7; 32])).unwrap();
        let sealed = seal.seal("kid", b"private").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(seal.open("kid", &changed).is_err(), "octet {at}");
            assert!(seal.open("kid", &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn sealing_twice_gives_two_texts() {
        let seal = Seal::new(&Secret::new([7; 32])).unwrap();
        assert_ne!(
            seal.seal("kid", b"private").unwrap(),
            seal.seal("kid", b"private").unwrap()
        );
    }
}
