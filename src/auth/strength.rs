//! What a password must be like.
//!
//! Length decides (NIST SP 800-63B-4 §3.1.1.2), not composition: at least so many characters, and none of what guessing tries first. That is a list of
//! leaked passwords and, since few of those are as long as our minimum, what people make of them to fill it up: a listed word or one's own address with
//! digits and signs around it, something short over and over, a walk along the keyboard or the alphabet.

use std::collections::HashMap;

use super::AuthError;
use crate::config::PasswordRules;
use crate::model::credential::Password;
use crate::model::user::Email;

const COMMON: &str = include_str!("common-passwords.txt");

/// Where fingers and tongues run along without thinking; a step in either direction is no surprise.
const WALKS: [&str; 8] = [
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "asdfghjkl;",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "1q2w3e4r5t6y7u8i9o0p",
];

/// The rules for new passwords.
pub(super) struct Strength {
    min: usize,
    max: usize,
    /// Sorted, as in the file.
    common: Vec<&'static str>,
    /// Which steps from letter to letter are no surprise, as a bit for each walk and direction.
    steps: HashMap<(char, char), u32>,
}

impl std::fmt::Debug for Strength {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Strength")
            .field("min", &self.min)
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}

impl Strength {
    pub(super) fn new(rules: &PasswordRules) -> Self {
        Self {
            min: rules.min_length,
            max: rules.max_length,
            common: COMMON.lines().filter(|line| !line.starts_with('#')).collect(),
            steps: steps(),
        }
    }

    /// Whether it is longer than any password that was ever accepted: not worth a hash.
    pub(super) fn is_too_long(&self, password: &Password) -> bool {
        password.expose().chars().count() > self.max
    }

    /// Refuses what is too short, too long or among the first that somebody would try for this address.
    pub(super) fn check(&self, password: &Password, email: &Email) -> Result<(), AuthError> {
        let text = password.expose();
        let length = text.chars().count();
        let weak = |words: String| Err(AuthError::WeakPassword(words));
        if length < self.min {
            return weak(format!(
                "The password needs at least {} characters; four words make a good one.",
                self.min
            ));
        }
        if length > self.max {
            return weak(format!("The password may have at most {} characters.", self.max));
        }
        let folded = text.to_lowercase();
        if self.is_obvious(&folded, &|word| word == email.as_str() || word == email.local_part()) {
            return weak("The password must not be made from the e-mail address.".to_owned());
        }
        if self.is_obvious(&folded, &|word| self.is_listed(word)) || self.is_walk(&folded) {
            return weak("The password is too common; take words that nobody would expect together.".to_owned());
        }
        Ok(())
    }

    fn is_listed(&self, word: &str) -> bool {
        self.common.binary_search(&word).is_ok()
    }

    /// Whether it is `known`, or becomes so when repetition is taken out, when digits and signs around it go, or when they are read as letters.
    fn is_obvious(&self, text: &str, known: &dyn Fn(&str) -> bool) -> bool {
        let unit = repeated_unit(text);
        let repeats = unit.len() < text.len();
        // Three characters over and over are as good as listed.
        if repeats && unit.chars().count() <= 3 {
            return true;
        }
        [text, unit].into_iter().any(|whole| {
            let core = whole.trim_matches(|c: char| !c.is_alphabetic());
            let tailless = whole.trim_end_matches(|c: char| !c.is_alphabetic());
            [whole, core, tailless, repeated_unit(core)]
                .into_iter()
                .any(|word| !word.is_empty() && (known(word) || known(&plain_letters(word))))
        })
    }

    /// Whether it falls into few pieces, each of which runs along a walk or stays on one character: three characters to a piece or more on average.
    fn is_walk(&self, text: &str) -> bool {
        let chars: Vec<char> = text.chars().collect();
        let mut pieces = 1;
        let mut ways = u32::MAX;
        for step in chars.windows(2) {
            let [from, to] = step else { continue };
            ways &= self.ways(*from, *to);
            if ways == 0 {
                pieces += 1;
                ways = u32::MAX;
            }
        }
        pieces * 3 <= chars.len()
    }

    /// Along which walks, and in which direction, this step goes. Staying on a character is a way of its own.
    fn ways(&self, from: char, to: char) -> u32 {
        if from == to {
            return 1;
        }
        self.steps.get(&(from, to)).copied().unwrap_or(0)
    }
}

