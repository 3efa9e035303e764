//! How somebody proved who they are, in the words of RFC 8176, and what that is worth.
//!
//! `mfa` stands wherever two factors of different kinds were shown. The registry has no word for a recovery code; it is told as `otp`, which it is: a
//! password good for one use. `acr` says in one word what the list comes to; its values are absolute URIs, as OpenID Connect Core §2 wants them where
//! no registry has the name.

use super::session::Amr;

/// The `acr` of one factor.
pub const SINGLE: &str = "urn:gateward:acr:1fa";
/// The `acr` of two.
pub const MULTI: &str = "urn:gateward:acr:mfa";

const MFA: &str = "mfa";

/// What was shown, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof(Vec<Amr>);

impl Proof {
    /// What is said in these words.
    pub fn of(words: &[&str]) -> Self {
        Self(words.iter().map(|word| Amr((*word).to_owned())).collect())
    }

    /// A right password.
    pub fn password() -> Self {
        Self::of(&["pwd"])
    }

    /// A provider's word. Whether two factors were shown is not its to say: those of the account here are asked for all the same.
    pub fn vouched(told: &[Amr]) -> Self {
        Self(told.iter().filter(|word| word.0 != MFA).cloned().collect())
    }

    /// What a session or a token remembers.
    pub fn remembered(amr: Vec<Amr>) -> Self {
        Self(amr)
    }

    /// The same and a second factor of another kind.
    #[must_use]
    pub fn with_second(self, words: &[&str]) -> Self {
        self.and(words).and(&[MFA])
    }

    /// The same and more of it.
    #[must_use]
    pub fn and(mut self, words: &[&str]) -> Self {
        for word in words {
            if !says(&self.0, word) {
                self.0.push(Amr((*word).to_owned()));
            }
        }
        self
    }

    /// Whether it is two factors.
    pub fn is_multi(&self) -> bool {
        is_multi(&self.0)
    }

    /// The words.
    pub fn into_amr(self) -> Vec<Amr> {
        self.0
    }
}

/// Whether these words say that two factors were shown.
pub fn is_multi(amr: &[Amr]) -> bool {
    says(amr, MFA)
}

/// What these words come to.
pub fn acr(amr: &[Amr]) -> &'static str {
    if is_multi(amr) { MULTI } else { SINGLE }
}

fn says(amr: &[Amr], word: &str) -> bool {
    amr.iter().any(|known| known.0 == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_factor_is_told_once_and_makes_two() {
        let one = Proof::password();
        assert_eq!((one.is_multi(), acr(&one.clone().into_amr())), (false, SINGLE));
        let two = one.with_second(&["otp"]).with_second(&["otp"]);
        assert_eq!(two, Proof::of(&["pwd", "otp", "mfa"]));
        assert_eq!((two.is_multi(), acr(&two.into_amr())), (true, MULTI));
    }
}
