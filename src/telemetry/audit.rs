//! Security events, one JSON object a line, written by a thread of its own.

use crate::model::caller::Caller;
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
pub struct Audit {}

impl Audit {
    /// Writes an event; never waits for the disk.
    pub fn record(&self, event: Event<'_>) {
        let _ = event;
        todo!()
    }
}
