//! RSA keys of a broken generator (CVE-2017-15361, "ROCA").
//!
//! A widely sold library made primes of the form k·M + (65537^a mod M), M a product of small primes, and such a modulus can be factored. The form shows:
//! modulo each of those small primes the modulus is a power of 65537. A sound modulus passes for one of them by chance about once in a hundred million.
//! Keys of our own making never are; an operator can import one, or name a key set that holds one.

/// Small primes of which 65537 generates a part only; the others tell nothing.
const PRIMES: [u32; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];

/// Whether a modulus (big-endian) has the form.
pub(crate) fn is_weak(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|&prime| {
        let rest = modulus
            .iter()
            .fold(0, |rest, &octet| (rest * 256 + u32::from(octet)) % prime);
        is_power_of_65537(rest, prime)
    })
}

fn is_power_of_65537(number: u32, prime: u32) -> bool {
    let mut power = 1;
    (0..prime).any(|_| {
        let found = power == number;
        power = power * 65537 % prime;
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Algorithm;
    use crate::token::jwk::Jwk;
    use crate::token::pair::Pair;

    #[test]
    fn a_modulus_of_the_broken_form_is_told_from_a_sound_one() {
        // 65537 itself is a power of 65537 modulo everything.
        assert!(is_weak(&[1, 0, 1]));
        assert!(!is_weak(&[1, 0, 3]));
        let pair = Pair::generate(Algorithm::Rs256).unwrap();
        let Jwk::Rsa { n, .. } = pair.public().unwrap() else {
            panic!("an RSA key")
        };
        assert!(!is_weak(&n));
    }
}
