//! What one asks a provider: three secrets, made for one question and good for its answer only.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::model::secret::{NoEntropy, random};

/// A question to a provider.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Comes back with the answer: it is the answer to this question.
    pub state: String,
    /// Stands in the ID token: it was made for this question.
    pub nonce: String,
    /// Goes with the code, and was known before only by its hash (PKCE, RFC 7636): who redeems the code is who asked.
    pub verifier: String,
}

impl Question {
    /// A question that nobody has asked before.
    pub fn new() -> Result<Self, NoEntropy> {
        let word = || random::<32>().map(|octets| URL_SAFE_NO_PAD.encode(octets));
        Ok(Self {
            state: word()?,
            nonce: word()?,
            verifier: word()?,
        })
    }

    /// The verifier's hash (`S256`).
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier.as_bytes()))
    }
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Question(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        // RFC 7636 appendix B
        let question = Question {
            verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned(),
            ..Question::new().unwrap()
        };
        assert_eq!(question.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
