//! Names that stand for what other servers take them for.
//!
//! A name is judged by first letter and length before it is looked at, so an ordinary request's fields cost a table look-up each and no allocation.

use http::{HeaderMap, HeaderName};

/// A set of names, folded.
#[derive(Debug)]
pub(super) struct Names([Initial; 32]);

/// The names of one first letter (its last five bits).
#[derive(Debug, Default)]
struct Initial {
    /// The lengths that occur, a bit each; the last bit stands for all from 63 on.
    lengths: u64,
    exact: Vec<String>,
    families: Vec<&'static str>,
}

impl Names {
    /// The names `exact`, and those that are or begin with one of `families` and a separator.
    pub(super) fn new<'a>(exact: impl Iterator<Item = &'a str>, families: impl Iterator<Item = &'static str>) -> Self {
        let mut names = Self(Default::default());
        for name in exact {
            let folded: String = name.bytes().map(|b| char::from(fold(b))).collect();
            let Some(initial) = names.initial_mut(folded.as_bytes()) else {
                continue;
            };
            initial.lengths |= 1 << folded.len().min(63);
            if !initial.exact.contains(&folded) {
                initial.exact.push(folded);
            }
        }
        for family in families {
            let Some(initial) = names.initial_mut(family.as_bytes()) else {
                continue;
            };
            initial.lengths |= u64::MAX << family.len().min(63);
            initial.families.push(family);
        }
        names
    }

    fn initial_mut(&mut self, folded: &[u8]) -> Option<&mut Initial> {
        self.0.get_mut(usize::from(folded.first()? & 31))
    }

    fn contains(&self, name: &str) -> bool {
        let name = name.as_bytes();
        let Some(first) = name.first() else { return false };
        let initial = self.0.get(usize::from(fold(*first) & 31));
        initial.is_some_and(|initial| initial.lengths & (1 << name.len().min(63)) != 0 && initial.folds_to_one(name))
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

impl Initial {
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
}

/// Letters without case, everything that is neither letter nor digit the same.
const fn fold(b: u8) -> u8 {
    if b.is_ascii_alphanumeric() {
        b.to_ascii_lowercase()
    } else {
        b'-'
    }
}
