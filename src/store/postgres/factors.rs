//! Factors in PostgreSQL. A factor that has a link claims it first, as an account claims its address.

use async_trait::async_trait;
use sqlx::{Connection, PgConnection, query};

use super::accounts::{claim_email, insert_user};
use super::columns::{LinkOf, count, id_text, millis, text};
use super::{Fault, Postgres, Query, fetch};
use crate::model::clock::Timestamp;
use crate::model::credential::Account;
use crate::model::factor::{Factor, FactorId, FactorKind, Link};
use crate::model::user::UserId;
use crate::store::StoreError;
use crate::store::factors::{Advance, Attached, Detached, FactorStore};

#[async_trait]
impl FactorStore for Postgres {
    async fn found(&self, account: &Account, factors: &[Factor]) -> Result<Attached, StoreError> {
        self.guarded(async {
            let mut loan = self.borrow().await?;
            let mut change = loan.begin().await?;
            let mut outcome = Attached::Attached;
            if claim_email(account).execute(&mut *change).await?.rows_affected() == 0 {
                outcome = Attached::EmailTaken;
            } else {
                insert_user(account).execute(&mut *change).await?;
                for factor in factors {
                    if outcome == Attached::Attached {
                        outcome = attach(&mut change, factor).await?;
                    }
                }
            }
            if outcome == Attached::Attached {
                change.commit().await?;
            } else {
                change.rollback().await?;
            }
            loan.give_back();
            Ok(outcome)
        })
        .await
    }

    async fn attach(&self, factor: &Factor) -> Result<Attached, StoreError> {
        self.guarded(async {
            let mut loan = self.borrow().await?;
            let mut change = loan.begin().await?;
            let outcome = attach(&mut change, factor).await?;
            if outcome == Attached::Attached {
                change.commit().await?;
            } else {
                change.rollback().await?;
            }
            loan.give_back();
            Ok(outcome)
        })
        .await
    }

    async fn of_user(&self, user: UserId) -> Result<Vec<Factor>, StoreError> {
        let question = query(
            "SELECT user_id::text AS user_id, id::text AS id, kind, label, sealed, link, counter, created_at, used_at
             FROM factors WHERE user_id = $1::uuid ORDER BY created_at, factors.id",
        );
        self.fetch(question.bind(text(user))).await
    }

    async fn linked(&self, link: &Link) -> Result<Option<UserId>, StoreError> {
        let owner = query("SELECT user_id::text AS id FROM links WHERE link = $1").bind(link.0.to_vec());
        self.fetch_one(owner).await
    }

    async fn advance(&self, user: UserId, id: FactorId, to: u64, now: Timestamp) -> Result<Advance, StoreError> {
        let update = query(
            "UPDATE factors SET counter = $3, used_at = $4
             WHERE user_id = $1::uuid AND id = $2::uuid AND (counter < $3 OR (counter = 0 AND $3 = 0))",
        )
        .bind(text(user))
        .bind(id_text(id.0))
        .bind(count(to))
        .bind(millis(now));
        if self.change(update).await? > 0 {
            return Ok(Advance::Advanced);
        }
        let stands = query("SELECT counter AS count FROM factors WHERE user_id = $1::uuid AND id = $2::uuid")
            .bind(text(user))
            .bind(id_text(id.0));
        let stands: Option<i64> = self.fetch_one(stands).await?;
        Ok(stands.map_or(Advance::Gone, |stands| Advance::Behind {
            stands: u64::try_from(stands).unwrap_or_default(),
        }))
    }

    async fn replace(&self, user: UserId, kind: FactorKind, by: &[Factor]) -> Result<bool, StoreError> {
        self.guarded(async {
            let mut loan = self.borrow().await?;
            let mut change = loan.begin().await?;
            // Of two that replace at once, one goes after the other.
            let turn = query("SELECT id::text AS id FROM users WHERE id = $1::uuid FOR UPDATE").bind(text(user));
            let is_there = !fetch::<UserId>(&mut change, turn).await?.is_empty();
            if is_there {
                query("DELETE FROM factors WHERE user_id = $1::uuid AND kind = $2")
                    .bind(text(user))
                    .bind(kind.name())
                    .execute(&mut *change)
                    .await?;
                for factor in by {
                    insert(factor).execute(&mut *change).await?;
                }
            }
            change.commit().await?;
            loan.give_back();
            Ok(is_there)
        })
        .await
    }

