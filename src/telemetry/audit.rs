//! Security events, one JSON object a line, written by a thread of its own.
//!
//! Recording never waits and works on any thread. Whoever answers somebody waits for `written` first, so that a crash right after an answer takes no event
//! back: what the system has been given outlives the process. What the disk refuses is kept and tried again, and dropping the `Audit` (or `flush`) writes
//! what is left; only when the disk has refused for so long that 64 MiB are waiting are events lost, and then they are counted.

use std::io;
use std::net::IpAddr;

use prometheus_client::metrics::counter::Counter;
use serde::Serialize;

use super::Metrics;
use super::moment;
use super::writer::{Care, Writer};
use crate::config::LogTarget;
use crate::model::caller::Caller;
use crate::model::clock::{Clock, SystemClock, Timestamp};
use crate::model::session::SessionId;
use crate::model::user::UserId;

/// Something that somebody may have to answer for.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// What happened, as a dotted word (`login.succeeded`, `login.refused`, `refresh.reused`, `session.ended`, `key.rotated` …).
    pub what: &'static str,
    /// On whose request; `None` for what the gateway or an operator did.
    pub caller: Option<&'a Caller>,
    /// Whose account.
    pub user: Option<UserId>,
    /// Which session.
    pub session: Option<SessionId>,
    /// Why, or what exactly; never a secret, a password, a token.
    pub detail: &'a str,
}

/// Where audit events go.
#[derive(Debug)]
pub struct Audit {
    writer: Writer,
}

impl Audit {
    /// Opens the target.
    ///
    /// # Errors
    /// A file that cannot be made or appended to.
    pub fn open(target: &LogTarget) -> io::Result<Self> {
        let writer = Writer::open(target, Care::Careful, Counter::default())?;
        Ok(Self { writer })
    }

    /// Opens the target; should events be lost, they count in `metrics`.
    ///
    /// # Errors
    /// A file that cannot be made or appended to.
    pub fn open_counted(target: &LogTarget, metrics: &Metrics) -> io::Result<Self> {
        let writer = Writer::open(target, Care::Careful, metrics.lost_lines("audit"))?;
        Ok(Self { writer })
    }

    /// A log that keeps nothing.
    pub const fn off() -> Self {
        Self { writer: Writer::off() }
    }

    /// Writes an event; never waits for the disk.
    pub fn record(&self, event: Event<'_>) {
        if !self.writer.is_on() {
            return;
        }
        let mut bytes = Vec::with_capacity(512);
        if serde_json::to_writer(&mut bytes, &Line::new(SystemClock.now(), &event)).is_ok() {
            bytes.push(b'\n');
            self.writer.append(&bytes);
        }
    }

    /// Waits until everything recorded so far would outlive this process; not for a disk that refuses or hangs.
    pub async fn written(&self) {
        self.writer.written().await;
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

/// The event as it is written. The time is the system's own whatever clock the gateway runs on: an audit log is evidence.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(serialize_with = "moment::serialize")]
    time: Timestamp,
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<SessionId>,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
}

impl<'a> Line<'a> {
    fn new(time: Timestamp, event: &Event<'a>) -> Self {
        let caller = event.caller;
        Self {
            time,
            event: event.what,
            request_id: caller.map(|caller| &*caller.request_id),
            client: caller.map(|caller| caller.ip),
            user_agent: caller.map(|caller| &*caller.user_agent).filter(|text| !text.is_empty()),
            user: event.user,
            session: event.session,
            detail: event.detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::presence::Presence;

    #[test]
    fn an_event_names_request_source_user_and_session() {
        let caller = Caller {
            ip: "2001:db8::1".parse().unwrap(),
            user_agent: "Mozilla \"quoted\"".into(),
            device: None,
            request_id: "r-7".into(),
            presence: Presence::default(),
        };
        let event = Event {
            what: "login.refused",
            caller: Some(&caller),
            user: Some(UserId(Uuid::nil())),
            session: None,
            detail: "wrong password",
        };
        let line = Line::new(Timestamp::from_millis(0), &event);
        assert_eq!(
            serde_json::to_value(line).unwrap(),
            serde_json::json!({
                "time": "1970-01-01T00:00:00.000Z", "event": "login.refused", "request_id": "r-7", "client": "2001:db8::1",
                "user_agent": "Mozilla \"quoted\"", "user": "00000000-0000-0000-0000-000000000000", "detail": "wrong password"
            })
        );
    }

    #[test]
    fn no_event_is_lost_when_many_threads_record_and_the_process_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let audit = Audit::open(&LogTarget::File(path.clone())).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..500).for_each(|_| audit.record(event("session.ended"))));
            }
        });
        drop(audit);
        assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 4000);
    }

    fn event(what: &'static str) -> Event<'static> {
        Event {
            what,
            caller: None,
            user: None,
            session: None,
            detail: "",
        }
    }
}
