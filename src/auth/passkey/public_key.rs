//! The public key of a passkey: read from COSE (RFC 9052 §7, WebAuthn §5.8.5), checked once, then it verifies.
//!
//! Three algorithms, the ones every authenticator in use speaks one of. A key says which one it is for, and nothing in a response can choose another.
//! What a key may hold is held to the letter: a member too many, a number of another size or a point off the curve is no key.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};

use super::cbor::{self, Map};
use crate::token::roca;

/// The algorithms by their numbers (IANA COSE), in the order that we like them.
pub(super) const ALGORITHMS: [i64; 3] = [EDDSA, ES256, RS256];

const EDDSA: i64 = -8;
const ES256: i64 = -7;
const RS256: i64 = -257;

/// Octets of an RSA modulus: 2048 to 4096 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=512;
/// 65537, which every authenticator uses.
const EXPONENT: [u8; 3] = [1, 0, 1];

/// A key that verifies.
#[derive(Debug)]
pub(super) struct PublicKey(ParsedPublicKey);

impl PublicKey {
    /// Reads a COSE key that is the whole text. `None`: no key that we take.
    pub(super) fn read(cose: &[u8]) -> Option<Self> {
        let map = cbor::canonical(cose)?;
        let parsed = match map.integer(ALG)? {
            ES256 => p256(&map),
            EDDSA => ed25519(&map),
            RS256 => rsa(&map),
            _ => None,
        };
        parsed.map(Self)
    }

    /// Whether `signature` is this key's signature of `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }
}

/// Labels (RFC 9052 §7.1, RFC 9053 §7).
const KTY: i64 = 1;
const ALG: i64 = 3;
const CRV: i64 = -1;
const X: i64 = -2;
const Y: i64 = -3;
/// Labels of RSA keys (RFC 8230 §4).
const N: i64 = -1;
const E: i64 = -2;

/// `kty` EC2, `crv` P-256, both coordinates whole (WebAuthn §5.8.5: never compressed).
fn p256(map: &Map) -> Option<ParsedPublicKey> {
    let (x, y) = (map.octets(X)?, map.octets(Y)?);
    if map.len() != 5 || map.integer(KTY) != Some(2) || map.integer(CRV) != Some(1) || x.len() != 32 || y.len() != 32 {
        return None;
    }
    // The library refuses a point that is not on the curve.
    ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, [&[4], x, y].concat()).ok()
}

/// `kty` OKP, `crv` Ed25519.
fn ed25519(map: &Map) -> Option<ParsedPublicKey> {
    let x = map.octets(X)?;
    if map.len() != 4 || map.integer(KTY) != Some(1) || map.integer(CRV) != Some(6) || x.len() != 32 {
        return None;
    }
    ParsedPublicKey::new(&ED25519, x).ok()
}

