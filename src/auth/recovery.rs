//! Recovery codes: ten at a time, shown once, each good once, for whoever has lost the second factor.
//!
//! A code has 80 bits, so it cannot be guessed; it is kept as a keyed hash, so that a leak of the store tells none. A used one stays in the store with its
//! counter moved, and so does not come back when another store is copied over.

use subtle::ConstantTimeEq;

use super::second_step::{Shown, Taken};
use super::{Auth, AuthError};
use crate::model::caller::Caller;
use crate::model::factor::{Factor, FactorId, FactorKind};
use crate::model::identity::Identity;
use crate::model::secret::{self, NoEntropy};
use crate::model::user::UserId;

/// How many there are.
const HOW_MANY: usize = 10;
/// Crockford's base 32: no letter that is read as another.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Letters of a code; five bits each.
const LETTERS: usize = 16;

impl Auth {
    /// Ten new codes in place of all others.
    pub async fn renew_recovery_codes(&self, caller: &Caller, who: &Identity) -> Result<Vec<String>, AuthError> {
        self.recent(who).await?;
        if !self.has_second_factor(who.user).await? {
            return Err(AuthError::NotFound);
        }
        let codes = self.put_recovery_codes(who.user).await?;
        self.factor_changed(caller, who, "recovery.renewed").await;
        Ok(codes)
    }

    /// The same for an account that is about to get its first second factor.
    pub(super) async fn put_recovery_codes(&self, user: UserId) -> Result<Vec<String>, AuthError> {
        let now = self.clock.now();
        let codes: Vec<String> = (0..HOW_MANY).map(|_| new_code()).collect::<Result<_, _>>()?;
        let factor = |code: &String| {
            Ok(Factor {
                id: FactorId(secret::uuid_v7(now)?),
                user,
                kind: FactorKind::Recovery,
                label: String::new(),
                sealed: self.vault.code_hash(user, &plain(code)),
                link: None,
                counter: 0,
                created_at: now,
                used_at: None,
            })
        };
        let factors: Vec<Factor> = codes.iter().map(factor).collect::<Result<_, NoEntropy>>()?;
        if !self
            .stores
            .factors
            .replace(user, FactorKind::Recovery, &factors)
            .await?
        {
            return Err(AuthError::SessionOver { dead: true });
        }
        Ok(codes)
    }

    /// Whether a code is one of the account's that is still unused.
    pub(super) fn recovery_shown(&self, taken: &Taken, code: &str) -> Option<Shown> {
        let hash = self.vault.code_hash(taken.user.id, &plain(code));
        let unused = |factor: &&Factor| factor.kind == FactorKind::Recovery && factor.counter == 0;
        let mut codes = taken.factors.iter().filter(unused);
        let found = codes.find(|factor| factor.sealed.ct_eq(&hash).into())?;
        Some(Shown {
            factor: found.id,
            counter: 1,
            words: &["otp"],
        })
    }
}

/// `xxxx-xxxx-xxxx-xxxx`
fn new_code() -> Result<String, NoEntropy> {
    let letters: [u8; LETTERS] = secret::random()?;
    let mut code = String::with_capacity(LETTERS + LETTERS / 4);
    for (place, octet) in letters.into_iter().enumerate() {
        if place > 0 && place % 4 == 0 {
            code.push('-');
        }
        // 256 is a multiple of 32: no letter is likelier than another.
        code.extend(ALPHABET.get(usize::from(octet % 32)).copied().map(char::from));
    }
    Ok(code)
}

/// A code however it is typed: in capitals, without hyphens, with an O for a nought.
fn plain(code: &str) -> String {
    let letters = code.chars().filter(char::is_ascii_alphanumeric);
    letters
        .map(|letter| match letter.to_ascii_lowercase() {
            'o' => '0',
            'i' | 'l' => '1',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = new_code().unwrap();
        assert_eq!(code.len(), 19);
        assert_eq!(plain(&code).len(), LETTERS);
        assert_eq!(plain(&code.to_uppercase().replace('-', " ")), plain(&code));
        assert_eq!(plain("OIL0-112Z"), "0110112z");
    }

    #[test]
    fn codes_differ_and_use_the_whole_alphabet() {
        let codes: std::collections::BTreeSet<String> = (0..200).map(|_| new_code().unwrap()).collect();
        assert_eq!(codes.len(), 200);
        let letters: std::collections::BTreeSet<char> = codes.iter().flat_map(|code| code.chars()).collect();
        assert_eq!(letters.len(), 33, "32 letters and the hyphen");
    }
}
