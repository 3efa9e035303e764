//! A walk over all sessions in Redis, one node after the other, by `SCAN`: bounded work for the server at each step, whatever it holds.
//!
//! A bookmark is `SLOT:CURSOR`: the first slot of the node that is being walked over, and the node's own cursor. A cluster that moves slots between
//! nodes during the walk may hide sessions from it (`SCAN` promises nothing across nodes), so nobody should.

use futures_util::{StreamExt, TryStreamExt, stream};
use redis::{Value, cmd};
use uuid::Uuid;

use super::Redis;
use super::sessions::{AT_ONCE, RECORDS};
use crate::model::session::{Session, SessionId};
use crate::store::StoreError;
use crate::store::sessions::{Bookmark, Page, SessionStore};

impl Redis {
    /// The sessions among about `limit` keys from a place on.
    pub(super) async fn walk(&self, from: &Bookmark, limit: u32) -> Result<Page, StoreError> {
        let (slot, cursor) = place(from).ok_or_else(|| self.damaged("a bookmark"))?;
        let mut scan = cmd("SCAN");
        scan.arg(cursor)
            .arg("MATCH")
            .arg(format!("{RECORDS}*"))
            .arg("COUNT")
            .arg(limit);
        let scanned = self.link.ask_node(slot, &scan).await;
        let (cursor, keys): (u64, Vec<String>) = scanned.map_err(|fault| self.fault(fault))?;
        let next = match cursor {
            0 => self.node_behind(slot).await?.map(|slot| (slot, 0)),
            cursor => Some((slot, cursor)),
        };
        Ok(Page {
            sessions: self.records(keys).await?,
            next: next.map(|(slot, cursor)| Bookmark(format!("{slot}:{cursor}"))),
        })
    }

    /// What stands under these keys. One that ended meanwhile is left out.
    async fn records(&self, keys: Vec<String>) -> Result<Vec<Session>, StoreError> {
        let ids = keys.iter().map(|key| Uuid::parse_str(key.trim_start_matches(RECORDS)));
        let ids: Result<Vec<Uuid>, _> = ids.collect();
        let ids = ids.map_err(|_| self.damaged("a session's key"))?;
        let found: Vec<Option<Session>> = stream::iter(ids)
            .map(|id| SessionStore::find(self, SessionId(id)))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The first slot of the node to be walked over next. A node may hold several ranges of slots; it is known by its lowest.
    async fn node_behind(&self, slot: u16) -> Result<Option<u16>, StoreError> {
        if !self.link.is_cluster() {
            return Ok(None);
        }
        let told = self.link.ask_node(slot, cmd("CLUSTER").arg("SLOTS")).await;
        let told: Vec<Vec<Value>> = told.map_err(|fault| self.fault(fault))?;
        let firsts = first_slots(told).ok_or_else(|| self.damaged("the cluster's list of slots"))?;
        Ok(firsts.into_iter().filter(|first| *first > slot).min())
    }
}

/// The lowest slot of each node, from what `CLUSTER SLOTS` tells: first, last, master, replicas.
fn first_slots(told: Vec<Vec<Value>>) -> Option<Vec<u16>> {
    let mut lowest: Vec<(Value, u16)> = Vec::new();
    for range in told {
        let mut parts = range.into_iter();
        let first: u16 = redis::from_redis_value(parts.next()?).ok()?;
        let master = parts.nth(1)?;
        match lowest.iter_mut().find(|(known, _)| *known == master) {
            Some((_, known)) => *known = first.min(*known),
            None => lowest.push((master, first)),
        }
    }
    Some(lowest.into_iter().map(|(_, first)| first).collect())
}

fn place(bookmark: &Bookmark) -> Option<(u16, u64)> {
    if *bookmark == Bookmark::default() {
        return Some((0, 0));
    }
    let (slot, cursor) = bookmark.0.split_once(':')?;
    Some((slot.parse().ok()?, cursor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_with_several_ranges_is_walked_over_once() {
        let master = |name: &str| Value::Array(vec![Value::SimpleString(name.to_owned()), Value::Int(6379)]);
        let range = |first, last, name| vec![Value::Int(first), Value::Int(last), master(name)];
        let told = vec![range(9000, 16383, "a"), range(100, 8999, "b"), range(0, 99, "a")];
        assert_eq!(first_slots(told), Some(vec![0, 100]));
        assert_eq!(first_slots(vec![vec![Value::Int(0)]]), None);
    }
}
