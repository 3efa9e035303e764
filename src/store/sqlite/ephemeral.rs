//! Facts that pass, in SQLite: revocations as a numbered stream, counters, remembered names, kept values.
//!
//! Writers come one after the other, so numbers are given in the order of commits and a follower misses nothing. Followers in this process are told at
//! once; what other processes write is noticed by asking SQLite every 50 ms whether the file has changed, which costs a few microseconds.

use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use sqlx::{AssertSqlSafe, SqliteConnection, query};
use tokio::sync::futures::Notified;
use tokio::time::{Instant, sleep};

use super::Durability::{self, Lax, Synced};
use super::columns::{SESSION, TOKEN, USER, bytes, millis};
use super::{Query, Sqlite, fetch};
use crate::model::clock::Timestamp;
use crate::model::session::{SessionId, TokenId};
use crate::model::user::UserId;
use crate::store::StoreError;
use crate::store::ephemeral::{Count, Counter, Cursor, EphemeralStore, News, Revocation, Revoked};

/// How often a follower asks whether another process has changed the file.
const POLL: Duration = Duration::from_millis(50);

#[async_trait]
impl EphemeralStore for Sqlite {
    async fn revoke(&self, revocations: &[Revocation]) -> Result<(), StoreError> {
        if revocations.is_empty() {
            return Ok(());
        }
        // One statement for all of them: all or none, and a million of them is no more round trips than one.
        let insert = query(
            "INSERT INTO revocations (kind, subject, opened_until, until)
             SELECT value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3 FROM json_each(?1) ORDER BY key",
        )
        .bind(written(revocations));
        // Followers are told at once: a revocation that the disk has yet to take is in force already.
        self.change(Lax, insert).await?;
        self.file.news.notify_waiters();
        self.endure(Synced).await
    }

    async fn is_revoked(&self, token: TokenId, session: SessionId, user: UserId) -> Result<bool, StoreError> {
        let question = query(
            "SELECT EXISTS (SELECT 1 FROM revocations WHERE subject = ?1 AND kind = 1)
                 OR EXISTS (SELECT 1 FROM revocations WHERE subject = ?2 AND kind = 2)
                 OR EXISTS (SELECT 1 FROM revocations WHERE subject = ?3 AND kind = 3 AND opened_until >= ?4)",
        )
        .bind(bytes(token.0))
        .bind(bytes(session.0))
        .bind(bytes(user.0))
        .bind(millis(session.opened_at()));
        Ok(self.read_one::<i64>(question).await? == Some(1))
    }

    async fn follow(&self, after: &Cursor, wait: Duration) -> Result<News, StoreError> {
        let deadline = Instant::now() + wait;
        let mut watcher = self.file.watcher().await.map_err(|error| self.failed(error))?;
        loop {
            // Both before the look at the stream, so that whatever is written after that look ends the wait.
            let mut told = pin!(self.file.news.notified());
            told.as_mut().enable();
            let seen = self.data_version(&mut watcher).await?;
            let news = self.news(&mut watcher, after).await?;
            let something = news.gap || news.cursor != *after;
            if something || !self.changed(&mut watcher, seen, told, deadline).await? {
                self.file.keep_watcher(watcher);
                return Ok(news);
            }
        }
    }

    async fn count(&self, key: &str, window: Duration, now: Timestamp) -> Result<Count, StoreError> {
        let counter = Counter {
            key,
            window,
            most: u32::MAX,
            except: None,
        };
        let last = self.count_in_turn(&[counter], now).await?;
        last.map(|counted| counted.count).ok_or_else(|| StoreError::Damaged {
            store: self.store,
            what: "a counter that does not count".to_owned(),
        })
    }

