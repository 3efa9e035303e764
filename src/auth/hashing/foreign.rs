//! Hashes that other systems made, as they write them: PHC strings, bcrypt's own form, passlib's and Django's.
//!
//! | written by | as |
//! |---|---|
//! | argon2 libraries | `$argon2id$v=19$m=…,t=…,p=…$salt$tag`, `$argon2i$`, `$argon2d$`; without `v` it is version 16 |
//! | bcrypt libraries | `$2b$12$…`, `$2a$`, `$2y$` |
//! | scrypt, passlib | `$scrypt$ln=…,r=…,p=…$salt$tag` |
//! | PBKDF2, passlib | `$pbkdf2-sha256$i=…$salt$tag`, `$pbkdf2-sha256$29000$salt$tag`, also `-sha512` and (SHA-1) `$pbkdf2$` |
//! | Django | `argon2$argon2id$…`, `bcrypt$$2b$…`, `bcrypt_sha256$$2b$…`, `scrypt$N$salt$r$p$tag`, `pbkdf2_sha256$rounds$salt$tag`, `pbkdf2_sha1$…` |

use std::str::FromStr;

use argon2::password_hash::phc;
use argon2::{Algorithm, Params, Version};
use base64::Engine;
use base64::alphabet::{BCRYPT, STANDARD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::recipe::{Digest, Recipe};

/// Octets of a tag at least and at most.
const TAG_LENGTHS: std::ops::RangeInclusive<usize> = 16..=64;
/// The longest text that is looked at.
const LONGEST: usize = 1024;

/// Padded or not: both are written.
const RELAXED: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, RELAXED);
/// Old libraries left the surplus bits of a salt as they came.
const BCRYPT_BASE64: GeneralPurpose = GeneralPurpose::new(&BCRYPT, RELAXED.with_decode_allow_trailing_bits(true));

/// A recipe and the tag that the right password makes by it. `None`: the text is of none of these forms.
pub(super) fn read(text: &str) -> Option<(Recipe, Vec<u8>)> {
    if text.len() > LONGEST {
        return None;
    }
    let (recipe, tag) = match text.strip_prefix('$') {
        Some(rest) => named(rest, text)?,
        None => of_django(text)?,
    };
    TAG_LENGTHS.contains(&tag.len()).then_some((recipe, tag))
}

/// `$name$…`
fn named(rest: &str, text: &str) -> Option<(Recipe, Vec<u8>)> {
    let (name, rest) = rest.split_once('$')?;
    match name {
        "argon2id" | "argon2i" | "argon2d" => argon2(text),
        "2a" | "2b" | "2y" => bcrypt(rest, false),
        "scrypt" => {
            let [params, salt, tag] = fields(rest)?;
            let log_n = parameter(params, "ln")?;
            let (r, p) = (parameter(params, "r")?, parameter(params, "p")?);
            scrypt(log_n, r, p, decoded(salt)?, tag)
        }
        "pbkdf2" | "pbkdf2-sha1" => pbkdf2_of_passlib(Digest::Sha1, rest),
        "pbkdf2-sha256" => pbkdf2_of_passlib(Digest::Sha256, rest),
        "pbkdf2-sha512" => pbkdf2_of_passlib(Digest::Sha512, rest),
        _ => None,
    }
}

/// `name$…`, and salts that are text.
fn of_django(text: &str) -> Option<(Recipe, Vec<u8>)> {
    let (name, rest) = text.split_once('$')?;
    match name {
        "argon2" => argon2(text.strip_prefix(name)?),
        "bcrypt" | "bcrypt_sha256" => {
            let (version, rest) = rest.strip_prefix('$')?.split_once('$')?;
            let known = ["2a", "2b", "2y"].contains(&version);
            bcrypt(rest, name == "bcrypt_sha256").filter(|_| known)
        }
        "scrypt" => {
            let [n, salt, r, p, tag] = fields(rest)?;
            let n: u64 = n.parse().ok()?;
            let log_n = u8::try_from(n.checked_ilog2()?).ok()?;
            let recipe = scrypt(log_n, r.parse().ok()?, p.parse().ok()?, salt.into(), tag);
            recipe.filter(|_| n.is_power_of_two())
        }
        "pbkdf2_sha256" => pbkdf2_of_django(Digest::Sha256, rest),
        "pbkdf2_sha1" => pbkdf2_of_django(Digest::Sha1, rest),
        _ => None,
    }
}

