//! Sign-ins in Redis: a record for each, and an index for each user.
//!
//! A session enters the index before its record is written and leaves it after the record is gone, so that "sign out everywhere" finds every session
//! there is, whatever stops between the two steps. An entry without a record is dropped when the user's sessions are listed.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use redis::cmd;
use uuid::Uuid;

use super::link::Ask;
use super::{MARGIN, Redis, millis, record};
use crate::model::clock::Timestamp;
use crate::model::session::{Amr, Session, SessionId};
use crate::model::user::{Epoch, UserId};
use crate::store::StoreError;
use crate::store::sessions::{Bookmark, Page, Rotate, Rotation, SessionStore};

/// Questions under way at once when a user has many sessions: enough to fill a round trip, few enough to leave room for others.
pub(super) const AT_ONCE: usize = 128;

/// A session younger than this may be in the middle of being opened, in the index and not yet written.
const BEING_OPENED: Duration = Duration::from_secs(60);

#[async_trait]
impl SessionStore for Redis {
    async fn open(&self, session: &Session) -> Result<(), StoreError> {
        self.enter_index(session, session.created_at).await?;
        let mut set = cmd("SET");
        set.arg(record_key(session.id))
            .arg(record::encode(session))
            .arg("PXAT")
            .arg(session.idle_expires_at.plus(MARGIN).as_millis());
        self.ask(&set).await
    }

    async fn find(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        let found: Option<Vec<u8>> = self.ask(cmd("GET").arg(record_key(id))).await?;
        found.map(|record| self.decode(id, &record)).transpose()
    }

    async fn rotate(&self, request: &Rotate) -> Result<Rotation, StoreError> {
        let key = record_key(request.id);
        let mut rotate = self.scripts.rotate.key(&key);
        rotate
            .arg(request.nonce_hash.as_slice())
            .arg(request.presented.0)
            .arg(request.now.as_millis())
            .arg(millis(request.reuse_window))
            .arg(millis(request.idle))
            .arg(millis(MARGIN));
        // Asking again after a lost answer is a repeat inside the window, which is answered with the same successor.
        let (verdict, record): (String, Option<Vec<u8>>) = self.verdict(Ask::Script(&rotate, &key)).await?;
        let session = |record: Option<Vec<u8>>| self.decode(request.id, &record.unwrap_or_default());
        match verdict.as_str() {
            "rotated" => session(record).map(Rotation::Rotated),
            "repeated" => session(record).map(Rotation::Repeated),
            "replaced" => session(record).map(Rotation::Replaced),
            "unknown" => Ok(Rotation::Unknown),
            "reused" => {
                let session = session(record)?;
                self.leave_index(session.user, &[session.id]).await;
                Ok(Rotation::Reused(session))
            }
            "expired" => {
                let session = session(record)?;
                self.leave_index(session.user, &[session.id]).await;
                Ok(Rotation::Expired)
            }
            _ => Err(self.damaged("a session")),
        }
    }

    async fn of_user(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        let ids = self.indexed(user).await?;
        let found: Vec<(SessionId, Option<Session>)> = stream::iter(ids)
            .map(|id| async move { Ok::<_, StoreError>((id, SessionStore::find(self, id).await?)) })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let gone = |(id, session): &(SessionId, Option<Session>)| {
            let settled = now.since(id.opened_at()) > BEING_OPENED;
            (session.is_none() && settled).then_some(*id)
        };
        let gone: Vec<SessionId> = found.iter().filter_map(gone).collect();
        self.leave_index(user, &gone).await;
        let mut live: Vec<Session> = found.into_iter().filter_map(|(_, session)| session).collect();
        live.retain(|session| !session.is_over(now));
        live.sort_by_key(|session| std::cmp::Reverse((session.created_at, session.id)));
        Ok(live)
    }

    async fn end(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        let found: Option<Vec<u8>> = self.ask_once(cmd("GETDEL").arg(record_key(id))).await?;
        let Some(record) = found else { return Ok(None) };
        let session = self.decode(id, &record)?;
        self.leave_index(session.user, &[id]).await;
        Ok(Some(session))
    }