    async fn admit(&self, counters: &[Counter<'_>], now: Timestamp) -> Result<Option<Count>, StoreError> {
        let last = self.count_in_turn(counters, now).await?;
        Ok(last.filter(|counted| counted.refuses).map(|counted| counted.count))
    }

    async fn remember(&self, key: &str, until: Timestamp) -> Result<(), StoreError> {
        let upsert = query(
            "INSERT INTO remembered (name, until) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET until = excluded.until WHERE excluded.until > until",
        )
        .bind(key)
        .bind(millis(until));
        self.change(Lax, upsert).await.map(|_| ())
    }

    async fn remembers(&self, key: &str, now: Timestamp) -> Result<bool, StoreError> {
        let question = query("SELECT EXISTS (SELECT 1 FROM remembered WHERE name = ?1 AND until > ?2)")
            .bind(key)
            .bind(millis(now));
        Ok(self.read_one::<i64>(question).await? == Some(1))
    }

    async fn remembered_until(&self, key: &str) -> Result<Option<Timestamp>, StoreError> {
        let until: Option<i64> = self
            .read_one(query("SELECT until FROM remembered WHERE name = ?1").bind(key))
            .await?;
        Ok(until
            .and_then(|until| u64::try_from(until).ok())
            .map(Timestamp::from_millis))
    }

    async fn keep(&self, key: &str, value: &[u8], until: Timestamp) -> Result<(), StoreError> {
        let upsert = query(
            "INSERT INTO kept (name, value, until) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value, until = excluded.until",
        )
        .bind(key)
        .bind(value)
        .bind(millis(until));
        self.change(Lax, upsert).await.map(|_| ())
    }

    async fn peek(&self, key: &str, now: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        let question = query("SELECT value FROM kept WHERE name = ?1 AND until > ?2")
            .bind(key)
            .bind(millis(now));
        self.read_one(question).await
    }

    async fn take(&self, key: &str, now: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        let delete = query("DELETE FROM kept WHERE name = ?1 AND until > ?2 RETURNING value")
            .bind(key)
            .bind(millis(now));
        // What was taken must not be there again after a power failure.
        Ok(self.change_returning(Synced, delete).await?.pop())
    }

    async fn purge(&self, now: Timestamp) -> Result<u64, StoreError> {
        let revocations = "DELETE FROM revocations WHERE sequence IN
                               (SELECT sequence FROM revocations WHERE until <= ?1 LIMIT 500)";
        let counters = "DELETE FROM counters WHERE name IN (SELECT name FROM counters WHERE resets_at <= ?1 LIMIT 500)";
        let remembered =
            "DELETE FROM remembered WHERE name IN (SELECT name FROM remembered WHERE until <= ?1 LIMIT 500)";
        let kept = "DELETE FROM kept WHERE name IN (SELECT name FROM kept WHERE until <= ?1 LIMIT 500)";
        let mut purged = 0;
        for some in [revocations, counters, remembered, kept] {
            purged += self.purge_in_turns(Lax, some, now).await?;
        }
        Ok(purged)
    }
}

/// A counter after it has counted.
pub(super) struct Counted {
    pub(super) count: Count,
    /// It does not let the attempt pass.
    pub(super) refuses: bool,
}

impl Sqlite {
    /// Counts with one counter after the other, up to the first that refuses; the last one that counted. All in one trip to the connection's thread, and
    /// one commit: a sign-in has three of them to pass, before anything else.
    async fn count_in_turn(&self, counters: &[Counter<'_>], now: Timestamp) -> Result<Option<Counted>, StoreError> {
        let mut statement = query(AssertSqlSafe(counting(counters.len()))).bind(millis(now));
        for counter in counters {
            statement = statement
                .bind(counter.key)
                .bind(millis(now.plus(counter.window)))
                .bind(i64::from(counter.most))
                .bind(counter.except);
        }
        Ok(self.in_one_trip(statement).await?.pop())
    }

    /// Repeats a statement that deletes some of what is over by `now` (?1) until nothing is left or a sixth of a call's time is gone, giving other
    /// writers their turn in between.
    pub(super) async fn purge_in_turns(
        &self,
        durability: Durability,
        some: &'static str,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let deadline = Instant::now() + self.file.limit / 6;
        let mut purged = 0;
        loop {
            let deleted = self.change(durability, query(some).bind(millis(now))).await?;
            purged += deleted;
            if deleted == 0 || Instant::now() >= deadline {
                return Ok(purged);
            }
        }
    }

    /// What the stream holds behind a cursor, as it is now.
    async fn news(&self, watcher: &mut SqliteConnection, after: &Cursor) -> Result<News, StoreError> {
        let end = self.end(watcher).await?;
        let nothing = |cursor, gap| News {
            revocations: Vec::new(),
            cursor,
            gap,
        };
        let Some(place) = Place::of(after, &end) else {
            return Ok(nothing(Cursor::default(), true));
        };
        let cursor = end.cursor();
        if place == end.sequence {
            return Ok(nothing(cursor, false));
        }
        let question = query("SELECT * FROM revocations WHERE sequence > ?1 AND sequence <= ?2 ORDER BY sequence")
            .bind(place)
            .bind(end.sequence);
        let revocations = fetch(watcher, question).await.map_err(|error| error.of(self.store))?;
        Ok(News {
            revocations,
            cursor,
            gap: false,
        })
    }

    async fn end(&self, watcher: &mut SqliteConnection) -> Result<Place, StoreError> {
        let stream = self.ask(watcher, query("SELECT hex(id) FROM stream")).await?;
        let last = query("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'revocations'");
        let sequence = self.ask(watcher, last).await?;
        Ok(Place { stream, sequence })
    }

    /// Waits until the file may hold news; `false` when the deadline came first.
    async fn changed(
        &self,
        watcher: &mut SqliteConnection,
        seen: i64,
        mut told: std::pin::Pin<&mut Notified<'_>>,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            tokio::select! {
                () = told.as_mut() => return Ok(true),
                () = sleep(left.min(POLL)) => {}
            }
            if self.data_version(watcher).await? != seen {
                return Ok(true);
            }
        }
    }

