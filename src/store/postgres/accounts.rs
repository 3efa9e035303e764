//! Users and signing keys in PostgreSQL.

use async_trait::async_trait;
use sqlx::{Connection, query};

use super::columns::{millis, text};
use super::factors::release;
use super::{Postgres, Query, fetch};
use crate::model::clock::Timestamp;
use crate::model::credential::{Account, PasswordHash};
use crate::model::user::{Confirmation, Email, Epoch, Role, User, UserId};
use crate::store::StoreError;
use crate::store::accounts::{AccountStore, Added, Moved, StoredKey};

/// What is read of a user.
macro_rules! user {
    () => {
        "id::text AS id, email, roles, password, created_at, disabled_at, epoch, confirmation"
    };
}

#[async_trait]
impl AccountStore for Postgres {
    async fn add(&self, account: &Account) -> Result<Added, StoreError> {
        self.guarded(async {
            let mut loan = self.borrow().await?;
            let mut change = loan.begin().await?;
            // The address first: of racers all but one stop here, and leave nothing behind.
            if claim_email(account).execute(&mut *change).await?.rows_affected() == 0 {
                change.rollback().await?;
                loan.give_back();
                return Ok(Added::EmailTaken);
            }
            insert_user(account).execute(&mut *change).await?;
            change.commit().await?;
            loan.give_back();
            Ok(Added::Added)
        })
        .await
    }

    /// Two questions, each by the key of its table, where a join would have to look everywhere.
    async fn find_by_email(&self, email: &Email) -> Result<Option<Account>, StoreError> {
        let owner = query("SELECT user_id::text AS id FROM emails WHERE email = $1").bind(email.as_str());
        match self.fetch_one::<UserId>(owner).await? {
            Some(id) => self.find(id).await,
            None => Ok(None),
        }
    }

    async fn find(&self, id: UserId) -> Result<Option<Account>, StoreError> {
        let find = query(concat!("SELECT ", user!(), " FROM users WHERE id = $1::uuid"));
        self.fetch_one(find.bind(text(id))).await
    }

    async fn list(&self, after: Option<UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
        self.fetch(page_of_users(after, limit)).await
    }

    async fn accounts(&self, after: Option<UserId>, limit: u32) -> Result<Vec<Account>, StoreError> {
        self.fetch(page_of_users(after, limit)).await
    }

