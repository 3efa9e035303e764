//! `check`: every mistake of the configuration at once. Starts nothing, writes nothing.

use std::path::Path;

use super::CliError;

/// Prints `ok`, or fails with all mistakes.
pub fn run(file: &Path) -> Result<(), CliError> {
    super::settings(file)?;
    println!("ok");
    Ok(())
}
