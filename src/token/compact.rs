//! JWS compact serialisation (RFC 7515 §7.1): three parts of canonical base64url.
//!
//! One content has one spelling here: padding, other alphabets and stray bits at the end of a part are refused, so a text that was revoked or cached
//! cannot come back written differently.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::pair::Pair;
use super::{Rejected, TokenError};

/// Longer texts are refused before anything else is looked at.
pub(super) const MAX: usize = 8192;

/// A text of the right shape; its parts are not decoded yet.
pub(super) struct Compact<'a> {
    /// What the signature covers.
    pub(super) signed: &'a str,
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Compact<'a> {
    /// Checks size, alphabet and shape.
    pub(super) fn split(text: &'a str) -> Result<Self, Rejected> {
        if text.len() > MAX {
            return Err(Rejected::Invalid("too long"));
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            return Err(Rejected::Invalid("alphabet"));
        }
        let shape = Rejected::Invalid("not three parts");
        let Some((signed, signature)) = text.rsplit_once('.') else {
            return Err(shape);
        };
        match signed.split_once('.') {
            Some((header, payload)) if !payload.contains('.') && !header.is_empty() && !payload.is_empty() => {
                Ok(Self {
                    signed,
                    header,
                    payload,
                    signature,
                })
            }
            _ => Err(shape),
        }
    }

    /// The header's octets.
    pub(super) fn header(&self) -> Result<Vec<u8>, Rejected> {
        decode(self.header)
    }

    /// The payload's octets.
    pub(super) fn payload(&self) -> Result<Vec<u8>, Rejected> {
        decode(self.payload)
    }

    /// The signature's octets.
    pub(super) fn signature(&self) -> Result<Vec<u8>, Rejected> {
        decode(self.signature)
    }
}

/// Encodes a header once, to stand before many payloads.
pub(super) fn header(alg: &str, typ: &str, kid: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}","typ":"{typ}","kid":"{kid}"}}"#))
}

/// Signs a payload under an encoded header.
pub(super) fn sign(header: &str, payload: &[u8], pair: &Pair) -> Result<String, TokenError> {
    let mut text = String::with_capacity(header.len() + payload.len() * 4 / 3 + 352);
    text.push_str(header);
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut text);
    let signature = pair.sign(text.as_bytes())?;
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    if text.len() > MAX {
        return Err(TokenError::Signing(
            "the token would be longer than any verifier of ours takes",
        ));
    }
    Ok(text)
}

fn decode(part: &str) -> Result<Vec<u8>, Rejected> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| Rejected::Invalid("not canonical base64url"))
}
