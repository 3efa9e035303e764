//! `[mail]`: how letters go out, whose they are, and what the operator words differently.
//!
//! Without it the gateway writes to nobody: registration says openly that an address is taken, and a forgotten password is an operator's work. The words
//! of a letter may be replaced by files of a folder. They are read once and filled in by plain substitution: what stands between `{{` and `}}` is one of
//! `PLACES`, and a misspelt one is a mistake that `check` names.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::servers::Smtp;
use crate::model::user::Email;

/// Every kind of letter, as the files of a template folder are named: `reset.txt`, `reset.html`.
pub const LETTERS: [&str; 10] = [
    "confirm",
    "attempt",
    "reset",
    "invite",
    "move",
    "password-changed",
    "email-changed",
    "factor-changed",
    "new-device",
    "sessions-ended",
];

/// What a template may ask for: the site's name, the address that is written to, where to go on, when something happened and from which network address
/// (with words around it, or nothing), how long the link is good.
pub const PLACES: [&str; 6] = ["site", "email", "link", "when", "where", "span"];

/// What the first line of a `.txt` template begins with.
pub const SUBJECT: &str = "Subject: ";

/// Letters can be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Which way they go.
    pub way: Way,
    /// Whose they are.
    pub from: Sender,
    /// The operator's own words, by file name.
    pub templates: BTreeMap<String, String>,
}

/// Where letters are handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// To a mail server.
    Smtp(Smtp),
    /// Into a folder, one file a letter: for a first look, and for programs that send by themselves.
    Folder(PathBuf),
}

/// What stands in `From`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// A name for people.
    pub name: Option<String>,
    /// The address.
    pub address: Email,
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} <{}>", self.address),
            None => self.address.fmt(f),
        }
    }
}