    /// A number that differs from this connection's last one when any other connection has written since.
    async fn data_version(&self, watcher: &mut SqliteConnection) -> Result<i64, StoreError> {
        self.ask(watcher, query("PRAGMA data_version")).await
    }

    /// The one value of a question that always has one.
    async fn ask<T: super::FromColumns>(
        &self,
        watcher: &mut SqliteConnection,
        question: Query<'_>,
    ) -> Result<T, StoreError> {
        let mut values = fetch(watcher, question).await.map_err(|error| error.of(self.store))?;
        values.pop().ok_or_else(|| StoreError::Damaged {
            store: self.store,
            what: "the stream of revocations".to_owned(),
        })
    }
}

/// A place in a stream: written as `STREAM:SEQUENCE`.
struct Place {
    stream: String,
    sequence: i64,
}

impl Place {
    fn cursor(&self) -> Cursor {
        Cursor(format!("{}:{}", self.stream, self.sequence))
    }

    /// The sequence number that a cursor stands at; `None` when it is of another stream, or lies ahead of this one's end.
    fn of(cursor: &Cursor, end: &Self) -> Option<i64> {
        if *cursor == Cursor::default() {
            return Some(0);
        }
        let (stream, sequence) = cursor.0.split_once(':')?;
        let sequence = sequence.parse().ok()?;
        (stream == end.stream && (0..=end.sequence).contains(&sequence)).then_some(sequence)
    }
}

/// The statements that count with so many counters in turn. Of each of them `?1` is now, and four values are its own; each looks for itself whether one
/// before it has refused. A counter stops at what a u32 holds.
fn counting(counters: usize) -> String {
    let mut statements = String::from("BEGIN IMMEDIATE;");
    let mut passed = String::new();
    for number in 0..counters {
        let [name, resets_at, most, except] = [2, 3, 4, 5].map(|value| format!("?{}", 4 * number + value));
        let excepted = format!("EXISTS (SELECT 1 FROM remembered WHERE name = {except} AND until > ?1)");
        statements += &format!(
            "INSERT INTO counters (name, count, resets_at) SELECT {name}, 1, {resets_at} WHERE NOT {excepted}{passed}
             ON CONFLICT (name) DO UPDATE SET
                 count = CASE WHEN resets_at <= ?1 THEN 1 ELSE min(count + 1, 4294967295) END,
                 resets_at = CASE WHEN resets_at <= ?1 THEN {resets_at} ELSE resets_at END
             RETURNING count, resets_at, count > {most} AS refuses;"
        );
        passed +=
            &format!(" AND ({excepted} OR NOT EXISTS (SELECT 1 FROM counters WHERE name = {name} AND count > {most}))");
    }
    statements + "COMMIT"
}

/// Revocations as JSON, one array each: kind, subject in hex, moment of a user's, until.
fn written(revocations: &[Revocation]) -> String {
    let rows = revocations.iter().map(|revocation| {
        let (kind, subject, opened_until) = match revocation.what {
            Revoked::Token(id) => (TOKEN, id.0, None),
            Revoked::Session(id) => (SESSION, id.0, None),
            Revoked::User(id, moment) => (USER, id.0, Some(millis(moment))),
        };
        json!([
            kind,
            subject.simple().to_string(),
            opened_until,
            millis(revocation.until)
        ])
    });
    serde_json::Value::from_iter(rows).to_string()
}
