//! What a browser carries for us without being able to read or change it: sealed, as text for cookies and forms.
//!
//! Whatever it is bound to (a browser, a question) is authenticated along with it, so that nobody can use it elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::model::seal;
use crate::model::secret::{NoEntropy, Secret};

/// Seals and opens again.
#[derive(Debug)]
pub struct Seal(seal::Seal);

impl Seal {
    /// Under the installation's secret: what one gateway sealed, each that shares the secret opens.
    pub fn new(secret: &Secret, purpose: &'static str) -> Result<Self, NoEntropy> {
        seal::Seal::new(secret, purpose).map(Self)
    }

    /// Seals.
    pub fn seal(&self, bound_to: &[u8], content: &[u8]) -> Option<String> {
        Some(URL_SAFE_NO_PAD.encode(self.0.seal(bound_to, content).ok()?))
    }

    /// Opens. `None`: not sealed here, bound to something else, or changed.
    pub fn open(&self, bound_to: &[u8], text: &str) -> Option<Vec<u8>> {
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let opened = self.0.open(bound_to, &sealed).ok()?;
        Some(opened.to_vec())
    }
}
