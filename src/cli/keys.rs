//! `keys …`: signing keys.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;
use zeroize::Zeroizing;

use super::listing::{self, Format, Row};
use super::{CliError, Desk};
use crate::model::clock::Timestamp;
use crate::token::KEY_SPREAD;
use crate::token::keys::KeyInfo;

/// What can be done to keys.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the keys, oldest first
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Make the next signing key; it is published first and signs later
    Rotate {
        /// Sign with it at once; tokens may be refused by those who hold an older key set
        #[arg(long)]
        now: bool,
    },
    /// Refuse a key's tokens from now on
    // An id may begin with a hyphen, so no letter may stand for an option here, `-h` neither.
    #[command(disable_help_flag = true)]
    Revoke {
        /// The key's id
        #[arg(allow_hyphen_values = true)]
        kid: String,
        /// Print help
        #[arg(long, action = clap::ArgAction::Help)]
        help: Option<bool>,
    },
    /// Take over a PEM private key as the next signing key
    Import {
        /// PKCS#8, PKCS#1 or SEC 1
        file: PathBuf,
    },
}

#[derive(Debug, Serialize)]
struct Line {
    kid: String,
    algorithm: &'static str,
    state: &'static str,
    created_at: String,
    next_change: Option<String>,
}

impl From<KeyInfo> for Line {
    fn from(key: KeyInfo) -> Self {
        Self {
            kid: key.kid,
            algorithm: key.algorithm.name(),
            state: key.state.name(),
            created_at: key.created_at.to_string(),
            next_change: key.next_change.as_ref().map(Timestamp::to_string),
        }
    }
}

impl Row for Line {
    const TITLES: &'static [&'static str] = &["KID", "ALGORITHM", "STATE", "CREATED", "NEXT CHANGE"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.kid.clone(),
            self.algorithm.to_owned(),
            self.state.to_owned(),
            self.created_at.clone(),
            listing::optional(self.next_change.as_ref()),
        ]
    }
}

/// Does it.
pub fn run(command: Command, desk: &Desk) -> Result<(), CliError> {
    let tokens = &desk.rooms.tokens;
    match command {
        Command::List { format } => {
            let keys = desk.runtime.block_on(tokens.keys())?;
            let lines: Vec<Line> = keys.into_iter().map(Line::from).collect();
            listing::print(&lines, format);
        }
        Command::Rotate { now } => {
            let kid = desk.runtime.block_on(tokens.rotate_keys(now))?;
            desk.until_noticed(KEY_SPREAD);
            println!("{kid}");
        }
        Command::Revoke { kid, .. } => {
            if !desk.runtime.block_on(tokens.revoke_key(&kid))? {
                return Err(CliError::Refused(format!(
                    "there is no key {kid}, or it is revoked already; see `gateward keys list`"
                )));
            }
            desk.until_noticed(KEY_SPREAD);
            println!("revoked");
        }
        Command::Import { file } => {
            let pem = std::fs::read_to_string(&file).map(Zeroizing::new);
            let pem = pem.map_err(CliError::io(format!("cannot read {}", file.display())))?;
            let kid = desk.runtime.block_on(tokens.import_key(&pem))?;
            desk.until_noticed(KEY_SPREAD);
            println!("{kid}");
        }
    }
    Ok(())
}