    async fn end_all(&self, user: UserId, except: Option<SessionId>) -> Result<Vec<SessionId>, StoreError> {
        let mut ids = self.indexed(user).await?;
        ids.retain(|id| Some(*id) != except);
        let ended: Vec<Option<SessionId>> = stream::iter(ids)
            .map(|id| async move {
                let gone: u32 = self.ask_once(cmd("UNLINK").arg(record_key(id))).await?;
                Ok::<_, StoreError>((gone > 0).then_some(id))
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let ended: Vec<SessionId> = ended.into_iter().flatten().collect();
        self.leave_index(user, &ended).await;
        Ok(ended)
    }

    async fn move_to_epoch(&self, id: SessionId, epoch: Epoch) -> Result<bool, StoreError> {
        let key = record_key(id);
        let mut script = self.scripts.epoch.key(&key);
        script.arg(epoch.0);
        self.send(Ask::Script(&script, &key), true).await
    }

    /// What is written anew is written by nobody else, so it may rest on a record that is rotated meanwhile.
    async fn prove(&self, id: SessionId, auth_time: Timestamp, amr: &[Amr]) -> Result<Option<Session>, StoreError> {
        let Some(session) = SessionStore::find(self, id).await? else {
            return Ok(None);
        };
        let proven = Session {
            auth_time,
            amr: amr.to_vec(),
            ..session
        };
        let key = record_key(id);
        let mut script = self.scripts.prove.key(&key);
        script.arg(record::encode_proof(&proven));
        let record: Option<Vec<u8>> = self.send(Ask::Script(&script, &key), true).await?;
        record.map(|record| self.decode(id, &record)).transpose()
    }

    async fn page(&self, from: &Bookmark, limit: u32) -> Result<Page, StoreError> {
        self.walk(from, limit).await
    }

    /// The server counts keys of all kinds together.
    async fn tally(&self) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    async fn adopt(&self, session: &Session, now: Timestamp) -> Result<bool, StoreError> {
        self.enter_index(session, now).await?;
        let key = record_key(session.id);
        let mut adopt = self.scripts.adopt.key(&key);
        adopt
            .arg(record::encode(session))
            .arg(session.current.0)
            .arg(session.idle_expires_at.plus(MARGIN).as_millis());
        self.send(Ask::Script(&adopt, &key), true).await
    }

    /// Nothing is left to do: each record and each index ends by itself.
    async fn purge(&self, _now: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.touch().await
    }
}

impl Redis {
    async fn enter_index(&self, session: &Session, now: Timestamp) -> Result<(), StoreError> {
        let key = index_key(session.user);
        let mut index = self.scripts.index.key(&key);
        index
            .arg(session.id.0.as_bytes().as_slice())
            .arg(session.expires_at.as_millis())
            .arg(now.as_millis())
            .arg(millis(MARGIN));
        self.send(Ask::Script(&index, &key), true).await
    }

    fn decode(&self, id: SessionId, record: &[u8]) -> Result<Session, StoreError> {
        record::decode(id, record).ok_or_else(|| self.damaged("a session"))
    }

    /// The answer of a script that leaves its second half out when there is nothing to say.
    async fn verdict(&self, ask: Ask<'_>) -> Result<(String, Option<Vec<u8>>), StoreError> {
        let mut answer: Vec<Vec<u8>> = self.send(ask, true).await?;
        let record = if answer.len() > 1 { answer.pop() } else { None };
        let verdict = answer.pop().and_then(|verdict| String::from_utf8(verdict).ok());
        Ok((verdict.unwrap_or_default(), record))
    }

    /// Every session that the index of a user names.
    async fn indexed(&self, user: UserId) -> Result<Vec<SessionId>, StoreError> {
        let members: Vec<Vec<u8>> = self.ask(cmd("ZRANGE").arg(index_key(user)).arg(0).arg(-1)).await?;
        let ids = members.iter().map(|member| Uuid::from_slice(member).map(SessionId));
        ids.collect::<Result<_, _>>()
            .map_err(|_| self.damaged("an index of sessions"))
    }

    /// Takes sessions that are gone out of their user's index. What fails here is made up for by the next listing, and by the index's own end.
    async fn leave_index(&self, user: UserId, gone: &[SessionId]) {
        for some in gone.chunks(1000) {
            let mut leave = cmd("ZREM");
            leave.arg(index_key(user));
            for id in some {
                leave.arg(id.0.as_bytes().as_slice());
            }
            if self.ask::<()>(&leave).await.is_err() {
                return;
            }
        }
    }
}

/// What the keys of records begin with.
pub(super) const RECORDS: &str = "gw:s:";

fn record_key(id: SessionId) -> String {
    format!("{RECORDS}{}", id.0.simple())
}

fn index_key(user: UserId) -> String {
    format!("gw:u:{}", user.0.simple())
}
