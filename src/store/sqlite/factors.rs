//! Factors in SQLite.

use async_trait::async_trait;
use sqlx::query;

use super::Durability::Synced;
use super::accounts::{claim_email, insert_user};
use super::columns::{bytes, count, millis};
use super::{Change, Query, Sqlite};
use crate::model::clock::Timestamp;
use crate::model::credential::Account;
use crate::model::factor::{Factor, FactorId, FactorKind, Link};
use crate::model::user::UserId;
use crate::store::StoreError;
use crate::store::factors::{Advance, Attached, Detached, FactorStore};

#[async_trait]
impl FactorStore for Sqlite {
    async fn found(&self, account: &Account, factors: &[Factor]) -> Result<Attached, StoreError> {
        let mut change = self.begin().await?;
        change.execute(insert_user(account)).await?;
        if change.execute(claim_email(account)).await? == 0 {
            change.roll_back().await?;
            return Ok(Attached::EmailTaken);
        }
        for factor in factors {
            let attached = attach(&mut change, factor).await?;
            if attached != Attached::Attached {
                change.roll_back().await?;
                return Ok(attached);
            }
        }
        change.commit().await?;
        self.endure(Synced).await?;
        Ok(Attached::Attached)
    }

    async fn attach(&self, factor: &Factor) -> Result<Attached, StoreError> {
        let mut change = self.begin().await?;
        let attached = attach(&mut change, factor).await?;
        if attached != Attached::Attached {
            change.roll_back().await?;
            return Ok(attached);
        }
        change.commit().await?;
        self.endure(Synced).await?;
        Ok(attached)
    }

    async fn of_user(&self, user: UserId) -> Result<Vec<Factor>, StoreError> {
        self.read(query("SELECT * FROM factors WHERE user_id = ?1 ORDER BY created_at, id").bind(bytes(user.0)))
            .await
    }

    async fn linked(&self, link: &Link) -> Result<Option<UserId>, StoreError> {
        self.read_one(query("SELECT user_id FROM factors WHERE link = ?1").bind(link.0.to_vec()))
            .await
    }

    async fn advance(&self, user: UserId, id: FactorId, to: u64, now: Timestamp) -> Result<Advance, StoreError> {
        let update = query(
            "UPDATE factors SET counter = ?3, used_at = ?4
             WHERE user_id = ?1 AND id = ?2 AND (counter < ?3 OR (counter = 0 AND ?3 = 0))",
        )
        .bind(bytes(user.0))
        .bind(bytes(id.0))
        .bind(count(to))
        .bind(millis(now));
        if self.change(Synced, update).await? > 0 {
            return Ok(Advance::Advanced);
        }
        let stands = query("SELECT counter FROM factors WHERE user_id = ?1 AND id = ?2")
            .bind(bytes(user.0))
            .bind(bytes(id.0));
        let stands: Option<i64> = self.read_one(stands).await?;
        Ok(stands.map_or(Advance::Gone, |stands| Advance::Behind {
            stands: u64::try_from(stands).unwrap_or_default(),
        }))
    }

    async fn replace(&self, user: UserId, kind: FactorKind, by: &[Factor]) -> Result<bool, StoreError> {
        let mut change = self.begin().await?;
        if !is_there(&mut change, user).await? {
            change.roll_back().await?;
            return Ok(false);
        }
        let delete = query("DELETE FROM factors WHERE user_id = ?1 AND kind = ?2")
            .bind(bytes(user.0))
            .bind(kind.name());
        change.execute(delete).await?;
        for factor in by {
            change.execute(insert(factor)).await?;
        }
        change.commit().await?;
        self.endure(Synced).await?;
        Ok(true)
    }

    async fn detach(&self, user: UserId, id: FactorId) -> Result<bool, StoreError> {
        Ok(self.change(Synced, delete(user, id)).await? > 0)
    }

    async fn detach_but_last(&self, user: UserId, id: FactorId, of: &[FactorKind]) -> Result<Detached, StoreError> {
        let mut change = self.begin().await?;
        let others = query("SELECT kind FROM factors WHERE user_id = ?1 AND id <> ?2")
            .bind(bytes(user.0))
            .bind(bytes(id.0));
        let others: Vec<FactorKind> = change.fetch(others).await?;
        if change.execute(delete(user, id)).await? == 0 {
            change.roll_back().await?;
            return Ok(Detached::Gone);
        }
        if !others.iter().any(|kind| of.contains(kind)) {
            change.roll_back().await?;
            return Ok(Detached::Last);
        }
        change.commit().await?;
        self.endure(Synced).await?;
        Ok(Detached::Detached)
    }

    async fn rename(&self, user: UserId, id: FactorId, label: &str) -> Result<bool, StoreError> {
        let update = query("UPDATE factors SET label = ?3 WHERE user_id = ?1 AND id = ?2")
            .bind(bytes(user.0))
            .bind(bytes(id.0))
            .bind(label);
        Ok(self.change(Synced, update).await? > 0)
    }
}

fn delete(user: UserId, id: FactorId) -> Query<'static> {
    query("DELETE FROM factors WHERE user_id = ?1 AND id = ?2")
        .bind(bytes(user.0))
        .bind(bytes(id.0))
}

async fn attach(change: &mut Change<'_>, factor: &Factor) -> Result<Attached, StoreError> {
    if !is_there(change, factor.user).await? {
        return Ok(Attached::NoUser);
    }
    if change.execute(insert(factor)).await? > 0 {
        return Ok(Attached::Attached);
    }
    let same = query("SELECT count(*) FROM factors WHERE user_id = ?1 AND id = ?2")
        .bind(bytes(factor.user.0))
        .bind(bytes(factor.id.0));
    let same: Option<i64> = change.fetch(same).await?.pop();
    Ok(if same == Some(1) {
        Attached::There
    } else {
        Attached::LinkTaken
    })
}

async fn is_there(change: &mut Change<'_>, user: UserId) -> Result<bool, StoreError> {
    let users = query("SELECT count(*) FROM users WHERE id = ?1").bind(bytes(user.0));
    let users: Option<i64> = change.fetch(users).await?.pop();
    Ok(users == Some(1))
}

/// Changes nothing where its id or its link is there already.
fn insert(factor: &Factor) -> Query<'_> {
    query(
        "INSERT INTO factors (user_id, id, kind, label, sealed, link, counter, created_at, used_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
    )
    .bind(bytes(factor.user.0))
    .bind(bytes(factor.id.0))
    .bind(factor.kind.name())
    .bind(&factor.label)
    .bind(&factor.sealed)
    .bind(factor.link.map(|link| link.0.to_vec()))
    .bind(count(factor.counter))
    .bind(millis(factor.created_at))
    .bind(factor.used_at.map(millis))
}
