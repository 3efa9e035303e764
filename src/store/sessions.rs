//! Sign-ins and the rotation of their refresh tokens.
//!
//! | the presented generation is | what comes of it |
//! |---|---|
//! | the current one, or one ahead of it (the store lost a write) | it is rotated: previous from now on, and the one after it is current |
//! | the previous one, within `reuse_window` (tabs that raced, an answer that got lost) | it is repeated: the same current one |
//! | the previous one, later (its answer got lost, or somebody else has it) | the current one is replaced by the next, and so skipped |
//! | anything older, or a skipped one | it is reused: the session ends |

use std::time::Duration;

use async_trait::async_trait;
use subtle::ConstantTimeEq;

use super::StoreError;
use crate::model::clock::Timestamp;
use crate::model::session::{Amr, Generation, Session, SessionId};
use crate::model::user::{Epoch, UserId};

/// A refresh token whose MAC was found genuine, asking for its successor.
#[derive(Clone, Debug)]
pub struct Rotate {
    /// The session it names.
    pub id: SessionId,
    /// SHA-256 of its nonce.
    pub nonce_hash: [u8; 32],
    /// Its generation.
    pub presented: Generation,
    /// The present moment.
    pub now: Timestamp,
    /// How long the previous generation is answered with the current one.
    pub reuse_window: Duration,
    /// How much longer the session may then stay unused.
    pub idle: Duration,
}

impl Rotate {
    /// The table above as one pure step: what comes of this request when the store holds `session`. A backend keeps what it says in the
    /// same atomic step: the new record of `Rotated` and `Replaced`, the end of `Reused` and `Expired`, nothing otherwise.
    pub(super) fn judge(&self, session: Session) -> Rotation {
        let same_nonce: bool = session.nonce_hash.ct_eq(&self.nonce_hash).into();
        if !same_nonce {
            return Rotation::Unknown;
        }
        if session.is_over(self.now) {
            return Rotation::Expired;
        }
        if self.presented >= session.current {
            return Rotation::Rotated(Session {
                previous: Some(self.presented),
                current: self.presented.next(),
                ..self.used(session)
            });
        }
        if session.previous != Some(self.presented) {
            return Rotation::Reused(session);
        }
        if self.now.since(session.rotated_at) < self.reuse_window {
            return Rotation::Repeated(session);
        }
        Rotation::Replaced(Session {
            current: session.current.next(),
            ..self.used(session)
        })
    }

    fn used(&self, session: Session) -> Session {
        Session {
            last_used_at: self.now,
            rotated_at: self.now,
            idle_expires_at: self.now.plus(self.idle).min(session.expires_at),
            ..session
        }
    }
}

/// What came of it. The session is as it stands afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The current one was presented (or one ahead of it, which proves that the store lost writes): previous = presented, current = presented + 1.
    Rotated(Session),
    /// The previous one, inside the window: nothing changed.
    Repeated(Session),
    /// The previous one, later: current = current + 1, previous stays.
    Replaced(Session),
    /// An older one, or a skipped one: the session was ended in the same step. It is given as it was.
    Reused(Session),
    /// The session's time was over; it was ended.
    Expired,
    /// No such session, or another nonce: nothing changed.
    Unknown,
}

/// A place in a walk over all sessions; the default one is its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bookmark(pub String);

/// A piece of that walk.
#[derive(Clone, Debug)]
pub struct Page {
    /// Some sessions, whether or not their time is over; there may be none although the walk goes on.
    pub sessions: Vec<Session>,
    /// Where to go on; `None` at the end.
    pub next: Option<Bookmark>,
}

/// Sign-ins.
#[async_trait]
pub trait SessionStore: Send + Sync + std::fmt::Debug {
    /// Keeps a new session.
    async fn open(&self, session: &Session) -> Result<(), StoreError>;
    /// The session of an id, whether or not its time is over.
    async fn find(&self, id: SessionId) -> Result<Option<Session>, StoreError>;
    /// Judges a refresh token and rotates, in one atomic step on the session's record. Refreshing moves `last_used_at` and `idle_expires_at`.
    async fn rotate(&self, request: &Rotate) -> Result<Rotation, StoreError>;
    /// The same, for whoever has just read the record: a backend that would read it first may begin with what was seen, and must find out when that is
    /// out of date.
    async fn rotate_seen(&self, request: &Rotate, _seen: Session) -> Result<Rotation, StoreError> {
        self.rotate(request).await
    }
    /// A user's sessions whose time is not over, newest first.
    async fn of_user(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>, StoreError>;
    /// Ends a session and returns it. `None`: there was none.
    async fn end(&self, id: SessionId) -> Result<Option<Session>, StoreError>;
    /// Ends a user's sessions, all `except` one, and returns the ids of those ended.
    async fn end_all(&self, user: UserId, except: Option<SessionId>) -> Result<Vec<SessionId>, StoreError>;
    /// Lets one session live on in a new epoch of its user. `false`: no such session.
    async fn move_to_epoch(&self, id: SessionId, epoch: Epoch) -> Result<bool, StoreError>;
    /// Notes that the person has proved themselves once more, when and how; returns the session as it stands then. `None`: no such session.
    async fn prove(&self, id: SessionId, auth_time: Timestamp, amr: &[Amr]) -> Result<Option<Session>, StoreError>;
    /// About `limit` sessions from `from` on, in an order of the store's own. Whoever walks to the end sees each session that was there all the while at
    /// least once: for a move to another store.
    async fn page(&self, from: &Bookmark, limit: u32) -> Result<Page, StoreError>;
    /// How many sessions there are, where that is told without walking over them.
    async fn tally(&self) -> Result<Option<u64>, StoreError>;
    /// Keeps a session as another store had it, unless it is here already and has come as far. `false`: it was.
    async fn adopt(&self, session: &Session, now: Timestamp) -> Result<bool, StoreError>;
    /// Takes sessions away whose time is over; returns how many. Stops early when there are very many, so that others get their turn: the next call
    /// goes on.
    async fn purge(&self, now: Timestamp) -> Result<u64, StoreError>;
    /// A cheap question that shows whether the store answers.
    async fn ping(&self) -> Result<(), StoreError>;
}