fn steps() -> HashMap<(char, char), u32> {
    let mut steps = HashMap::new();
    for (walk, letters) in WALKS.iter().enumerate() {
        for (from, to) in letters.chars().zip(letters.chars().skip(1)) {
            // Bit 0 is for staying.
            let forward = 1_u32 << (1 + walk * 2);
            let backward = 1_u32 << (2 + walk * 2);
            *steps.entry((from, to)).or_insert(0) |= forward;
            *steps.entry((to, from)).or_insert(0) |= backward;
        }
    }
    steps
}

/// The shortest beginning that gives the text when it is written again and again, the last time perhaps cut short; the text itself when there is none
/// that fits twice.
fn repeated_unit(text: &str) -> &str {
    text.char_indices()
        .skip(1)
        .map(|(at, _)| text.split_at(at))
        .take_while(|(unit, _)| unit.len() * 2 <= text.len())
        .find(|(unit, rest)| text.starts_with(rest) && !unit.is_empty())
        .map_or(text, |(unit, _)| unit)
}

/// Digits and signs that people put for letters, read as those.
fn plain_letters(word: &str) -> String {
    word.chars()
        .map(|c| match c {
            '0' => 'o',
            '1' | '!' => 'i',
            '3' => 'e',
            '4' | '@' => 'a',
            '5' | '$' => 's',
            '7' => 't',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strength() -> Strength {
        Strength::new(&PasswordRules {
            min_length: 15,
            max_length: 256,
            memory_kib: 8,
            iterations: 1,
            lanes: 1,
            threads: 1,
            queue: 1,
        })
    }

    fn check(text: &str) -> Result<(), AuthError> {
        let email = "ada.lovelace@example.com".parse().unwrap();
        strength().check(&Password::new(text.to_owned()), &email)
    }

    #[track_caller]
    fn refused(text: &str) {
        assert!(matches!(check(text), Err(AuthError::WeakPassword(_))), "{text}");
    }

    #[test]
    fn the_list_is_sorted_lower_case_and_of_bounded_size() {
        let list = strength().common;
        assert!(list.is_sorted() && list.len() > 9_000 && list.len() <= 10_000 && COMMON.len() < 100_000);
        assert!(list.iter().all(|word| *word == word.to_lowercase()));
    }

    #[test]
    fn length_is_counted_in_characters() {
        refused("ünïcödé kurz 1");
        assert!(check("ünïcödé länger!").is_ok());
        refused(&"correct horse battery staple ".repeat(9));
        assert!(check(&"xkqj wvzm prtl 9".repeat(16)).is_ok());
    }

    #[test]
    fn what_guessing_tries_first_is_refused() {
        for text in [
            "passwordpassword",
            "PasswordPassword",
            "password1234567890",
            "1234567890password",
            "P@ssw0rd12345678",
            "monkey!!!!!!!!!!!",
            "1qaz2wsx3edc4rfv",
            "aaaaaaaaaaaaaaaa",
            "abababababababab",
            "abcabcabcabcabcabc",
            "123456789012345",
            "987654321098765",
            "111222333444555",
            "qwertyuiopasdfgh",
            "qwerty123456789",
            "abcdefghijklmnop",
            "abcdefgh12345678",
            "zyxwvutsrqponmlk",
            "q1w2e3r4t5y6u7i8o9p0",
            "dragondragondragon",
            "dragon1dragon1dragon1",
            "                ",
        ] {
            refused(text);
        }
    }

    #[test]
    fn the_address_and_its_local_part_are_refused() {
        for text in [
            "ada.lovelace@example.com",
            "ADA.lovelace@example.com",
            "ada.lovelaceada.lovelace",
            "ada.lovelace1815",
            "1815ada.lovelace!!",
        ] {
            refused(text);
        }
    }

    #[test]
    fn good_passwords_are_let_through() {
        for text in [
            "correct horse battery staple",
            "correcthorsebatterystaple",
            "tr0ub4dor&3 and then some",
            "x7#kQ9pLx7#kQ9pLm",
            "my first bicycle was green",
            "847362519402776153",
            "Donaudampfschifffahrt",
            "ключевая фраза здесь",
        ] {
            assert!(check(text).is_ok(), "{text}: {:?}", check(text));
        }
    }
}
