//! Letters in PostgreSQL.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::query;
use uuid::Uuid;

use super::Postgres;
use super::columns::{id_text, millis};
use crate::model::clock::Timestamp;
use crate::store::StoreError;
use crate::store::outbox::{Letter, Outbox};

#[async_trait]
impl Outbox for Postgres {
    async fn post(&self, letter: &Letter) -> Result<(), StoreError> {
        let insert = query(
            "INSERT INTO letters (id, sealed, created_at, due_at, attempts) VALUES ($1::uuid, $2, $3, $4, $5)
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(id_text(letter.id))
        .bind(&letter.sealed)
        .bind(millis(letter.created_at))
        .bind(millis(letter.due_at))
        .bind(i64::from(letter.attempts));
        self.change(insert).await.map(|_| ())
    }

    async fn claim(&self, now: Timestamp, lease: Duration, limit: u32) -> Result<Vec<Letter>, StoreError> {
        // Who was faster has moved `due_at`: the outer condition is judged anew once the row's lock is ours.
        let claim = query(
            "UPDATE letters SET due_at = $2, attempts = attempts + 1
             WHERE due_at <= $1 AND id IN
                 (SELECT id FROM letters WHERE due_at <= $1 ORDER BY due_at, id LIMIT $3 FOR UPDATE SKIP LOCKED)
             RETURNING id::text AS id, sealed, created_at, due_at, attempts",
        )
        .bind(millis(now))
        .bind(millis(now.plus(lease)))
        .bind(i64::from(limit));
        let mut letters: Vec<Letter> = self.fetch(claim).await?;
        letters.sort_by_key(|letter| letter.id);
        Ok(letters)
    }

    async fn put_off(&self, id: Uuid, until: Timestamp) -> Result<bool, StoreError> {
        let update = query("UPDATE letters SET due_at = $2 WHERE id = $1::uuid")
            .bind(id_text(id))
            .bind(millis(until));
        Ok(self.change(update).await? > 0)
    }

    async fn take_out(&self, id: Uuid) -> Result<bool, StoreError> {
        let delete = query("DELETE FROM letters WHERE id = $1::uuid").bind(id_text(id));
        Ok(self.change(delete).await? > 0)
    }

    async fn waiting(&self) -> Result<u64, StoreError> {
        let count: Option<i64> = self.fetch_one(query("SELECT count(*) FROM letters")).await?;
        Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default())
    }
}
