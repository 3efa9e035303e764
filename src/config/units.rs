//! Numbers with units: `"15m"`, `"16MiB"`, `"20/1m"`.
//!
//! A unit is always written: a bare `30` has been read as seconds, minutes and milliseconds by different people.

use std::time::Duration;

use super::Rate;

/// The longest span that makes sense here, and short enough that sums of spans and moments cannot overflow.
const LONGEST: Duration = Duration::from_hours(36_500 * 24);

const SPANS: [(&str, u64); 6] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// A span of time: numbers with `ms`, `s`, `m`, `h`, `d` or `w`, added up when there are several (`"1h30m"`).
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration; write a number and its unit (ms, s, m, h, d, w), like \"15m\"");
    let mut rest = text;
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let (count, unit, after) = number(rest).ok_or_else(wrong)?;
        let (_, size) = SPANS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let part = count.checked_mul(*size).ok_or_else(wrong)?;
        millis = millis.checked_add(part).ok_or_else(wrong)?;
        rest = after;
    }
    let span = Duration::from_millis(millis);
    match text {
        "" => Err(wrong()),
        _ if span > LONGEST => Err(format!("`{text}` is longer than a hundred years")),
        _ => Ok(span),
    }
}

/// A size in octets: a number with `B`, `KiB`, `MiB`, `GiB`, or the decimal `kB`, `MB`, `GB`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let known = number(text).filter(|(_, _, rest)| rest.is_empty());
    let octets = known.and_then(|(count, unit, _)| {
        let (_, size) = SIZES.iter().find(|(name, _)| *name == unit)?;
        count.checked_mul(*size)
    });
    octets.ok_or_else(|| {
        format!("`{text}` is not a size; write a number and its unit (B, KiB, MiB, GiB, kB, MB, GB), like \"16MiB\"")
    })
}

/// So many in such a span: `"20/1m"`.
pub(super) fn rate(text: &str) -> Result<Rate, String> {
    let wrong = || format!("`{text}` is not a rate; write how many in which span, like \"20/1m\"");
    let (count, per) = text.split_once('/').ok_or_else(wrong)?;
    let count: u32 = digits(count).and_then(|count| count.parse().ok()).ok_or_else(wrong)?;
    let per = duration(per).map_err(|_| wrong())?;
    if count == 0 || per.is_zero() {
        return Err(format!("`{text}` lets nobody through; both numbers must be at least 1"));
    }
    Ok(Rate { count, per })
}

/// Digits, the letters behind them, and what follows.
fn number(text: &str) -> Option<(u64, &str, &str)> {
    let (count, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    Some((count.parse().ok()?, unit, rest))
}

fn digits(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A span in the largest units that it is a sum of, as people write it.
    fn printed(mut millis: u64) -> String {
        let mut text = String::new();
        for (unit, size) in SPANS.iter().rev() {
            if millis >= *size {
                text.push_str(&format!("{}{unit}", millis / size));
                millis %= size;
            }
        }
        if text.is_empty() { "0s".to_owned() } else { text }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_as_it_was(millis in 0..LONGEST.as_secs() * 1000, count in 1_u32.., unit in 0..SIZES.len(), octets in 0_u64..1 << 30) {
            prop_assert_eq!(duration(&printed(millis)), Ok(Duration::from_millis(millis)));
            prop_assert_eq!(duration(&format!("{millis}ms")), Ok(Duration::from_millis(millis)));
            let (name, each) = SIZES[unit];
            prop_assert_eq!(size(&format!("{octets}{name}")), Ok(octets * each));
            let per = Duration::from_millis(millis.max(1));
            prop_assert_eq!(rate(&format!("{count}/{}", printed(millis.max(1)))), Ok(Rate { count, per }));
        }

        #[test]
        fn no_text_makes_a_unit_panic(text in "[0-9a-zA-Z/ .+-]{0,24}") {
            let _ = (duration(&text), size(&text), rate(&text));
        }
    }

    #[test]
    fn a_span_is_a_number_and_its_unit() {
        for (text, millis) in [
            ("250ms", 250),
            ("20s", 20_000),
            ("15m", 900_000),
            ("1h30m", 5_400_000),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(duration("2w"), duration("14d"));
    }

    #[test]
    fn a_span_without_unit_with_another_or_too_long_is_refused() {
        for text in [
            "",
            "15",
            "m",
            "15 m",
            "-1s",
            "1.5h",
            "15M",
            "1y",
            "99999999999999999999s",
            "36501d",
            "1h30",
            "١s",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_is_a_number_and_its_unit() {
        assert_eq!(size("16MiB"), Ok(16 << 20));
        assert_eq!(size("1MB"), Ok(1_000_000));
        for text in ["", "16", "16M", "16mib", "16MiB2KiB", "1.5MiB", "99999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_rate_is_a_count_and_a_span() {
        let per = Duration::from_secs(300);
        assert_eq!(rate("5/5m"), Ok(Rate { count: 5, per }));
        for text in ["5", "5/", "/5m", "5/m", "0/1m", "5/0s", "-5/1m", "+5/1m", "5/1m/2"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
