//! SECURITY.md names files and tests: they exist, or the page is not true.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Everything between back-ticks on the lines of tables.
fn quoted(text: &str) -> BTreeSet<&str> {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect()
}

fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path: PathBuf = entry.path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            into.push_str(&fs::read_to_string(&path).expect("a source file"));
        }
    }
}

#[test]
fn every_test_and_file_that_security_md_names_exists() {
    let page = fs::read_to_string(root().join("SECURITY.md")).expect("SECURITY.md");
    let mut code = String::new();
    for folder in ["src", "tests"] {
        sources(&root().join(folder), &mut code);
    }
    let is_test =
        |name: &str| name.matches('_').count() >= 3 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let is_file = |name: &str| name.ends_with(".rs") || name.starts_with("src/") || name.starts_with("tests/");
    let names = quoted(&page);
    let tests: Vec<&str> = names.iter().copied().filter(|name| is_test(name)).collect();
    assert!(tests.len() > 40, "only {} tests are named", tests.len());
    for test in tests {
        assert!(
            code.contains(&format!("fn {test}(")),
            "SECURITY.md names {test}, which does not exist"
        );
    }
    for file in names.iter().filter(|name| is_file(name)) {
        assert!(
            root().join(file).exists(),
            "SECURITY.md names {file}, which does not exist"
        );
    }
}
