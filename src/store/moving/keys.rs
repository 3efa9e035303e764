//! Signing keys of a move. They go as they are, sealed: both installations have the same secret.
//!
//! They keep their order, for the newest one signs. Keys that the target has made for itself retire when the source's come: their tokens stay good.
//! A key that an earlier run brought and that is no longer there was revoked or retired there, and then forgotten: it does not come back to sign.

use std::sync::Arc;

use super::{Count, MARK, Move, MoveError, Part, Watcher, len};
use crate::model::clock::Timestamp;
use crate::store::accounts::{AccountStore, StoredKey};

/// How often somebody else may change the keys in between.
const ATTEMPTS: usize = 5;

impl Move<'_> {
    pub(super) async fn move_keys(&self, watcher: &mut dyn Watcher) -> Result<(), MoveError> {
        let keys = self.from.accounts.keys().await.map_err(MoveError::From)?;
        watcher.begins(Part::Keys, Some(len(&keys)));
        let mut count = Count::default();
        for key in &keys {
            self.move_key(key, &keys, &mut count).await?;
            self.remember(key).await?;
            watcher.advances(1);
        }
        watcher.ends(&count);
        Ok(())
    }

    async fn move_key(&self, key: &StoredKey, source: &[StoredKey], count: &mut Count) -> Result<(), MoveError> {
        let target: &Arc<dyn AccountStore> = &self.to.accounts;
        for _ in 0..ATTEMPTS {
            let there = target.keys().await.map_err(MoveError::To)?;
            if let Some(known) = there.iter().find(|known| known.kid == key.kid) {
                return self.revoke_as(key, known, count).await;
            }
            if !there.is_empty() && self.is_remembered(key).await? {
                count.gone += 1;
                return Ok(());
            }
            let newest = there.iter().rfind(|known| known.revoked_at.is_none());
            let after = newest.map(|newest| newest.kid.as_str());
            let retires_at = newest.and_then(|newest| self.retires_at(newest, key, source));
            if target.add_key(key, after, retires_at).await.map_err(MoveError::To)? {
                count.new += 1;
                return Ok(());
            }
        }
        Err(MoveError::KeysChanged)
    }

    async fn remember(&self, key: &StoredKey) -> Result<(), MoveError> {
        let kept = self.to.ephemeral.remember(&mark(key), self.now.plus(MARK)).await;
        kept.map_err(MoveError::To)
    }

    async fn is_remembered(&self, key: &StoredKey) -> Result<bool, MoveError> {
        let known = self.to.ephemeral.remembers(&mark(key), self.now).await;
        known.map_err(MoveError::To)
    }

    /// A key that was revoked at the source is revoked at the target.
    async fn revoke_as(&self, key: &StoredKey, known: &StoredKey, count: &mut Count) -> Result<(), MoveError> {
        let newly = key.revoked_at.filter(|_| known.revoked_at.is_none());
        let Some(at) = newly else {
            count.there += 1;
            return Ok(());
        };
        self.to.accounts.revoke_key(&key.kid, at).await.map_err(MoveError::To)?;
        count.renewed += 1;
        Ok(())
    }

    /// When the key that was the newest retires once `next` stands behind it: as the source says, or, if the source does not know it, after its last
    /// token.
    fn retires_at(&self, newest: &StoredKey, next: &StoredKey, source: &[StoredKey]) -> Option<Timestamp> {
        if let Some(known) = source.iter().find(|key| key.kid == newest.kid) {
            return known.retires_at;
        }
        let last_signature = next.active_from.max(self.now);
        Some(newest.retires_at.unwrap_or(last_signature.plus(self.afterlife)))
    }
}

/// The name under which the target remembers that a run brought a key.
fn mark(key: &StoredKey) -> String {
    format!("copied:key:{}", key.kid)
}
