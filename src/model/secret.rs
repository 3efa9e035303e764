//! Random bytes and the installation's own secret. Both come from here and nowhere else.

use std::fmt;

use aws_lc_rs::{hkdf, rand};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::clock::Timestamp;

/// The operating system gave no random bytes, or a key could not be derived: nothing safe can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system's random generator failed")]
pub struct NoEntropy;

/// `N` random bytes fit for keys.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that asks the system for random bytes"
)]
pub fn random<const N: usize>() -> Result<[u8; N], NoEntropy> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| NoEntropy)?;
    Ok(bytes)
}

/// A fresh UUIDv7 of the given moment (RFC 9562 §5.7): 48 bits of time, 74 of randomness.
pub fn uuid_v7(now: Timestamp) -> Result<Uuid, NoEntropy> {
    let random: [u8; 10] = random()?;
    Ok(uuid::Builder::from_unix_timestamp_millis(now.as_millis(), &random).into_uuid())
}

/// The 256 bits of `store.secret_file`. Every other symmetric key is derived from them, one for each purpose.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// Takes over 32 secret bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for writing the file.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// A key for one purpose (HKDF-SHA256, RFC 5869); the same purpose gives the same key.
    pub fn derive(&self, purpose: &'static str) -> Result<Zeroizing<[u8; 32]>, NoEntropy> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"gateward");
        let extracted = salt.extract(self.0.as_slice());
        let info = [purpose.as_bytes()];
        let mut key = Zeroizing::new([0; 32]);
        extracted
            .expand(&info, hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(key.as_mut_slice()))
            .map_err(|_| NoEntropy)?;
        Ok(key)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
