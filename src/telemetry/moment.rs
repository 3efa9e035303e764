//! Moments as log lines show them: RFC 3339 with milliseconds, in UTC, without the allocations of a general formatter.

use serde::Serializer;

use crate::model::clock::Timestamp;

/// `2024-02-29T12:34:56.789Z`.
pub(super) type Text = [u8; 24];

/// A moment as text. Days become a civil date by counting from 0000-03-01, so that the leap day is the last of its year. Years beyond 9999 lose their
/// first digits.
pub(super) fn rfc3339(moment: Timestamp) -> Text {
    let (secs, millis) = (moment.as_secs(), moment.as_millis() % 1000);
    let (days, clock) = (secs / 86_400 + 719_468, secs % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    [
        digit(year / 1000),
        digit(year / 100),
        digit(year / 10),
        digit(year),
        b'-',
        digit(month / 10),
        digit(month),
        b'-',
        digit(day / 10),
        digit(day),
        b'T',
        digit(hour / 10),
        digit(hour),
        b':',
        digit(minute / 10),
        digit(minute),
        b':',
        digit(second / 10),
        digit(second),
        b'.',
        digit(millis / 100),
        digit(millis / 10),
        digit(millis),
        b'Z',
    ]
}

/// The same as a serializer wants it.
pub(super) fn serialize<S: Serializer>(moment: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    let text = rfc3339(*moment);
    to.serialize_str(std::str::from_utf8(&text).unwrap_or_default())
}

/// The last decimal digit of a number.
pub(super) const fn digit(number: u64) -> u8 {
    b'0' + (number % 10) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_like_the_clock_writes_them() {
        for secs in [
            0,
            951_782_400,
            951_868_799,
            1_709_164_800,
            1_735_689_599,
            4_107_542_400,
            253_402_300_799,
        ] {
            let moment = Timestamp::from_secs(secs);
            let text = String::from_utf8(rfc3339(moment).to_vec()).unwrap();
            assert_eq!(text.replace(".000Z", "Z"), moment.to_string());
        }
    }
}
