//! The access log: one JSON object for each answer.
//!
//! It says which route answered what to whom and how long that took, and never what was asked for behind the `?`: a query string may hold a code or a
//! token. A line is made on the stack and copied once; only an unusually long one costs an allocation. Under pressure lines are dropped and counted
//! (`gateward_log_lines_lost_total{log="access"}`), because the proxied traffic matters more.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use http::Method;
use serde::{Serialize, Serializer};

use super::Metrics;
use super::writer::{Care, Writer};
use crate::config::LogTarget;
use crate::model::clock::Timestamp;
use crate::model::user::UserId;

/// One answered request.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Entry<'a> {
    /// When the request arrived.
    #[serde(serialize_with = "rfc3339")]
    pub time: Timestamp,
    /// The request's id.
    pub request_id: &'a str,
    /// The client's address, as limits and upstreams see it.
    pub client: IpAddr,
    /// The method.
    #[serde(serialize_with = "method")]
    pub method: &'a Method,
    /// The host asked for.
    pub host: &'a str,
    /// The path asked for; whatever follows a `?` is cut off here.
    #[serde(serialize_with = "path_only")]
    pub path: &'a str,
    /// The route that answered, or the word of ours that stands in for one.
    pub route: &'a str,
    /// The status of the answer.
    pub status: u16,
    /// From arrival to the end of the answer, in milliseconds.
    #[serde(rename = "duration_ms", serialize_with = "millis")]
    pub took: Duration,
    /// Octets of the request's body, where they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_in: Option<u64>,
    /// Octets of the answer's body, where they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_out: Option<u64>,
    /// Who asked, when they were identified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
}

/// Where access lines go.
#[derive(Debug)]
pub struct AccessLog {
    writer: Writer,
}

impl AccessLog {
    /// Opens the target; lines that are dropped count in `metrics`.
    ///
    /// # Errors
    /// A file that cannot be made or appended to.
    pub fn open(target: &LogTarget, metrics: &Metrics) -> io::Result<Self> {
        let writer = Writer::open(target, Care::Plain, metrics.lost_lines("access"))?;
        Ok(Self { writer })
    }

    /// A log that keeps nothing.
    pub const fn off() -> Self {
        Self { writer: Writer::off() }
    }

    /// Whether entries go anywhere: when not, they need not be made.
    pub const fn is_on(&self) -> bool {
        self.writer.is_on()
    }

    /// Writes an entry; never waits.
    pub fn record(&self, entry: &Entry<'_>) {
        if !self.is_on() {
            return;
        }
        let mut room = [0; 1024];
        let mut rest = room.as_mut_slice();
        let fits = write_line(&mut rest, entry).is_ok();
        let left = rest.len();
        if fits {
            let used = room.len() - left;
            self.writer.append(room.get(..used).unwrap_or_default());
            return;
        }
        let mut line = Vec::with_capacity(4096);
        if write_line(&mut line, entry).is_ok() {
            self.writer.append(&line);
        }
    }

    /// Opens the file anew, after a program such as logrotate has moved it away.
    pub fn reopen(&self) {
        self.writer.reopen();
    }

    /// Waits until everything recorded so far is written; for the end of the process.
    pub fn flush(&self) {
        self.writer.flush();
    }
}

/// One JSON object and the end of its line.
pub(super) fn write_line(mut to: impl io::Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut to, value)?;
    to.write_all(b"\n")
}

/// RFC 3339 with milliseconds, in UTC, without the allocations of a general formatter.
pub(super) fn rfc3339<S: Serializer>(moment: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&Rfc3339(*moment))
}

struct Rfc3339(Timestamp);

impl fmt::Display for Rfc3339 {
    /// Days to a civil date by counting from 0000-03-01, so that the leap day is the last of its year.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, millis) = (self.0.as_secs(), self.0.as_millis() % 1000);
        let (days, clock) = (secs / 86_400 + 719_468, secs % 86_400);
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        )
    }
}

fn method<S: Serializer>(method: &Method, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(method.as_str())
}

fn path_only<S: Serializer>(path: &str, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(path.split('?').next().unwrap_or_default())
}

/// Whole microseconds, shown as milliseconds.
fn millis<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64((span.as_secs_f64() * 1_000_000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn entry(path: &str) -> Entry<'_> {
        Entry {
            time: Timestamp::from_millis(1_709_210_096_789),
            request_id: "r-1",
            client: "192.0.2.7".parse().unwrap(),
            method: &Method::GET,
            host: "app.example.com",
            path,
            route: "app",
            status: 200,
            took: Duration::from_micros(1234),
            bytes_in: None,
            bytes_out: Some(42),
            user: None,
        }
    }

    fn lines(entries: &[Entry<'_>]) -> Vec<Value> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let log = AccessLog::open(&LogTarget::File(path.clone()), &Metrics::new()).unwrap();
        entries.iter().for_each(|entry| log.record(entry));
        log.flush();
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn an_entry_is_one_json_object_on_one_line() {
        let written = lines(&[entry("/a"), entry("/b")]);
        assert_eq!(
            written[0],
            serde_json::json!({
                "time": "2024-02-29T12:34:56.789Z", "request_id": "r-1", "client": "192.0.2.7", "method": "GET",
                "host": "app.example.com", "path": "/a", "route": "app", "status": 200, "duration_ms": 1.234, "bytes_out": 42
            })
        );
        assert_eq!(written.len(), 2);
    }

    #[test]
    fn a_query_string_is_never_logged() {
        assert_eq!(lines(&[entry("/cb?code=s3cret")])[0]["path"], "/cb");
    }

    #[test]
    fn a_value_cannot_begin_a_line_of_its_own() {
        let written = lines(&[entry("/a\n{\"route\":\"forged\"}")]);
        assert_eq!(written.len(), 1);
        assert_eq!(written[0]["route"], "app");
    }

    #[test]
    fn a_line_longer_than_the_stack_buffer_is_whole() {
        let long = format!("/{}", "x".repeat(5000));
        assert_eq!(lines(&[entry(&long)])[0]["path"], long);
    }

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
            let short = Rfc3339(moment).to_string().replace(".000Z", "Z");
            assert_eq!(short, moment.to_string());
        }
    }
}
