//! `user import`: accounts of another system, from a file with a line for each.
//!
//! The file is read as it is written to the store, a batch at a time, so its length does not matter. A line that does not fit is told with its number and the
//! reason, never with what stands in it, and the others go on.

mod rows;

use std::fmt::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::progress::Progress;
use super::{CliError, Desk};
use crate::auth::import::{Newcomer, Taken};
use rows::{Row, Rows};

/// Lines that are worked on at once.
const BATCH: usize = 500;

/// What to import.
#[derive(Debug, Args)]
pub struct What {
    /// A file of accounts, or `-` for standard input
    file: PathBuf,
    /// How it is written; otherwise its name tells
    #[arg(long)]
    format: Option<Form>,
}

/// How a file of accounts is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// Comma-separated, the names of the columns in the first line
    Csv,
    /// A JSON object on each line
    Jsonl,
}

/// How many came to what.
#[derive(Default)]
struct Tally {
    over: u64,
    before: u64,
    refused: u64,
}

/// Does it.
pub(super) fn run(what: &What, desk: &Desk) -> Result<(), CliError> {
    let mut rows = Rows::open(&what.file, form(what)?)?;
    let mut progress = Progress::begin("accounts", rows.expected);
    let mut tally = Tally::default();
    loop {
        let batch: Vec<Row> = rows.by_ref().take(BATCH).collect::<Result<_, _>>()?;
        if batch.is_empty() {
            break;
        }
        settle(&batch, desk, &progress, &mut tally)?;
        progress.advance(batch.len() as u64);
    }
    progress.end(&tally.line());
    tally.verdict()
}

fn form(what: &What) -> Result<Form, CliError> {
    let extension = what.file.extension().map(|extension| extension.to_ascii_lowercase());
    let by_name = match extension.as_ref().and_then(|extension| extension.to_str()) {
        Some("csv") => Some(Form::Csv),
        Some("jsonl" | "ndjson" | "json") => Some(Form::Jsonl),
        _ => None,
    };
    let unknown =
        || CliError::Refused("say with --format how it is written, csv or jsonl; its name does not tell".to_owned());
    what.format.or(by_name).ok_or_else(unknown)
}

fn settle(batch: &[Row], desk: &Desk, progress: &Progress, tally: &mut Tally) -> Result<(), CliError> {
    let newcomers: Vec<Newcomer> = batch
        .iter()
        .filter_map(|row| row.newcomer.as_ref().ok().cloned())
        .collect();
    let imported = desk.runtime.block_on(desk.auth.import(&newcomers));
    let again = |error| CliError::Refused(format!("{error}; what was taken over stays, run it again"));
    let mut taken = imported.map_err(again)?.into_iter();
    for row in batch {
        let why = match &row.newcomer {
            Ok(_) => match taken.next() {
                Some(Taken::Not(unfit)) => unfit.to_string(),
                Some(Taken::Before) => {
                    tally.before += 1;
                    continue;
                }
                _ => {
                    tally.over += 1;
                    continue;
                }
            },
            Err(why) => (*why).to_owned(),
        };
        tally.refused += 1;
        progress.say(&format!("line {}: {why}", row.line));
    }
    Ok(())
}

impl Tally {
    fn verdict(&self) -> Result<(), CliError> {
        let (lines, them) = match self.refused {
            0 => return Ok(()),
            1 => ("1 line was".to_owned(), "it"),
            number => (format!("{number} lines were"), "them"),
        };
        Err(CliError::Refused(format!(
            "{lines} refused, as told above; mend {them} and run it again: what is there already is left alone"
        )))
    }

    fn line(&self) -> String {
        let mut line = format!("{:<12} {} new", "accounts", self.over);
        for (number, what) in [(self.before, "there already"), (self.refused, "refused")] {
            if number > 0 {
                let _ = write!(line, ", {number} {what}");
            }
        }
        line
    }
}