    async fn tally(&self) -> Result<u64, StoreError> {
        let count: Option<i64> = self.fetch_one(query("SELECT count(*) FROM users")).await?;
        Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default())
    }

    async fn replace(&self, account: &Account, seen: Epoch) -> Result<bool, StoreError> {
        let user = &account.user;
        let update = query(
            "UPDATE users SET roles = $4, password = $5, created_at = $6, disabled_at = $7, epoch = $8,
                 confirmation = $9
             WHERE id = $1::uuid AND email = $2 AND epoch = $3",
        )
        .bind(text(user.id))
        .bind(user.email.as_str())
        .bind(i64::from(seen.0))
        .bind(words(&user.roles))
        .bind(account.password.as_str())
        .bind(millis(user.created_at))
        .bind(user.disabled_at.map(millis))
        .bind(i64::from(user.epoch.0))
        .bind(i64::from(user.confirmation.code()));
        Ok(self.change(update).await? > 0)
    }

    async fn set_roles(&self, id: UserId, roles: &[Role]) -> Result<Option<User>, StoreError> {
        let update = query(concat!(
            "UPDATE users SET roles = $2 WHERE id = $1::uuid RETURNING ",
            user!()
        ));
        self.fetch_one(update.bind(text(id)).bind(words(roles))).await
    }

    async fn set_disabled(&self, id: UserId, since: Option<Timestamp>) -> Result<Option<User>, StoreError> {
        let update = query(concat!(
            "UPDATE users SET disabled_at = $2, epoch = epoch + ($2 IS NOT NULL)::int WHERE id = $1::uuid RETURNING ",
            user!()
        ));
        self.fetch_one(update.bind(text(id)).bind(since.map(millis))).await
    }

    async fn change_password(
        &self,
        id: UserId,
        from: &PasswordHash,
        to: &PasswordHash,
    ) -> Result<Option<Epoch>, StoreError> {
        let update = query(
            "UPDATE users SET password = $3, epoch = epoch + 1 WHERE id = $1::uuid AND password = $2 RETURNING epoch",
        );
        self.fetch_one(update.bind(text(id)).bind(from.as_str()).bind(to.as_str()))
            .await
    }

    async fn rehash_password(&self, id: UserId, from: &PasswordHash, to: &PasswordHash) -> Result<bool, StoreError> {
        let update = query("UPDATE users SET password = $3 WHERE id = $1::uuid AND password = $2");
        let update = update.bind(text(id)).bind(from.as_str()).bind(to.as_str());
        Ok(self.change(update).await? > 0)
    }

    async fn confirm(&self, id: UserId, email: &Email) -> Result<bool, StoreError> {
        let update = query("UPDATE users SET confirmation = $3 WHERE id = $1::uuid AND email = $2")
            .bind(text(id))
            .bind(email.as_str())
            .bind(i64::from(Confirmation::Confirmed.code()));
        Ok(self.change(update).await? > 0)
    }

    async fn change_email(&self, id: UserId, from: &Email, to: &Email) -> Result<Moved, StoreError> {
        let claim = query("INSERT INTO emails (email, user_id) VALUES ($1, $2::uuid) ON CONFLICT (email) DO NOTHING")
            .bind(to.as_str())
            .bind(text(id));
        let update = query("UPDATE users SET email = $3, confirmation = $4 WHERE id = $1::uuid AND email = $2")
            .bind(text(id))
            .bind(from.as_str())
            .bind(to.as_str())
            .bind(i64::from(Confirmation::Confirmed.code()));
        let release = query("DELETE FROM emails WHERE email = $1 AND user_id = $2::uuid")
            .bind(from.as_str())
            .bind(text(id));
        self.guarded(async {
            let mut loan = self.borrow().await?;
            let mut change = loan.begin().await?;
            let outcome = if claim.execute(&mut *change).await?.rows_affected() == 0 {
                Moved::EmailTaken
            } else if update.execute(&mut *change).await?.rows_affected() == 0 {
                Moved::Gone
            } else {
                release.execute(&mut *change).await?;
                Moved::Moved
            };
            if outcome == Moved::Moved {
                change.commit().await?;
            } else {
                change.rollback().await?;
            }
            loan.give_back();
            Ok(outcome)
        })
        .await
    }

    async fn begin_epoch(&self, id: UserId) -> Result<Option<Epoch>, StoreError> {
        let update = query("UPDATE users SET epoch = epoch + 1 WHERE id = $1::uuid RETURNING epoch");
        self.fetch_one(update.bind(text(id))).await
    }

    async fn remove(&self, id: UserId) -> Result<bool, StoreError> {
        let delete = query("DELETE FROM users WHERE id = $1::uuid RETURNING email").bind(text(id));
        self.guarded(async {
            let mut loan = self.borrow().await?;
            let mut change = loan.begin().await?;
            let emails: Vec<Email> = fetch(&mut change, delete).await?;
            for email in &emails {
                query("DELETE FROM emails WHERE email = $1 AND user_id = $2::uuid")
                    .bind(email.as_str())
                    .bind(text(id))
                    .execute(&mut *change)
                    .await?;
            }
            let links = query("DELETE FROM factors WHERE user_id = $1::uuid RETURNING link").bind(text(id));
            let links = fetch(&mut change, links).await?;
            release(&mut change, id, &links).await?;
            change.commit().await?;
            loan.give_back();
            Ok(!emails.is_empty())
        })
        .await
    }

    async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        self.fetch(query("SELECT * FROM signing_keys ORDER BY position")).await
    }

    async fn add_key(
        &self,
        key: &StoredKey,
        after: Option<&str>,
        predecessor_retires_at: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        // One node at a time: the row is locked until the end, and what is read behind the lock is what the node before has left.
        let turn = query("SELECT version FROM gateward_schema WHERE id = 1 FOR UPDATE");
        let newest = query("SELECT kid FROM signing_keys WHERE revoked_at IS NULL ORDER BY position DESC LIMIT 1");
        let retire = query("UPDATE signing_keys SET retires_at = coalesce($2, retires_at) WHERE kid = $1")
            .bind(after)
            .bind(predecessor_retires_at.map(millis));

        self.guarded(async {
            let mut loan = self.borrow().await?;
            let mut change = loan.begin().await?;
            turn.execute(&mut *change).await?;
            let newest: Option<String> = fetch(&mut change, newest).await?.pop();
            if newest.as_deref() != after || insert_key(key).execute(&mut *change).await?.rows_affected() == 0 {
                change.rollback().await?;
                loan.give_back();
                return Ok(false);
            }
            retire.execute(&mut *change).await?;
            change.commit().await?;
            loan.give_back();
            Ok(true)
        })
        .await
    }

    async fn revoke_key(&self, kid: &str, at: Timestamp) -> Result<bool, StoreError> {
        let update = query("UPDATE signing_keys SET revoked_at = $2 WHERE kid = $1 AND revoked_at IS NULL");
        Ok(self.change(update.bind(kid).bind(millis(at))).await? > 0)
    }

    async fn purge_keys(&self, moment: Timestamp) -> Result<u64, StoreError> {
        let delete = query("DELETE FROM signing_keys WHERE retires_at < $1 OR revoked_at < $1");
        self.change(delete.bind(millis(moment))).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.change(query("SELECT version FROM gateward_schema WHERE id = 1"))
            .await
            .map(|_| ())
    }
}