    async fn detach(&self, user: UserId, id: FactorId) -> Result<bool, StoreError> {
        self.guarded(async {
            let mut loan = self.borrow().await?;
            let mut change = loan.begin().await?;
            let detached = fetch::<LinkOf>(&mut change, delete(user, id)).await?;
            release(&mut change, user, &detached).await?;
            change.commit().await?;
            loan.give_back();
            Ok(!detached.is_empty())
        })
        .await
    }

    async fn detach_but_last(&self, user: UserId, id: FactorId, of: &[FactorKind]) -> Result<Detached, StoreError> {
        self.guarded(async {
            let mut loan = self.borrow().await?;
            let mut change = loan.begin().await?;
            // Of two that take away at once, one goes after the other and counts what is left.
            let turn = query("SELECT id::text AS id FROM users WHERE id = $1::uuid FOR UPDATE").bind(text(user));
            fetch::<UserId>(&mut change, turn).await?;
            let others = query("SELECT kind FROM factors WHERE user_id = $1::uuid AND id <> $2::uuid")
                .bind(text(user))
                .bind(id_text(id.0));
            let others = fetch::<FactorKind>(&mut change, others).await?;
            let detached = fetch::<LinkOf>(&mut change, delete(user, id)).await?;
            let outcome = match detached.is_empty() {
                true => Detached::Gone,
                false if others.iter().any(|kind| of.contains(kind)) => Detached::Detached,
                false => Detached::Last,
            };
            if outcome == Detached::Detached {
                release(&mut change, user, &detached).await?;
                change.commit().await?;
            } else {
                change.rollback().await?;
            }
            loan.give_back();
            Ok(outcome)
        })
        .await
    }

    async fn rename(&self, user: UserId, id: FactorId, label: &str) -> Result<bool, StoreError> {
        let update = query("UPDATE factors SET label = $3 WHERE user_id = $1::uuid AND id = $2::uuid")
            .bind(text(user))
            .bind(id_text(id.0))
            .bind(label);
        Ok(self.change(update).await? > 0)
    }
}

fn delete(user: UserId, id: FactorId) -> Query<'static> {
    query("DELETE FROM factors WHERE user_id = $1::uuid AND id = $2::uuid RETURNING link")
        .bind(text(user))
        .bind(id_text(id.0))
}

/// Gives links back that factors of a user had.
pub(super) async fn release(change: &mut PgConnection, user: UserId, links: &[LinkOf]) -> Result<(), Fault> {
    for link in links.iter().filter_map(|of| of.0) {
        query("DELETE FROM links WHERE link = $1 AND user_id = $2::uuid")
            .bind(link.0.to_vec())
            .bind(text(user))
            .execute(&mut *change)
            .await?;
    }
    Ok(())
}

async fn attach(change: &mut PgConnection, factor: &Factor) -> Result<Attached, Fault> {
    // Held until the end, so that a user who is being removed takes this one along, or is gone.
    let owner = query("SELECT id::text AS id FROM users WHERE id = $1::uuid FOR UPDATE").bind(text(factor.user));
    if fetch::<UserId>(change, owner).await?.is_empty() {
        return Ok(Attached::NoUser);
    }
    if insert(factor).execute(&mut *change).await?.rows_affected() == 0 {
        return Ok(Attached::There);
    }
    let Some(link) = factor.link else {
        return Ok(Attached::Attached);
    };
    let claim = query("INSERT INTO links (link, user_id) VALUES ($1, $2::uuid) ON CONFLICT (link) DO NOTHING")
        .bind(link.0.to_vec())
        .bind(text(factor.user));
    Ok(match claim.execute(change).await?.rows_affected() {
        0 => Attached::LinkTaken,
        _ => Attached::Attached,
    })
}

fn insert(factor: &Factor) -> Query<'_> {
    query(
        "INSERT INTO factors (user_id, id, kind, label, sealed, link, counter, created_at, used_at)
         VALUES ($1::uuid, $2::uuid, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (user_id, id) DO NOTHING",
    )
    .bind(text(factor.user))
    .bind(id_text(factor.id.0))
    .bind(factor.kind.name())
    .bind(&factor.label)
    .bind(&factor.sealed)
    .bind(factor.link.map(|link| link.0.to_vec()))
    .bind(count(factor.counter))
    .bind(millis(factor.created_at))
    .bind(factor.used_at.map(millis))
}
