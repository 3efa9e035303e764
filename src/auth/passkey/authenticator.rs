//! An authenticator of software, and the browser in front of it: keeps one passkey, and answers what a site asks in the words of `toJSON()`.
//!
//! It does as it is told: tests make it lie by changing what it says, after which it signs that.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Somebody was there.
pub const PRESENT: u8 = 1;
/// The authenticator knows that it was its person.
pub const VERIFIED: u8 = 4;
const ATTESTED: u8 = 64;

/// One passkey and what is said along with it.
pub struct Authenticator {
    pair: EcdsaKeyPair,
    /// The credential's id.
    pub id: Vec<u8>,
    /// For whom it was made.
    pub owner: Vec<u8>,
    /// The page that asks.
    pub origin: String,
    /// Whom it speaks to; `None`: whom the site names.
    pub rp_id: Option<String>,
    /// What it says of its person.
    pub flags: u8,
    /// How often it signed; it counts when this is not 0.
    pub count: u32,
    /// What the browser says beside the usual (`"crossOrigin":true`).
    pub more: &'static str,
}

impl Authenticator {
    /// A new one, in a browser at a page of `origin`.
    pub fn at(origin: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
        let id = digest(&SHA256, pair.public_key().as_ref()).as_ref().to_vec();
        Self {
            pair,
            id,
            owner: Vec::new(),
            origin: origin.to_owned(),
            rp_id: None,
            flags: PRESENT | VERIFIED,
            count: 0,
            more: "\"crossOrigin\":false",
        }
    }

    /// `navigator.credentials.create()`
    pub fn make(&mut self, options: &Value) -> Value {
        self.owner = decode(&options["user"]["id"]);
        let client_data = self.client_data("webauthn.create", options);
        let length = u16::try_from(self.id.len()).expect("a short id");
        let attested = [&[0; 16], length.to_be_bytes().as_slice(), &self.id, &self.cose()].concat();
        let data = [self.data(&options["rp"]["id"], ATTESTED), attested].concat();
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".to_vec();
        object.extend(u16::try_from(data.len()).expect("short data").to_be_bytes());
        object.extend(data);
        let response = json!({
            "clientDataJSON": encode(&client_data),
            "attestationObject": encode(&object),
            "transports": ["internal"],
        });
        self.credential(response)
    }

    /// `navigator.credentials.get()`
    pub fn answer(&mut self, options: &Value) -> Value {
        if self.count > 0 {
            self.count += 1;
        }
        let client_data = self.client_data("webauthn.get", options);
        let data = self.data(&options["rpId"], 0);
        let message = [data.as_slice(), digest(&SHA256, &client_data).as_ref()].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &message).expect("a signature");
        let response = json!({
            "clientDataJSON": encode(&client_data),
            "authenticatorData": encode(&data),
            "signature": encode(signature.as_ref()),
            "userHandle": encode(&self.owner),
        });
        self.credential(response)
    }

    fn credential(&self, response: Value) -> Value {
        json!({
            "id": encode(&self.id),
            "rawId": encode(&self.id),
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": response,
        })
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let challenge = options["challenge"].as_str().expect("a challenge");
        let (origin, more) = (&self.origin, self.more);
        format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}",{more}}}"#).into_bytes()
    }

    fn data(&self, rp_id: &Value, flags: u8) -> Vec<u8> {
        let named = rp_id.as_str().expect("a relying party");
        let rp_id = self.rp_id.as_deref().unwrap_or(named);
        let hash = digest(&SHA256, rp_id.as_bytes());
        [hash.as_ref(), &[self.flags | flags], &self.count.to_be_bytes()].concat()
    }

    fn cose(&self) -> Vec<u8> {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        [b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20", x, b"\x22\x58\x20", y].concat()
    }
}

fn encode(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

fn decode(text: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.as_str().expect("text")).expect("base64url")
}