/// `kty` RSA; what a broken generator made can be factored, and it was built into security chips.
fn rsa(map: &Map) -> Option<ParsedPublicKey> {
    let (n, e) = (map.octets(N)?, map.octets(E)?);
    let bits_are_there = MODULUS.contains(&n.len()) && n.first().is_some_and(|first| *first != 0);
    let too_small = n.len() == *MODULUS.start() && n.first().is_some_and(|first| *first < 0x80);
    if map.len() != 4 || map.integer(KTY) != Some(3) || !bits_are_there || too_small || e != EXPONENT {
        return None;
    }
    if roca::is_weak(n) {
        return None;
    }
    RsaPublicKeyComponents { n, e }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .ok()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
    use ciborium::Value;

    use super::*;

    type Entries = Vec<(i64, Value)>;

    fn cose(entries: &Entries) -> Vec<u8> {
        let map = entries
            .iter()
            .map(|(label, value)| (Value::from(*label), value.clone()));
        let mut octets = Vec::new();
        ciborium::into_writer(&Value::Map(map.collect()), &mut octets).unwrap();
        octets
    }

    fn pair() -> EcdsaKeyPair {
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()
    }

    fn of_pair(pair: &EcdsaKeyPair) -> Entries {
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        vec![
            (1, 2.into()),
            (3, (-7).into()),
            (-1, 1.into()),
            (-2, Value::Bytes(x.to_vec())),
            (-3, Value::Bytes(y.to_vec())),
        ]
    }

    fn of_modulus(n: Vec<u8>, e: &[u8]) -> Entries {
        vec![
            (1, 3.into()),
            (3, (-257).into()),
            (-1, Value::Bytes(n)),
            (-2, Value::Bytes(e.to_vec())),
        ]
    }

    /// An odd number of that many octets without small factors that would give it away; nobody has its key.
    fn modulus(first: u8, octets: usize) -> Vec<u8> {
        let mut n = vec![0x5b; octets];
        n[0] = first;
        n
    }

    #[test]
    fn a_key_verifies_its_own_signatures_only() {
        let (ours, other) = (pair(), pair());
        let signature = ours.sign(&SystemRandom::new(), b"message").unwrap();
        let key = PublicKey::read(&cose(&of_pair(&ours))).unwrap();
        assert!(key.verifies(b"message", signature.as_ref()));
        assert!(!key.verifies(b"another", signature.as_ref()));
        assert!(
            !PublicKey::read(&cose(&of_pair(&other)))
                .unwrap()
                .verifies(b"message", signature.as_ref())
        );
        let longer = [signature.as_ref(), &[0]].concat();
        assert!(!key.verifies(b"message", &longer));
    }

    #[test]
    fn a_point_off_the_curve_or_of_another_size_is_no_key() {
        let good = of_pair(&pair());
        let with = |label: i64, value: Value| {
            let mut changed = good.clone();
            changed.iter_mut().find(|(l, _)| *l == label).unwrap().1 = value;
            changed
        };
        let mut off = good[3].1.as_bytes().unwrap().clone();
        off[31] ^= 1;
        let mut more = good.clone();
        more.push((-4, Value::Bytes(vec![1; 32])));
        let mut fewer = good.clone();
        fewer.pop();
        for (why, wrong) in [
            ("off the curve", with(-2, Value::Bytes(off))),
            ("short", with(-2, Value::Bytes(vec![1; 31]))),
            ("long", with(-3, Value::Bytes(vec![1; 33]))),
            ("compressed", with(-3, Value::Bool(true))),
            ("another curve", with(-1, 2.into())),
            ("another kind", with(1, 1.into())),
            ("another algorithm", with(3, (-8).into())),
            ("an algorithm of RSA", with(3, (-257).into())),
            ("ES384", with(3, (-35).into())),
            ("a private member", more),
            ("no y", fewer),
        ] {
            assert!(PublicKey::read(&cose(&wrong)).is_none(), "{why}");
        }
        assert!(PublicKey::read(&cose(&good)).is_some());
        assert!(PublicKey::read(&[cose(&good), vec![0]].concat()).is_none(), "trailing");
    }

    #[test]
    fn rsa_has_two_to_four_thousand_bits_and_one_exponent() {
        for (first, octets, good) in [
            (0xc5, 256, true),
            (0xc5, 512, true),
            (0x05, 384, true),
            (0x45, 256, false),
            (0xc5, 128, false),
            (0xc5, 255, false),
            (0x01, 513, false),
            (0x00, 257, false),
        ] {
            let read = PublicKey::read(&cose(&of_modulus(modulus(first, octets), &EXPONENT)));
            assert_eq!(read.is_some(), good, "{octets} octets from {first:#x}");
        }
        for exponent in [&[3][..], &[1], &[0, 1, 0, 1], &[1, 0, 2], &[1, 0, 0, 0, 1], &[]] {
            let read = PublicKey::read(&cose(&of_modulus(modulus(0xc5, 256), exponent)));
            assert!(read.is_none(), "{exponent:?}");
        }
    }

    #[test]
    fn a_modulus_of_the_broken_generator_is_no_key() {
        // 65537 to any power is of the form, modulo every prime.
        let mut power = vec![1u8];
        while power.len() < 256 {
            // Times 65537: itself, shifted by two octets, plus itself.
            let mut next = vec![0u8; power.len() + 3];
            let mut carry = 0u16;
            for (place, octet) in next.iter_mut().rev().enumerate() {
                let at = |from: usize| {
                    from.checked_sub(1)
                        .and_then(|n| power.len().checked_sub(n + 1))
                        .map_or(0, |n| power[n])
                };
                let low = at(place + 1);
                let high = if place >= 2 { at(place - 1) } else { 0 };
                let sum = u16::from(low) + u16::from(high) + carry;
                *octet = sum.to_le_bytes()[0];
                carry = sum >> 8;
            }
            power = next.into_iter().skip_while(|octet| *octet == 0).collect();
        }
        assert!(roca::is_weak(&power));
        assert!(PublicKey::read(&cose(&of_modulus(power, &EXPONENT))).is_none());
    }
}
