//! How answers look: a table for people, JSON for programs.

use std::fmt::Display;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;

/// Asked for by every command that lists or shows something.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Format {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Something that stands in a line of a table.
pub trait Row: Serialize {
    /// The columns' titles.
    const TITLES: &'static [&'static str];

    /// The line's cells, as many as there are titles.
    fn cells(&self) -> Vec<String>;
}

/// Prints them all. JSON: an array.
pub fn print<R: Row>(rows: &[R], format: Format) {
    if format.json {
        print_json(&rows);
        return;
    }
    if rows.is_empty() {
        println!("none");
        return;
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(R::TITLES.to_vec());
    for row in rows {
        table.add_row(row.cells());
    }
    println!("{}", table.trim_fmt());
}

/// Prints one. JSON: an object.
pub fn print_one<R: Row>(row: &R, format: Format) {
    if format.json {
        print_json(row);
        return;
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    for (title, cell) in R::TITLES.iter().zip(row.cells()) {
        table.add_row(vec![(*title).to_owned(), cell]);
    }
    println!("{}", table.trim_fmt());
}

/// A cell for what may not be there.
pub fn optional(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn print_json(value: &impl Serialize) {
    println!("{}", serde_json::to_string_pretty(value).unwrap_or_default());
}
