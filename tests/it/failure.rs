//! What happens when a store is slow, down, or has lost its data: faults made for real, on servers of the test's own, while traffic runs.
//!
//! The README says it in a table. That table is made here, from what was observed, and must equal the written one line by line: neither can change
//! without the other.

mod actors;
mod beginning;
mod lost_data;
mod observation;
mod site;
mod traffic;

use std::collections::BTreeMap;
use std::path::Path;

use crate::world::Upstream;
use observation::{Column, ROWS, observe};
use site::{Down, How, Site};

/// Under this heading of the README.
const HEADING: &str = "### When a store is down";

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_what_goes_on_when_a_store_is_down_is_what_is_observed() {
    let [stopped, killed, hanging] = [How::Stopped, How::Killed, How::Hanging];
    // Each in a task of its own: starting a server holds the task up that does it.
    let gateways = [
        (
            false,
            vec![
                (Down::Sessions, stopped),
                (Down::Sessions, killed),
                (Down::Emptied, killed),
                (Down::Accounts, stopped),
            ],
        ),
        (
            false,
            vec![(Down::Accounts, killed), (Down::Both, stopped), (Down::Both, killed)],
        ),
        (
            true,
            vec![
                (Down::Sessions, hanging),
                (Down::Accounts, hanging),
                (Down::Both, hanging),
            ],
        ),
    ];
    let gateways = gateways.map(|(behind_lines, list)| tokio::spawn(outages(behind_lines, list)));
    let mut table: BTreeMap<Down, Vec<(How, Column)>> = BTreeMap::new();
    for gateway in gateways {
        for (down, how, column) in gateway.await.unwrap() {
            table.entry(down).or_default().push((how, column));
        }
    }
    let observed = render(&table);
    assert_eq!(observed, written(), "observed:\n{}", observed.join("\n"));
}

/// One gateway through several outages.
async fn outages(behind_lines: bool, list: Vec<(Down, How)>) -> Vec<(Down, How, Column)> {
    let upstream = Upstream::friendly();
    let mut site = if behind_lines {
        Site::start_behind_lines(&upstream).await
    } else {
        Site::start(&upstream).await
    };
    let mut columns = Vec::new();
    for (number, (down, how)) in list.into_iter().enumerate() {
        let column = observe(&mut site, down, how, &format!("ada{number}")).await;
        columns.push((down, how, column));
    }
    // Its servers take their time to stop, and others are still looking at the clock.
    tokio::task::block_in_place(|| drop(site));
    columns
}

/// The table in Markdown. Where outages of one store differ by what happened to it, a cell says how.
fn render(table: &BTreeMap<Down, Vec<(How, Column)>>) -> Vec<String> {
    let mut lines = vec![
        "| | sessions store down | accounts store down | both down | sessions store down, and back without its data |"
            .to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    for (row, name) in ROWS.iter().enumerate() {
        let cells: Vec<String> = table.values().map(|outages| cell(outages, row)).collect();
        lines.push(format!("| {name} | {} |", cells.join(" | ")));
    }
    lines
}

fn cell(outages: &[(How, Column)], row: usize) -> String {
    let word = &outages[0].1[row];
    if outages.iter().all(|(_, column)| column[row] == *word) {
        return word.clone();
    }
    let each: Vec<String> = outages
        .iter()
        .map(|(how, column)| format!("{how:?}: {}", column[row]))
        .collect();
    each.join("; ")
}

fn written() -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let section = readme.split_once(HEADING).expect("the heading in README.md").1;
    let lines = section.lines().skip_while(|line| !line.starts_with('|'));
    lines
        .take_while(|line| line.starts_with('|'))
        .map(str::to_owned)
        .collect()
}
