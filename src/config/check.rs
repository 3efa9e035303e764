//! The file becomes `Settings`, or the list of everything that is wrong with it.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use super::Settings;

/// One thing that is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Line in the file, counted from 1; `None` for a mistake outside of it (an environment variable, a missing file).
    pub line: Option<usize>,
    /// The key with its path (`server.limits.header_size`).
    pub key: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// Every mistake of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes {
    /// The file that was read.
    pub file: String,
    /// In the order of the file.
    pub list: Vec<Mistake>,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = (f, &self.list);
        todo!()
    }
}

/// Reads `path` with the overrides in `environment` and checks the whole.
pub fn load(path: &Path, environment: &HashMap<String, String>) -> Result<Settings, Mistakes> {
    let _ = (path, environment);
    todo!()
}
