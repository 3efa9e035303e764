//! Sign-ins in SQLite.
//!
//! Rotation reads the record, judges it, and writes under the condition that the current generation is still the one that was judged; if it is not,
//! somebody else was faster and it is judged again. Whatever a judgement rests on changes only together with that generation, so the condition is enough.
//! A repeat, by far the most frequent answer under a race, writes nothing and takes no lock; a rotation is one statement.
//!
//! A rotation does not wait for the disk. Power that fails just after it leaves the record a generation behind its token, which the store then accepts as
//! it accepts any token ahead (`Rotate::judge`); an end, which no token can bring back, does wait.

use async_trait::async_trait;
use sqlx::query;
use uuid::Uuid;

use super::Durability::{Lax, Synced};
use super::columns::{bytes, millis, words};
use super::{Query, Sqlite};
use crate::model::clock::Timestamp;
use crate::model::credential::Account;
use crate::model::session::{Amr, Generation, Session, SessionId};
use crate::model::user::{Epoch, UserId};
use crate::store::StoreError;
use crate::store::pair::{Pair, PairStore};
use crate::store::sessions::{Bookmark, Page, Rotate, Rotation, SessionStore};

macro_rules! insert_session {
    ($conflict:literal) => {
        concat!(
            "INSERT INTO sessions (id, user_id, epoch, created_at, last_used_at, expires_at, idle_expires_at, auth_time,
                 amr, ip, user_agent, nonce_hash, current_generation, previous_generation, rotated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            $conflict
        )
    };
}

#[async_trait]
impl SessionStore for Sqlite {
    async fn open(&self, session: &Session) -> Result<(), StoreError> {
        self.change(Synced, insert(session, INSERT)).await.map(|_| ())
    }

    async fn find(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.read_one(query("SELECT * FROM sessions WHERE id = ?1").bind(bytes(id.0)))
            .await
    }

    async fn rotate(&self, request: &Rotate) -> Result<Rotation, StoreError> {
        self.rotate_from(request, None).await
    }

    async fn rotate_seen(&self, request: &Rotate, seen: Session) -> Result<Rotation, StoreError> {
        self.rotate_from(request, Some(seen)).await
    }

    async fn of_user(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        let live = query(
            "SELECT * FROM sessions WHERE user_id = ?1 AND idle_expires_at > ?2 AND expires_at > ?2
             ORDER BY created_at DESC, id DESC",
        )
        .bind(bytes(user.0))
        .bind(millis(now));
        self.read(live).await
    }

    async fn end(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        let delete = query("DELETE FROM sessions WHERE id = ?1 RETURNING *").bind(bytes(id.0));
        Ok(self.change_returning(Synced, delete).await?.pop())
    }

    async fn end_all(&self, user: UserId, except: Option<SessionId>) -> Result<Vec<SessionId>, StoreError> {
        let delete = query("DELETE FROM sessions WHERE user_id = ?1 AND id IS NOT ?2 RETURNING id")
            .bind(bytes(user.0))
            .bind(except.map(|id| bytes(id.0)));
        self.change_returning(Synced, delete).await
    }

    async fn move_to_epoch(&self, id: SessionId, epoch: Epoch) -> Result<bool, StoreError> {
        let update = query("UPDATE sessions SET epoch = ?2 WHERE id = ?1")
            .bind(bytes(id.0))
            .bind(i64::from(epoch.0));
        Ok(self.change(Synced, update).await? > 0)
    }

    async fn prove(&self, id: SessionId, auth_time: Timestamp, amr: &[Amr]) -> Result<Option<Session>, StoreError> {
        let update = query("UPDATE sessions SET auth_time = ?2, amr = ?3 WHERE id = ?1 RETURNING *")
            .bind(bytes(id.0))
            .bind(millis(auth_time))
            .bind(words(amr.iter().map(|amr| amr.0.as_str())));
        Ok(self.change_returning(Synced, update).await?.pop())
    }

    /// A bookmark is the id, in hex, that was seen last.
    async fn page(&self, from: &Bookmark, limit: u32) -> Result<Page, StoreError> {
        let after = Uuid::parse_str(&from.0).map(bytes).unwrap_or_default();
        let page = query("SELECT * FROM sessions WHERE id > ?1 ORDER BY id LIMIT ?2");
        let sessions: Vec<Session> = self.read(page.bind(after).bind(i64::from(limit))).await?;
        let next = sessions
            .last()
            .map(|session| Bookmark(session.id.0.simple().to_string()));
        Ok(Page { sessions, next })
    }

    async fn tally(&self) -> Result<Option<u64>, StoreError> {
        self.count_rows(query("SELECT count(*) FROM sessions")).await.map(Some)
    }

