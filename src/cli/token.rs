//! `token …`: access tokens, judged as the gateway judges them.

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::{CliError, Desk};
use crate::config::RevocationMode;
use crate::model::clock::{Clock, SystemClock};
use crate::token::Rejected;
use crate::token::verify::against_jwks;

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read tokens from standard input, one a line, and say of each `valid` or `invalid: why`
    Verify {
        /// Judge by this key set instead of our own keys; revocation is not looked at
        #[arg(long, value_name = "FILE")]
        jwks: Option<PathBuf>,
    },
}

/// Does it. Fails when a token was invalid.
pub fn run(command: Command, file: &Path) -> Result<(), CliError> {
    let Command::Verify { jwks } = command;
    let (judged, invalid) = match jwks {
        Some(jwks) => by_set(&jwks, file)?,
        None => by_own_keys(file)?,
    };
    if invalid > 0 {
        return Err(CliError::Refused(format!("{invalid} of {judged} tokens are invalid")));
    }
    Ok(())
}

fn by_set(jwks: &Path, file: &Path) -> Result<(usize, usize), CliError> {
    let settings = super::settings(file)?;
    let text = std::fs::read_to_string(jwks).map_err(CliError::io(format!("cannot read {}", jwks.display())))?;
    let keys = against_jwks(&text, &settings.tokens)?;
    each_line(|token| keys.verify(token, SystemClock.now()).map(drop))
}

fn by_own_keys(file: &Path) -> Result<(usize, usize), CliError> {
    let desk = Desk::open(file)?;
    each_line(|token| {
        let verified = desk.rooms.tokens.verify(token, RevocationMode::Strict);
        desk.runtime.block_on(verified).map(drop)
    })
}

/// Judges every line that is not empty; returns how many there were and how many were invalid.
fn each_line(mut judge: impl FnMut(&str) -> Result<(), Rejected>) -> Result<(usize, usize), CliError> {
    let (mut judged, mut invalid) = (0, 0);
    for line in io::stdin().lock().lines() {
        let line = line.map_err(CliError::io("cannot read standard input"))?;
        let token = line.trim();
        if token.is_empty() {
            continue;
        }
        judged += 1;
        match judge(token) {
            Ok(()) => println!("valid"),
            Err(why) => {
                invalid += 1;
                println!("invalid: {why}");
            }
        }
    }
    Ok((judged, invalid))
}
