//! The text format that every scraper reads, out of the newer one that the metrics library writes.

/// OpenMetrics names a counter's family without the `_total` of its samples; the older text format, which every scraper reads, names it with it.
pub(super) fn as_prometheus(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len() + 1024);
    let mut lines = open_metrics.lines().peekable();
    while let Some(line) = lines.next() {
        let kind = line.strip_prefix("# HELP ").and_then(|_| lines.peek());
        let counts = kind.is_some_and(|kind| kind.ends_with(" counter"));
        if counts {
            with_total(&mut text, line);
            lines.next().into_iter().for_each(|kind| with_total(&mut text, kind));
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// `# HELP name words` with `name_total` for `name`.
fn with_total(text: &mut String, line: &str) {
    for (n, word) in line.splitn(4, ' ').enumerate() {
        let before = if n == 0 { "" } else { " " };
        let after = if n == 2 { "_total" } else { "" };
        text.extend([before, word, after]);
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_counters_are_renamed() {
        let given = "# HELP a Words of it.\n# TYPE a counter\na_total 1\n# HELP b More.\n# TYPE b gauge\nb 2\n";
        let wanted =
            "# HELP a_total Words of it.\n# TYPE a_total counter\na_total 1\n# HELP b More.\n# TYPE b gauge\nb 2\n";
        assert_eq!(as_prometheus(given), wanted);
    }
}
