//! `check`: every mistake of the configuration at once, and what is no mistake but seldom meant. Starts nothing, writes nothing.

use std::path::Path;

use super::CliError;
use crate::config::gaps::gaps;

/// Prints `ok`, or fails with all mistakes.
pub fn run(file: &Path) -> Result<(), CliError> {
    let settings = super::settings(file)?;
    for gap in gaps(&settings.routes) {
        eprintln!("warning: {gap}");
    }
    println!("ok");
    Ok(())
}
