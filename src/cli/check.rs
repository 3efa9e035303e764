//! `check`: every mistake of the configuration at once, and what is no mistake but seldom meant. Starts nothing, writes nothing.

use std::path::Path;

use super::CliError;
use crate::config::gaps::gaps;
use crate::config::unproven::unproven;

/// Prints `ok`, or fails with all mistakes.
pub fn run(file: &Path) -> Result<(), CliError> {
    let settings = super::settings(file)?;
    for warning in gaps(&settings.routes).into_iter().chain(unproven(&settings)) {
        eprintln!("warning: {warning}");
    }
    println!("ok");
    Ok(())
}
