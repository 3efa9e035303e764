//! Where something is written, so that a mistake can point at it.

/// The place of one key or table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Line in the file, counted from 1; `None` for an environment variable and for what is not written anywhere.
    pub(super) line: Option<usize>,
    /// The key with its path, or the variable's name.
    pub(super) key: String,
}

impl Place {
    /// The same place, for a key below it.
    pub(super) fn below(&self, key: &str) -> Self {
        Self {
            line: self.line,
            key: join(&self.key, key),
        }
    }
}

/// `server` and `limits` make `server.limits`.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// Finds the line of an offset.
#[derive(Debug)]
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// The line, counted from 1, of the octet at `offset`.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_from_one_and_end_with_their_line_feed() {
        let lines = Lines::of("a\nbc\n\nd");
        let found: Vec<usize> = (0..8).map(|offset| lines.line(offset)).collect();
        assert_eq!(found, [1, 1, 2, 2, 2, 3, 4, 4]);
    }
}
