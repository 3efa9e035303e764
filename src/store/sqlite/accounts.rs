//! Users and signing keys in SQLite.

use async_trait::async_trait;
use sqlx::query;

use super::Durability::Synced;
use super::columns::{bytes, millis, words};
use super::{Query, Sqlite};
use crate::model::clock::Timestamp;
use crate::model::credential::{Account, PasswordHash};
use crate::model::user::{Confirmation, Email, Epoch, Role, User, UserId};
use crate::store::StoreError;
use crate::store::accounts::{AccountStore, Added, Moved, StoredKey};

#[async_trait]
impl AccountStore for Sqlite {
    async fn add(&self, account: &Account) -> Result<Added, StoreError> {
        let mut change = self.begin().await?;
        change.execute(insert_user(account)).await?;
        if change.execute(claim_email(account)).await? == 0 {
            change.roll_back().await?;
            return Ok(Added::EmailTaken);
        }
        change.commit().await?;
        self.endure(Synced).await?;
        Ok(Added::Added)
    }

    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        let by_email = "SELECT users.* FROM emails JOIN users ON users.id = emails.user_id WHERE emails.email = ?1";
        self.read_one(query(by_email).bind(email.as_str())).await
    }

    async fn find(&self, id: UserId) -> Result<Option<Account>, StoreError> {
        self.read_one(query("SELECT * FROM users WHERE id = ?1").bind(bytes(id.0)))
            .await
    }

    async fn list(&self, after: Option<UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
        self.read(page_of_users(after, limit)).await
    }

    async fn accounts(&self, after: Option<UserId>, limit: u32) -> Result<Vec<Account>, StoreError> {
        self.read(page_of_users(after, limit)).await
    }

    async fn tally(&self) -> Result<u64, StoreError> {
        self.count_rows(query("SELECT count(*) FROM users")).await
    }

    async fn replace(&self, account: &Account, seen: Epoch) -> Result<bool, StoreError> {
        let user = &account.user;
        let update = query(
            "UPDATE users SET roles = ?4, password = ?5, created_at = ?6, disabled_at = ?7, epoch = ?8,
                 confirmation = ?9
             WHERE id = ?1 AND email = ?2 AND epoch = ?3",
        )
        .bind(bytes(user.id.0))
        .bind(user.email.as_str())
        .bind(i64::from(seen.0))
        .bind(words(user.roles.iter().map(Role::as_str)))
        .bind(account.password.as_str())
        .bind(millis(user.created_at))
        .bind(user.disabled_at.map(millis))
        .bind(i64::from(user.epoch.0))
        .bind(i64::from(user.confirmation.code()));
        Ok(self.change(Synced, update).await? > 0)
    }

    async fn set_roles(&self, id: UserId, roles: &[Role]) -> Result<Option<User>, StoreError> {
        let update = query("UPDATE users SET roles = ?2 WHERE id = ?1 RETURNING *")
            .bind(bytes(id.0))
            .bind(words(roles.iter().map(Role::as_str)));
        Ok(self.change_returning(Synced, update).await?.pop())
    }

    async fn set_disabled(&self, id: UserId, since: Option<Timestamp>) -> Result<Option<User>, StoreError> {
        let update =
            query("UPDATE users SET disabled_at = ?2, epoch = epoch + (?2 IS NOT NULL) WHERE id = ?1 RETURNING *")
                .bind(bytes(id.0))
                .bind(since.map(millis));
        Ok(self.change_returning(Synced, update).await?.pop())
    }

    async fn change_password(
        &self,
        id: UserId,
        from: &PasswordHash,
        to: &PasswordHash,
    ) -> Result<Option<Epoch>, StoreError> {
        let update =
            query("UPDATE users SET password = ?3, epoch = epoch + 1 WHERE id = ?1 AND password = ?2 RETURNING epoch")
                .bind(bytes(id.0))
                .bind(from.as_str())
                .bind(to.as_str());
        Ok(self.change_returning(Synced, update).await?.pop())
    }

    async fn rehash_password(&self, id: UserId, from: &PasswordHash, to: &PasswordHash) -> Result<bool, StoreError> {
        let update = query("UPDATE users SET password = ?3 WHERE id = ?1 AND password = ?2")
            .bind(bytes(id.0))
            .bind(from.as_str())
            .bind(to.as_str());
        Ok(self.change(Synced, update).await? > 0)
    }

    async fn confirm(&self, id: UserId, email: &Email) -> Result<bool, StoreError> {
        let update = query("UPDATE users SET confirmation = ?3 WHERE id = ?1 AND email = ?2")
            .bind(bytes(id.0))
            .bind(email.as_str())
            .bind(i64::from(Confirmation::Confirmed.code()));
        Ok(self.change(Synced, update).await? > 0)
    }

    async fn change_email(&self, id: UserId, from: &Email, to: &Email) -> Result<Moved, StoreError> {
        let update = query("UPDATE users SET email = ?3, confirmation = ?4 WHERE id = ?1 AND email = ?2")
            .bind(bytes(id.0))
            .bind(from.as_str())
            .bind(to.as_str())
            .bind(i64::from(Confirmation::Confirmed.code()));
        let claim = query("UPDATE OR IGNORE emails SET email = ?2 WHERE email = ?1")
            .bind(from.as_str())
            .bind(to.as_str());
        let mut change = self.begin().await?;
        if change.execute(update).await? == 0 {
            change.roll_back().await?;
            return Ok(Moved::Gone);
        }
        if change.execute(claim).await? == 0 {
            change.roll_back().await?;
            return Ok(Moved::EmailTaken);
        }
        change.commit().await?;
        self.endure(Synced).await?;
        Ok(Moved::Moved)
    }

    async fn begin_epoch(&self, id: UserId) -> Result<Option<Epoch>, StoreError> {
        let update = query("UPDATE users SET epoch = epoch + 1 WHERE id = ?1 RETURNING epoch").bind(bytes(id.0));
        Ok(self.change_returning(Synced, update).await?.pop())
    }

    async fn remove(&self, id: UserId) -> Result<bool, StoreError> {
        let delete = query("DELETE FROM users WHERE id = ?1").bind(bytes(id.0));
        Ok(self.change(Synced, delete).await? > 0)
    }

    async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        self.read(query("SELECT * FROM signing_keys ORDER BY position")).await
    }

    async fn add_key(
        &self,
        key: &StoredKey,
        after: Option<&str>,
        predecessor_retires_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let newest = query("SELECT kid FROM signing_keys WHERE revoked_at IS NULL ORDER BY position DESC LIMIT 1");
        let retire = query("UPDATE signing_keys SET retires_at = coalesce(?2, retires_at) WHERE kid = ?1")
            .bind(after)
            .bind(predecessor_retires_at.map(millis));

        let mut change = self.begin().await?;
        let newest: Option<String> = change.fetch(newest).await?.pop();
        if newest.as_deref() != after || change.execute(insert_key(key)).await? == 0 {
            change.roll_back().await?;
            return Ok(false);
        }
        change.execute(retire).await?;
        change.commit().await?;
        self.endure(Synced).await?;
        Ok(true)
    }

    async fn revoke_key(&self, kid: &str, at: Timestamp) -> Result<bool, StoreError> {
        let update = query("UPDATE signing_keys SET revoked_at = ?2 WHERE kid = ?1 AND revoked_at IS NULL")
            .bind(kid)
            .bind(millis(at));
        Ok(self.change(Synced, update).await? > 0)
    }

    async fn purge_keys(&self, moment: Timestamp) -> Result<u64, StoreError> {
        let delete = query("DELETE FROM signing_keys WHERE retires_at < ?1 OR revoked_at < ?1").bind(millis(moment));
        self.change(Synced, delete).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.touch().await
    }
}