    async fn adopt(&self, session: &Session, _now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.change(Synced, insert(session, UNLESS_AS_FAR)).await? > 0)
    }

    async fn purge(&self, now: Timestamp) -> Result<u64, StoreError> {
        // `idle_expires_at` never lies after `expires_at`, so its index finds them all.
        let some = "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE idle_expires_at <= ?1 LIMIT 500)";
        self.purge_in_turns(Lax, some, now).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.touch().await
    }
}

#[async_trait]
impl PairStore for Sqlite {
    async fn find_pair(&self, id: SessionId) -> Result<Option<Pair>, StoreError> {
        let both = query(
            "SELECT sessions.*, users.id AS owner_id, users.email AS owner_email, users.roles AS owner_roles,
                 users.password AS owner_password, users.created_at AS owner_created_at,
                 users.disabled_at AS owner_disabled_at, users.epoch AS owner_epoch,
                 users.confirmation AS owner_confirmation
             FROM sessions LEFT JOIN users ON users.id = sessions.user_id WHERE sessions.id = ?1",
        );
        self.read_one(both.bind(bytes(id.0))).await
    }

    /// The second statement sees what was committed before the first one or by it, whoever committed it.
    async fn open_pair(&self, session: &Session) -> Result<Option<Account>, StoreError> {
        let accounts = self.in_one_trip(insert(session, INSERT_AND_READ)).await?;
        self.endure(Synced).await?;
        Ok(accounts.into_iter().next())
    }
}

impl Sqlite {
    /// What is written is written only onto the record that was judged, so a record seen earlier does as well as a fresh one. A verdict that writes
    /// nothing proves nothing: it is given on a fresh record alone.
    async fn rotate_from(&self, request: &Rotate, mut seen: Option<Session>) -> Result<Rotation, StoreError> {
        loop {
            let is_fresh = seen.is_none();
            let session = match seen.take() {
                Some(session) => session,
                None => match SessionStore::find(self, request.id).await? {
                    Some(session) => session,
                    None => return Ok(Rotation::Unknown),
                },
            };
            let judged = session.current;
            let verdict = request.judge(session);
            let kept = match &verdict {
                Rotation::Rotated(session) | Rotation::Replaced(session) => {
                    self.change(Lax, update_if(session, judged)).await? > 0
                }
                Rotation::Reused(_) | Rotation::Expired => {
                    self.change(Synced, delete_if(request.id, judged)).await? > 0
                }
                Rotation::Repeated(_) | Rotation::Unknown => is_fresh,
            };
            if kept {
                return Ok(verdict);
            }
        }
    }
}

/// A new session, whose id nobody has.
const INSERT: &str = insert_session!("");
/// The same, and who it is of.
const INSERT_AND_READ: &str = insert_session!("; SELECT * FROM users WHERE id = ?2");
/// One of another store, unless the one that is here is of the same generation or a later one.
const UNLESS_AS_FAR: &str = insert_session!(
    " ON CONFLICT (id) DO UPDATE SET
          epoch = excluded.epoch, last_used_at = excluded.last_used_at, idle_expires_at = excluded.idle_expires_at,
          current_generation = excluded.current_generation, previous_generation = excluded.previous_generation,
          rotated_at = excluded.rotated_at
      WHERE excluded.current_generation > current_generation"
);

fn insert<'q>(session: &'q Session, statement: &'static str) -> Query<'q> {
    query(statement)
        .bind(bytes(session.id.0))
        .bind(bytes(session.user.0))
        .bind(i64::from(session.epoch.0))
        .bind(millis(session.created_at))
        .bind(millis(session.last_used_at))
        .bind(millis(session.expires_at))
        .bind(millis(session.idle_expires_at))
        .bind(millis(session.auth_time))
        .bind(words(session.amr.iter().map(|amr| amr.0.as_str())))
        .bind(session.ip.map(|ip| ip.to_string()))
        .bind(&session.user_agent)
        .bind(session.nonce_hash.as_slice())
        .bind(i64::from(session.current.0))
        .bind(session.previous.map(|generation| i64::from(generation.0)))
        .bind(millis(session.rotated_at))
}

fn update_if(session: &Session, judged: Generation) -> Query<'_> {
    query(
        "UPDATE sessions SET current_generation = ?3, previous_generation = ?4, rotated_at = ?5, last_used_at = ?6,
             idle_expires_at = ?7
         WHERE id = ?1 AND current_generation = ?2",
    )
    .bind(bytes(session.id.0))
    .bind(i64::from(judged.0))
    .bind(i64::from(session.current.0))
    .bind(session.previous.map(|generation| i64::from(generation.0)))
    .bind(millis(session.rotated_at))
    .bind(millis(session.last_used_at))
    .bind(millis(session.idle_expires_at))
}

fn delete_if(id: SessionId, judged: Generation) -> Query<'static> {
    query("DELETE FROM sessions WHERE id = ?1 AND current_generation = ?2")
        .bind(bytes(id.0))
        .bind(i64::from(judged.0))
}
