//! Anything as `gateway.toml`: settings or mistakes with their lines, the same each time, and a comment at the end changes nothing.
#![no_main]

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use gateward::config::Settings;
use gateward::config::check::{Mistakes, load};
use libfuzzer_sys::fuzz_target;

static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("gateward-fuzz-{}.toml", std::process::id())));

fn read(text: &str) -> Result<Settings, Mistakes> {
    std::fs::write(&*FILE, text).unwrap();
    load(&FILE, &HashMap::new())
}

fuzz_target!(|text: &str| {
    let first = read(text);
    assert_eq!(first, read(text));
    match first {
        Ok(settings) => assert_eq!(Ok(settings), read(&format!("{text}\n# nothing\n"))),
        Err(mistakes) => {
            assert!(!mistakes.list.is_empty());
            let lines = text.split('\n').count();
            assert!(
                mistakes
                    .list
                    .iter()
                    .all(|mistake| mistake.line.is_none_or(|line| (1..=lines).contains(&line))),
                "{mistakes}"
            );
        }
    }
});