pub(super) fn insert_user(account: &Account) -> Query<'_> {
    let user = &account.user;
    query(
        "INSERT INTO users (id, email, roles, password, created_at, disabled_at, epoch, confirmation)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(bytes(user.id.0))
    .bind(user.email.as_str())
    .bind(words(user.roles.iter().map(Role::as_str)))
    .bind(account.password.as_str())
    .bind(millis(user.created_at))
    .bind(user.disabled_at.map(millis))
    .bind(i64::from(user.epoch.0))
    .bind(i64::from(user.confirmation.code()))
}

/// Changes nothing where the address has an account.
pub(super) fn claim_email(account: &Account) -> Query<'_> {
    query("INSERT INTO emails (email, user_id) VALUES (?1, ?2) ON CONFLICT (email) DO NOTHING")
        .bind(account.user.email.as_str())
        .bind(bytes(account.user.id.0))
}

fn page_of_users(after: Option<UserId>, limit: u32) -> Query<'static> {
    // Every id is greater than no bytes at all.
    let after = after.map(|id| bytes(id.0)).unwrap_or_default();
    query("SELECT * FROM users WHERE id > ?1 ORDER BY id LIMIT ?2")
        .bind(after)
        .bind(i64::from(limit))
}

fn insert_key(key: &StoredKey) -> Query<'_> {
    query(
        "INSERT INTO signing_keys (kid, algorithm, sealed, created_at, active_from, retires_at, revoked_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (kid) DO NOTHING",
    )
    .bind(&key.kid)
    .bind(key.algorithm.name())
    .bind(&key.sealed)
    .bind(millis(key.created_at))
    .bind(millis(key.active_from))
    .bind(key.retires_at.map(millis))
    .bind(key.revoked_at.map(millis))
}
