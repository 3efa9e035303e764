//! How a tag is made of a password: as we do today, or as whoever made a stored hash did.
//!
//! A hash that was brought along says itself what it costs, so that is bounded: by memory, of which one such hash at a time may take more than is ours (see
//! `pool`), and by work, about a second of a slow core. OWASP's, Django's and passlib's defaults are well within.

use std::num::NonZeroU32;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::{digest, pbkdf2};

use super::HashError;

/// Memory that a hash of another system may ask for, in octets.
pub(super) const MEMORY_CAP: u64 = 128 * 1024 * 1024;
/// Memory times passes over it, likewise.
const WORK_CAP: u64 = 4 * MEMORY_CAP;
/// The greatest cost of bcrypt, of which each is twice the work of the one before.
const BCRYPT_CAP: u32 = 14;
/// The most rounds of PBKDF2, for all blocks of a tag together.
const ROUNDS_CAP: u64 = 2_000_000;

/// Which hash PBKDF2 is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

/// Everything that makes a tag, but the password.
#[derive(Clone, Debug)]
pub(super) enum Recipe {
    Argon2 {
        algorithm: Algorithm,
        version: Version,
        params: Params,
        salt: Vec<u8>,
        tag_len: usize,
    },
    Bcrypt {
        cost: u32,
        salt: [u8; 16],
        /// The password goes in as the hexadecimal digits of its SHA-256, as Django does it, since bcrypt reads 72 octets at most.
        digested: bool,
    },
    Scrypt {
        log_n: u8,
        r: u32,
        p: u32,
        salt: Vec<u8>,
        tag_len: usize,
    },
    Pbkdf2 {
        digest: Digest,
        rounds: NonZeroU32,
        salt: Vec<u8>,
        tag_len: usize,
    },
}

/// A hash asks for more than a sign-in may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excess {
    Memory,
    Work,
}

impl Recipe {
    /// Argon2id as it is made today.
    pub(super) fn ours(params: &Params, salt: Vec<u8>, tag_len: usize) -> Self {
        Self::Argon2 {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            params: params.clone(),
            salt,
            tag_len,
        }
    }

    /// Whether it costs exactly what one of ours does.
    pub(super) fn is_like(&self, ours: &Params) -> bool {
        let cost = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
        self.is_native() && matches!(self, Self::Argon2 { params, .. } if cost(params) == cost(ours))
    }

    /// Whether it is of the kind that we make, whatever it costs.
    pub(super) fn is_native(&self) -> bool {
        matches!(
            self,
            Self::Argon2 {
                algorithm: Algorithm::Argon2id,
                version: Version::V0x13,
                ..
            }
        )
    }

    /// Octets of memory that it takes.
    pub(super) fn memory(&self) -> u64 {
        match self {
            Self::Argon2 { params, .. } => u64::from(params.m_cost()) * 1024,
            Self::Scrypt { log_n, r, p, .. } => {
                let n = 1_u64.checked_shl(u32::from(*log_n)).unwrap_or(u64::MAX);
                let block = 128 * u64::from(*r);
                n.saturating_add(u64::from(*p)).saturating_mul(block)
            }
            Self::Bcrypt { .. } | Self::Pbkdf2 { .. } => 0,
        }
    }

    /// What it asks for beyond what a hash of another system may cost.
    pub(super) fn excess(&self) -> Option<Excess> {
        let memory = self.memory();
        if memory > MEMORY_CAP {
            return Some(Excess::Memory);
        }
        let too_much = match self {
            Self::Argon2 { params, .. } => memory.saturating_mul(u64::from(params.t_cost())) > WORK_CAP,
            Self::Scrypt { p, .. } => memory.saturating_mul(u64::from(*p)) > WORK_CAP,
            Self::Bcrypt { cost, .. } => *cost > BCRYPT_CAP,
            Self::Pbkdf2 {
                digest,
                rounds,
                tag_len,
                ..
            } => u64::from(rounds.get()).saturating_mul(tag_len.div_ceil(digest.len()) as u64) > ROUNDS_CAP,
        };
        too_much.then_some(Excess::Work)
    }

    /// The tag. `memory` is the thread's, made at its first job and used again; a hash that needs more than usual gives the surplus back.
    pub(super) fn tag(&self, password: &[u8], memory: &mut Vec<Block>) -> Result<Vec<u8>, HashError> {
        match self {
            Self::Argon2 {
                algorithm,
                version,
                params,
                salt,
                tag_len,
            } => {
                let needed = params.block_count();
                if memory.len() != needed {
                    memory.resize(needed, Block::new());
                    memory.shrink_to_fit();
                }
                let mut tag = vec![0; *tag_len];
                Argon2::new(*algorithm, *version, params.clone())
                    .hash_password_into_with_memory(password, salt, &mut tag, memory.as_mut_slice())
                    .map_err(|_| HashError::Failed("Argon2 refused its input"))?;
                Ok(tag)
            }
            Self::Bcrypt { cost, salt, digested } if *digested => {
                Ok(bcrypt_tag(*cost, *salt, hexadecimal(password).as_bytes()))
            }
            Self::Bcrypt { cost, salt, .. } => Ok(bcrypt_tag(*cost, *salt, password)),
            Self::Scrypt {
                log_n,
                r,
                p,
                salt,
                tag_len,
            } => {
                let refused = HashError::Failed("scrypt refused its input");
                let params = scrypt::Params::new(*log_n, *r, *p).map_err(|_| refused)?;
                let mut tag = vec![0; *tag_len];
                scrypt::scrypt(password, salt, &params, &mut tag).map_err(|_| refused)?;
                Ok(tag)
            }
            Self::Pbkdf2 {
                digest,
                rounds,
                salt,
                tag_len,
            } => {
                let mut tag = vec![0; *tag_len];
                pbkdf2::derive(digest.algorithm(), *rounds, salt, password, &mut tag);
                Ok(tag)
            }
        }
    }
}

impl Digest {
    /// Octets of one block of a tag; each takes all the rounds (RFC 8018 §5.2).
    fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn algorithm(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }
}

/// Octets of bcrypt's tag that are kept: all but the last, for a reason nobody remembers.
pub(super) const BCRYPT_TAG_LEN: usize = 23;
/// Octets that bcrypt reads, the closing NUL among them where there is room.
const BCRYPT_READS: usize = 72;

fn bcrypt_tag(cost: u32, salt: [u8; 16], password: &[u8]) -> Vec<u8> {
    let mut text: Vec<u8> = password.iter().copied().chain([0]).take(BCRYPT_READS).collect();
    let mut tag = bcrypt::bcrypt(cost, salt, &text).to_vec();
    zeroize::Zeroize::zeroize(&mut text);
    tag.truncate(BCRYPT_TAG_LEN);
    tag
}

fn hexadecimal(password: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, password);
    digest.as_ref().iter().map(|octet| format!("{octet:02x}")).collect()
}
