//! A private key that is parsed once and kept: what makes signatures.
//!
//! Parsing an RSA key costs as much as a signature, so a pair is built from PKCS#8 when the keys are read and never again. It is not printed.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use super::TokenError;
use super::jwk::Jwk;
use crate::config::Algorithm;

/// Shorter RSA keys are refused by RFC 7518 §3.3; longer ones would slow every sign-in down.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// A private key of one of the three algorithms.
pub(super) enum Pair {
    /// RS256
    Rsa(Box<RsaKeyPair>),
    /// ES256
    P256(Box<EcdsaKeyPair>),
    /// EdDSA
    Ed25519(Box<Ed25519KeyPair>),
}

impl Pair {
    /// A new key. RSA takes a tenth of a second and more: not on a thread that serves.
    pub(super) fn generate(algorithm: Algorithm) -> Result<Self, TokenError> {
        let made = match algorithm {
            Algorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048).map(|pair| Self::Rsa(Box::new(pair))),
            Algorithm::Es256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(|pair| Self::P256(Box::new(pair)))
            }
            Algorithm::EdDsa => Ed25519KeyPair::generate().map(|pair| Self::Ed25519(Box::new(pair))),
        };
        made.map_err(|_| TokenError::Signing("the crypto library could not make a key"))
    }

    /// Reads an unencrypted PKCS#8 document of a known algorithm.
    pub(super) fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::Rs256 => RsaKeyPair::from_pkcs8(der).ok().map(|pair| Self::Rsa(Box::new(pair))),
            Algorithm::Es256 => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
                .ok()
                .map(|pair| Self::P256(Box::new(pair))),
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8(der)
                .ok()
                .map(|pair| Self::Ed25519(Box::new(pair))),
        }
    }

    /// Reads an operator's PEM file: PKCS#8, PKCS#1 (RSA) or SEC 1 (P-256).
    ///
    /// # Errors
    /// `BadKey`, saying what is wrong with it and what would do.
    pub(super) fn from_pem(pem: &str) -> Result<Self, TokenError> {
        if pem.contains("ENCRYPTED") {
            return Err(bad(
                "the key is encrypted; decrypt it first (`openssl pkey -in FILE -out PLAIN`)",
            ));
        }
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| bad("there is no PEM private key in it (`-----BEGIN PRIVATE KEY-----`)"))?;
        let der = Zeroizing::new(der);
        let pair = Self::from_der(&der)
            .ok_or_else(|| bad("not an RSA (2048 to 4096 bits), P-256 or Ed25519 private key, or a damaged one"))?;
        pair.strong_enough()?;
        Ok(pair)
    }

    /// The unencrypted PKCS#8 document, to be sealed.
    pub(super) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, TokenError> {
        let unwritable = |_| TokenError::Signing("the crypto library could not write a key");
        match self {
            Self::Rsa(pair) => {
                let der: Pkcs8V1Der<'static> = pair.as_der().map_err(unwritable)?;
                Ok(Zeroizing::new(der.as_ref().to_vec()))
            }
            Self::P256(pair) => pair
                .to_pkcs8v1()
                .map(|der| Zeroizing::new(der.as_ref().to_vec()))
                .map_err(unwritable),
            Self::Ed25519(pair) => pair
                .to_pkcs8()
                .map(|der| Zeroizing::new(der.as_ref().to_vec()))
                .map_err(unwritable),
        }
    }

    /// What it signs with.
    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::Rs256,
            Self::P256(_) => Algorithm::Es256,
            Self::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// The public half.
    pub(super) fn public(&self) -> Result<Jwk, TokenError> {
        match self {
            Self::Rsa(pair) => Ok(Jwk::Rsa {
                n: pair.public_key().modulus().big_endian_without_leading_zero().to_vec(),
                e: pair.public_key().exponent().big_endian_without_leading_zero().to_vec(),
            }),
            Self::P256(pair) => Jwk::from_point(pair.public_key().as_ref()),
            Self::Ed25519(pair) => Ok(Jwk::Ed25519 {
                x: pair.public_key().as_ref().to_vec(),
            }),
        }
    }

    /// The JWS signature of a message (RFC 7518 §3.3 and §3.4, RFC 8037 §3.1).
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TokenError> {
        // The library ignores the generator that these signatures take and uses its own.
        let rng = SystemRandom::new();
        let signed = match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &rng, message, &mut signature)
                    .map(|()| signature)
            }
            Self::P256(pair) => pair.sign(&rng, message).map(|signature| signature.as_ref().to_vec()),
            Self::Ed25519(pair) => pair.try_sign(message).map(|signature| signature.as_ref().to_vec()),
        };
        signed.map_err(|_| TokenError::Signing("the crypto library refused"))
    }

    fn from_der(der: &PrivateKeyDer<'_>) -> Option<Self> {
        let bytes = der.secret_der();
        match der {
            PrivateKeyDer::Pkcs1(_) => RsaKeyPair::from_der(bytes).ok().map(|pair| Self::Rsa(Box::new(pair))),
            PrivateKeyDer::Sec1(_) => EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes)
                .ok()
                .map(|pair| Self::P256(Box::new(pair))),
            PrivateKeyDer::Pkcs8(_) => [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa]
                .into_iter()
                .find_map(|algorithm| Self::from_pkcs8(algorithm, bytes)),
            _ => None,
        }
    }

    fn strong_enough(&self) -> Result<(), TokenError> {
        let Self::Rsa(pair) = self else { return Ok(()) };
        if !RSA_BITS.contains(&(pair.public_modulus_len() * 8)) {
            return Err(bad("RSA keys must have 2048 to 4096 bits"));
        }
        // Small exponents turn padding mistakes elsewhere into forgeries; every tool makes 65537.
        if pair.public_key().exponent().big_endian_without_leading_zero() != [1, 0, 1] {
            return Err(bad("the RSA key's public exponent must be 65537"));
        }
        Ok(())
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pair({}, …)", self.algorithm().name())
    }
}

fn bad(why: &str) -> TokenError {
    TokenError::BadKey(why.to_owned())
}
