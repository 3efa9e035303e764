//! Names that stand for what other servers take them for.
//!
//! A name is judged by length and first letter before it is looked at, so an ordinary request's fields cost a table look-up each and no allocation.

use http::{HeaderMap, HeaderName};

/// A set of names, folded.
#[derive(Debug)]
pub(super) struct Names {
    /// For each first letter (its last five bits), the lengths that occur, a bit each; the last bit stands for all from 63 on.
    lengths: [u64; 32],
    exact: Vec<String>,
    families: &'static [&'static str],
}

impl Names {
    /// The names `exact`, and those that are or begin with one of `families` and a separator.
    pub(super) fn new<'a>(exact: impl Iterator<Item = &'a str>, families: &'static [&'static str]) -> Self {
        let mut names = Self {
            lengths: [0; 32],
            exact: Vec::new(),
            families,
        };
        for name in exact {
            let folded: String = name.bytes().map(|b| char::from(fold(b))).collect();
            names.admit(folded.as_bytes(), 1 << folded.len().min(63));
            if !names.exact.contains(&folded) {
                names.exact.push(folded);
            }
        }
        for family in families {
            names.admit(family.as_bytes(), u64::MAX << family.len());
        }
        names
    }

    fn admit(&mut self, name: &[u8], lengths: u64) {
        let first = name.first().copied().unwrap_or_default();
        if let Some(known) = self.lengths.get_mut(usize::from(first & 31)) {
            *known |= lengths;
        }
    }

    fn contains(&self, name: &str) -> bool {
        let name = name.as_bytes();
        let Some(first) = name.first() else { return false };
        let place = usize::from(fold(*first) & 31);
        let lengths = self.lengths.get(place).copied().unwrap_or_default();
        lengths & (1 << name.len().min(63)) != 0 && self.folds_to_one(name)
    }

    fn folds_to_one(&self, name: &[u8]) -> bool {
        let folded = || name.iter().copied().map(fold);
        let alone = |known: &String| known.len() == name.len() && folded().eq(known.bytes());
        let family = |known: &&str| {
            name.len() >= known.len()
                && folded().take(known.len()).eq(known.bytes())
                && name.get(known.len()).is_none_or(|&b| fold(b) == b'-')
        };
        self.exact.iter().any(alone) || self.families.iter().any(family)
    }

    /// Takes off every field whose name is one of these.
    pub(super) fn strip(&self, headers: &mut HeaderMap) {
        let mut found: Vec<HeaderName> = Vec::new();
        for name in headers.keys() {
            if self.contains(name.as_str()) {
                found.push(name.clone());
            }
        }
        for name in found {
            headers.remove(name);
        }
    }
}

/// Letters without case, everything that is neither letter nor digit the same.
const fn fold(b: u8) -> u8 {
    if b.is_ascii_alphanumeric() {
        b.to_ascii_lowercase()
    } else {
        b'-'
    }
}
