//! The README's tour, typed as written, gives what it says.
//!
//! Every command of its console blocks is run in a world of its own, in order; where the README shows an answer, the answer must be that, except for what
//! differs from day to day: ids, tokens, and whatever stands in the place of an `…`.

use std::path::Path;
use std::process::Command;

use crate::world::{Upstream, World};

/// A command and what the README shows of its answer.
struct Step {
    command: String,
    shown: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_typed_as_written_gives_what_it_says() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).expect("README.md");
    let steps = steps(&readme);
    assert!(steps.len() > 6, "only {} commands in the README", steps.len());
    let mut token = String::new();
    for step in steps.iter().filter(|step| !step.command.starts_with("cargo ")) {
        let answer = type_in(&world, &step.command, &token);
        if let Some((_, rest)) = answer.split_once("\"access_token\":\"") {
            token = rest.split('"').next().unwrap_or_default().to_owned();
        }
        for line in &step.shown {
            assert!(
                shows(&answer, line, &world),
                "{}\ngave\n{answer}\nwhich does not show\n{line}",
                step.command
            );
        }
        if let Some((_, status)) = step.command.split_once("# 401") {
            assert!(answer.contains("\"status\":401"), "401{status}: {answer}");
        }
    }
}

fn steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let blocks = readme
        .split("```console\n")
        .skip(1)
        .filter_map(|block| block.split("```").next());
    for line in blocks.flat_map(str::lines) {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                command: command.to_owned(),
                shown: Vec::new(),
            });
            continue;
        }
        let Some(step) = steps.last_mut() else { continue };
        match step.command.strip_suffix('\\') {
            Some(begun) => step.command = format!("{begun}{}", line.trim()),
            None if line.trim().is_empty() || line == "…" => {}
            None => step.shown.push(line.to_owned()),
        }
    }
    steps
}

fn type_in(world: &World, command: &str, token: &str) -> String {
    let gateward = format!(
        "{} --config {} ",
        env!("CARGO_BIN_EXE_gateward"),
        world.config_file().display()
    );
    let command = command
        .replace("localhost:8443", &world.authority())
        .replace("eyJhbGciOiJSUzI1NiIs…", token);
    let command = match command.strip_prefix("gateward ") {
        Some(arguments) => format!("{gateward}{arguments}"),
        None => command,
    };
    let output = Command::new("sh")
        .arg("-c")
        .arg(&command)
        .current_dir(world.dir())
        .output()
        .expect("a shell");
    assert!(
        output.status.success(),
        "{command}\nfailed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether an answer holds the pieces of a line between its `…`, in order.
fn shows(answer: &str, line: &str, world: &World) -> bool {
    let answer = without_ids(answer);
    let mut rest = answer.as_str();
    line.replace("localhost:8443", &world.authority())
        .split('…')
        .all(|piece| {
            let found = rest.split_once(&without_ids(piece));
            rest = found.map_or(rest, |(_, after)| after);
            found.is_some()
        })
}

/// The text with every UUID made equal.
fn without_ids(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.get(..36).is_some_and(is_id) {
            out.push_str("<id>");
            rest = &rest[36..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

fn is_id(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}
