//! Tokens made by hand, good and bad, with a key that was imported into the gateway so that the test can sign with it.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use gateward::model::clock::{Clock, SystemClock};
use gateward::model::secret::uuid_v7;

/// A signing key whose private half the test knows.
pub struct Forge {
    pair: RsaKeyPair,
    der: Vec<u8>,
}

impl Forge {
    /// A fresh 2048-bit key.
    pub fn new() -> Self {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).expect("a key");
        let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&key)
            .expect("a key in DER")
            .as_ref()
            .to_vec();
        let pair = RsaKeyPair::from_pkcs8(&der).expect("a key pair");
        Self { pair, der }
    }

    /// The private key for `keys import`.
    pub fn pem(&self) -> String {
        pem("PRIVATE KEY", &self.der)
    }

    /// The public key as PKCS#1 DER, as an attacker reads it from the JWKS.
    pub fn public(&self) -> Vec<u8> {
        self.pair.public_key().as_ref().to_vec()
    }

    /// The same in PEM.
    pub fn public_pem(&self) -> String {
        pem("RSA PUBLIC KEY", &self.public())
    }

    /// The modulus as a JWK shows it.
    pub fn modulus(&self) -> String {
        encode(self.pair.public_key().modulus().big_endian_without_leading_zero())
    }

    /// A token with this header and these claims, truly signed.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// The same from any text, for what JSON libraries would not write.
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let random = SystemRandom::new();
        self.pair
            .sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature)
            .expect("a signature");
        format!("{message}.{}", encode(&signature))
    }
}

/// base64url without padding.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What one part of a token says.
#[track_caller]
pub fn part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).expect("a part of a token");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

/// Claims that the gateway would accept, for a user and session.
pub fn claims(world: &super::World, user: &str, session: &str) -> Value {
    let moment = SystemClock.now();
    let now = moment.as_secs();
    json!({
        "iss": world.origin(),
        "sub": user,
        "aud": ["gateward"],
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        "jti": uuid_v7(moment).expect("an id").to_string(),
        "sid": session,
        "auth_time": now,
        "amr": ["pwd"],
        "email": "forged@example.com",
        "roles": [],
    })
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<String> = text
        .as_bytes()
        .chunks(64)
        .map(|l| String::from_utf8_lossy(l).into_owned())
        .collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