pub(super) fn insert_user(account: &Account) -> Query<'_> {
    let user = &account.user;
    query(
        "INSERT INTO users (id, email, roles, password, created_at, disabled_at, epoch, confirmation)
         VALUES ($1::uuid, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(text(user.id))
    .bind(user.email.as_str())
    .bind(words(&user.roles))
    .bind(account.password.as_str())
    .bind(millis(user.created_at))
    .bind(user.disabled_at.map(millis))
    .bind(i64::from(user.epoch.0))
    .bind(i64::from(user.confirmation.code()))
}

/// Changes nothing where the address has an account.
pub(super) fn claim_email(account: &Account) -> Query<'_> {
    query("INSERT INTO emails (email, user_id) VALUES ($1, $2::uuid) ON CONFLICT (email) DO NOTHING")
        .bind(account.user.email.as_str())
        .bind(text(account.user.id))
}

/// The operator's questions, listing and moving, look everywhere.
fn page_of_users(after: Option<UserId>, limit: u32) -> Query<'static> {
    // Every id of ours is greater than the nil one.
    let after = text(after.unwrap_or(UserId(uuid::Uuid::nil())));
    query(concat!(
        "SELECT ",
        user!(),
        " FROM users WHERE id > $1::uuid ORDER BY users.id LIMIT $2"
    ))
    .bind(after)
    .bind(i64::from(limit))
}

fn words(roles: &[Role]) -> Vec<String> {
    roles.iter().map(|role| role.as_str().to_owned()).collect()
}

fn insert_key(key: &StoredKey) -> Query<'_> {
    query(
        "INSERT INTO signing_keys (position, kid, algorithm, sealed, created_at, active_from, retires_at, revoked_at)
         SELECT coalesce(max(position), 0) + 1, $1, $2, $3, $4, $5, $6, $7 FROM signing_keys
         ON CONFLICT (kid) DO NOTHING",
    )
    .bind(&key.kid)
    .bind(key.algorithm.name())
    .bind(&key.sealed)
    .bind(millis(key.created_at))
    .bind(millis(key.active_from))
    .bind(key.retires_at.map(millis))
    .bind(key.revoked_at.map(millis))
}
