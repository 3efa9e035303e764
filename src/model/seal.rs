//! Secrets at rest or on a detour through a browser: sealed with AES-256-GCM under a key derived from the installation's secret.
//!
//! Each purpose has a key of its own, and the name under which something is sealed is authenticated along with it, so that somebody who can write to
//! the store cannot put one thing's body under another's name. Layout: version 1 ‖ nonce 12 ‖ ciphertext and tag.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::secret::{self, NoEntropy, Secret};

const VERSION: u8 = 1;

/// It was sealed under another secret, purpose or name, or was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealed under another secret or name, or damaged")]
pub struct Unopened;

/// Seals and opens for one purpose.
pub struct Seal(LessSafeKey);

impl Seal {
    /// The seal of an installation for a purpose, which is a fixed text that nothing else uses.
    pub fn new(secret: &Secret, purpose: &'static str) -> Result<Self, NoEntropy> {
        let key = secret.derive(purpose)?;
        let key = UnboundKey::new(&AES_256_GCM, key.as_slice()).map_err(|_| NoEntropy)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals under a name. The nonce is random, which wears a key out after some 2^32 seals (NIST SP 800-38D §8.3).
    pub fn seal(&self, name: &[u8], content: &[u8]) -> Result<Vec<u8>, NoEntropy> {
        let nonce: [u8; NONCE_LEN] = secret::random()?;
        let mut body = Zeroizing::new(content.to_vec());
        let place = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(place, Aad::from(name), &mut body)
            .map_err(|_| NoEntropy)?;
        Ok([&[VERSION], nonce.as_slice(), body.as_slice(), tag.as_ref()].concat())
    }

    /// Opens what was sealed under a name.
    pub fn open(&self, name: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        let (version, rest) = sealed.split_first().ok_or(Unopened)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(Unopened)?;
        if *version != VERSION {
            return Err(Unopened);
        }
        let mut body = Zeroizing::new(body.to_vec());
        let place = Nonce::assume_unique_for_key(*nonce);
        let opened = self.0.open_in_place(place, Aad::from(name), &mut body);
        let length = opened.map_err(|_| Unopened)?.len();
        body.truncate(length);
        Ok(body)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(secret: u8, purpose: &'static str) -> Seal {
        Seal::new(&Secret::new([secret; 32]), purpose).unwrap()
    }

    #[test]
    fn only_the_same_secret_purpose_and_name_open() {
        let sealed = seal(7, "keys").seal(b"kid", b"private").unwrap();
        assert_eq!(seal(7, "keys").open(b"kid", &sealed).unwrap().as_slice(), b"private");
        assert!(seal(7, "keys").open(b"other", &sealed).is_err());
        assert!(seal(7, "codes").open(b"kid", &sealed).is_err());
        assert!(seal(8, "keys").open(b"kid", &sealed).is_err());
    }

    #[test]
    fn what_was_changed_or_cut_does_not_open() {
        let seal = seal(7, "keys");
        let sealed = seal.seal(b"kid", b"private").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(seal.open(b"kid", &changed).is_err(), "octet {at}");
            assert!(seal.open(b"kid", &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn sealing_twice_gives_two_texts() {
        let seal = seal(7, "keys");
        assert_ne!(
            seal.seal(b"kid", b"private").unwrap(),
            seal.seal(b"kid", b"private").unwrap()
        );
    }
}
