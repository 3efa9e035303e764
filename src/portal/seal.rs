//! What a browser carries for us without being able to read or change it: AES-256-GCM under a key of one purpose.
//!
//! Whatever it is bound to (a browser, a question) is authenticated along with it, so that nobody can use it elsewhere. Nonces are random: seals of one
//! secret stay far below where that wears out.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::model::secret::{NoEntropy, Secret, random};

/// Seals and opens again.
pub struct Seal(LessSafeKey);

impl Seal {
    /// Under the installation's secret: what one gateway sealed, each that shares the secret opens.
    pub fn new(secret: &Secret, purpose: &'static str) -> Result<Self, NoEntropy> {
        let key = secret.derive(purpose)?;
        let key = UnboundKey::new(&AES_256_GCM, key.as_slice()).map_err(|_| NoEntropy)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals, as text for cookies and forms.
    pub fn seal(&self, bound_to: &[u8], mut content: Vec<u8>) -> Option<String> {
        let nonce: [u8; NONCE_LEN] = random().ok()?;
        let place = Nonce::assume_unique_for_key(nonce);
        self.0
            .seal_in_place_append_tag(place, Aad::from(bound_to), &mut content)
            .ok()?;
        Some(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &content].concat()))
    }

    /// Opens. `None`: not sealed here, bound to something else, or changed.
    pub fn open(&self, bound_to: &[u8], text: &str) -> Option<Vec<u8>> {
        let mut sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, content) = sealed.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self.0.open_in_place(nonce, Aad::from(bound_to), content).ok()?;
        Some(opened.to_vec())
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(…)")
    }
}