fn argon2(text: &str) -> Option<(Recipe, Vec<u8>)> {
    let phc = phc::PasswordHash::new(text).ok()?;
    let version = phc
        .version
        .map_or(Some(Version::V0x10), |version| version.try_into().ok())?;
    let (salt, tag) = (phc.salt?.to_vec(), phc.hash?.as_bytes().to_vec());
    let asked = Params::try_from(&phc.params).ok()?;
    let params = Params::new(asked.m_cost(), asked.t_cost(), asked.p_cost(), Some(tag.len())).ok()?;
    let recipe = Recipe::Argon2 {
        algorithm: Algorithm::from_str(phc.algorithm.as_str()).ok()?,
        version,
        params,
        salt,
        tag_len: tag.len(),
    };
    Some((recipe, tag))
}

/// `12$` and 22 digits of salt, 31 of tag.
fn bcrypt(rest: &str, digested: bool) -> Option<(Recipe, Vec<u8>)> {
    let (cost, digits) = rest.split_once('$')?;
    let (salt, tag) = digits.split_at_checked(22)?;
    let two_digits = cost.len() == 2 && tag.len() == 31;
    let cost: u32 = cost.parse().ok().filter(|cost| (4..=31).contains(cost) && two_digits)?;
    let salt = BCRYPT_BASE64.decode(salt).ok()?.try_into().ok()?;
    let tag = BCRYPT_BASE64.decode(tag).ok()?;
    Some((Recipe::Bcrypt { cost, salt, digested }, tag))
}

fn scrypt(log_n: u8, r: u32, p: u32, salt: Vec<u8>, tag: &str) -> Option<(Recipe, Vec<u8>)> {
    let tag = decoded(tag)?;
    scrypt::Params::new(log_n, r, p).ok()?;
    let recipe = Recipe::Scrypt {
        log_n,
        r,
        p,
        salt,
        tag_len: tag.len(),
    };
    Some((recipe, tag))
}

/// passlib writes the rounds alone, a PHC string gives them a name.
fn pbkdf2_of_passlib(digest: Digest, rest: &str) -> Option<(Recipe, Vec<u8>)> {
    let [params, salt, tag] = fields(rest)?;
    let rounds = params.parse().ok().or_else(|| parameter(params, "i"))?;
    let (recipe, tag) = pbkdf2(digest, rounds, decoded(salt)?, tag)?;
    let told: Option<usize> = parameter(params, "l");
    told.is_none_or(|told| told == tag.len()).then_some((recipe, tag))
}

fn pbkdf2_of_django(digest: Digest, rest: &str) -> Option<(Recipe, Vec<u8>)> {
    let [rounds, salt, tag] = fields(rest)?;
    pbkdf2(digest, rounds.parse().ok()?, salt.into(), tag)
}

fn pbkdf2(digest: Digest, rounds: u32, salt: Vec<u8>, tag: &str) -> Option<(Recipe, Vec<u8>)> {
    let tag = decoded(tag)?;
    let recipe = Recipe::Pbkdf2 {
        digest,
        rounds: rounds.try_into().ok()?,
        salt,
        tag_len: tag.len(),
    };
    Some((recipe, tag))
}

/// Exactly so many fields between dollar signs.
fn fields<const N: usize>(text: &str) -> Option<[&str; N]> {
    let fields: Vec<&str> = text.split('$').collect();
    fields.try_into().ok()
}

/// The value of a name in `name=value,…`.
fn parameter<T: FromStr>(list: &str, name: &str) -> Option<T> {
    let mut pairs = list.split(',').filter_map(|pair| pair.split_once('='));
    pairs.find(|(of, _)| *of == name)?.1.parse().ok()
}

/// passlib writes a dot for a plus.
fn decoded(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.replace('.', "+")).ok()
}

#[cfg(test)]
mod tests;
