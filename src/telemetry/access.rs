//! The access log: one JSON object for each answer.
//!
//! It says which route answered what to whom and how long that took, and never what was asked for behind the `?`: a query string may hold a code or a
//! token. Under pressure lines are dropped and counted (`gateward_log_lines_lost_total{log="access"}`), because the proxied traffic matters more.

mod line;

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use http::Method;

use super::Metrics;
use super::writer::{Care, Writer};
use crate::config::LogTarget;
use crate::model::clock::Timestamp;
use crate::model::user::UserId;

/// One answered request.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// When the request arrived.
    pub time: Timestamp,
    /// The request's id.
    pub request_id: &'a str,
    /// The client's address, as limits and upstreams see it.
    pub client: IpAddr,
    /// The method.
    pub method: &'a Method,
    /// The host asked for.
    pub host: &'a str,
    /// The path asked for; whatever follows a `?` is cut off here.
    pub path: &'a str,
    /// The route that answered, or the word of ours that stands in for one.
    pub route: &'a str,
    /// The status of the answer.
    pub status: u16,
    /// From arrival until the answer was ready; a streamed body comes after that.
    pub took: Duration,
    /// Octets of the request's body, where they are known.
    pub bytes_in: Option<u64>,
    /// Octets of the answer's body, where they are known.
    pub bytes_out: Option<u64>,
    /// Who asked, when they were identified.
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
        self.writer.append(&line::of(entry));
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
    fn an_address_of_either_kind_is_written_as_it_is_spelled() {
        for ip in ["255.0.10.9", "2001:db8::1"] {
            let client = ip.parse().unwrap();
            assert_eq!(lines(&[Entry { client, ..entry("/a") }])[0]["client"], ip);
        }
    }

    #[test]
    fn a_value_is_read_back_as_it_was() {
        let odd = "/\u{1}\t\"\\ é \u{7f}/";
        assert_eq!(lines(&[entry(odd)])[0]["path"], odd);
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
    fn a_line_longer_than_an_ordinary_one_is_whole() {
        let long = format!("/{}", "x".repeat(5000));
        assert_eq!(lines(&[entry(&long)])[0]["path"], long);
    }
}
