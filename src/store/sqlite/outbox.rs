//! Letters in SQLite.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::query;
use uuid::Uuid;

use super::Durability::Synced;
use super::Sqlite;
use super::columns::{bytes, millis};
use crate::model::clock::Timestamp;
use crate::store::StoreError;
use crate::store::outbox::{Letter, Outbox};

#[async_trait]
impl Outbox for Sqlite {
    async fn post(&self, letter: &Letter) -> Result<(), StoreError> {
        let insert = query(
            "INSERT INTO letters (id, sealed, created_at, due_at, attempts) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
        )
        .bind(bytes(letter.id))
        .bind(&letter.sealed)
        .bind(millis(letter.created_at))
        .bind(millis(letter.due_at))
        .bind(i64::from(letter.attempts));
        self.change(Synced, insert).await.map(|_| ())
    }

    async fn claim(&self, now: Timestamp, lease: Duration, limit: u32) -> Result<Vec<Letter>, StoreError> {
        // Looking costs no turn to write, and mostly there is nothing.
        let due = query("SELECT EXISTS (SELECT 1 FROM letters WHERE due_at <= ?1)").bind(millis(now));
        if self.read_one::<i64>(due).await? != Some(1) {
            return Ok(Vec::new());
        }
        let claim = query(
            "UPDATE letters SET due_at = ?2, attempts = attempts + 1
             WHERE id IN (SELECT id FROM letters WHERE due_at <= ?1 ORDER BY due_at, id LIMIT ?3) RETURNING *",
        )
        .bind(millis(now))
        .bind(millis(now.plus(lease)))
        .bind(i64::from(limit));
        let mut letters: Vec<Letter> = self.change_returning(Synced, claim).await?;
        letters.sort_by_key(|letter| letter.id);
        Ok(letters)
    }

    async fn put_off(&self, id: Uuid, until: Timestamp) -> Result<bool, StoreError> {
        let update = query("UPDATE letters SET due_at = ?2 WHERE id = ?1")
            .bind(bytes(id))
            .bind(millis(until));
        Ok(self.change(Synced, update).await? > 0)
    }

    async fn take_out(&self, id: Uuid) -> Result<bool, StoreError> {
        let delete = query("DELETE FROM letters WHERE id = ?1").bind(bytes(id));
        Ok(self.change(Synced, delete).await? > 0)
    }

    async fn waiting(&self) -> Result<u64, StoreError> {
        self.count_rows(query("SELECT count(*) FROM letters")).await
    }
}
