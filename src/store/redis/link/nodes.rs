//! The nodes of a cluster: which one a key lies on, and a breaker for each, so that nobody waits for a dead one and nobody is kept from the others.
//!
//! The driver knows the nodes too, and finds a slot that moved; it does not tell. So the cluster is asked for its slots once a connection is made, and
//! again whenever a node failed. Until it has answered, and for a slot that nobody serves, calls go through as they are.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{Value, from_redis_value};
use tokio::time::timeout;

use super::way::Line;
use crate::store::breaker::Breaker;

/// Slots of a cluster; a key belongs to one.
const SLOTS: u16 = 16_384;

/// Nodes as they were told last.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes(Arc<Mutex<Vec<Span>>>);

/// Consecutive slots of one node.
#[derive(Clone, Debug)]
struct Span {
    slots: RangeInclusive<u16>,
    node: String,
    breaker: Arc<Breaker>,
}

impl Nodes {
    /// The breaker of the node that a key lies on.
    pub(super) fn breaker_of(&self, key: &[u8]) -> Option<Arc<Breaker>> {
        let spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spans.is_empty() {
            return None;
        }
        let slot = slot(key);
        let span = spans.iter().find(|span| span.slots.contains(&slot))?;
        Some(Arc::clone(&span.breaker))
    }

    /// Asks the cluster, behind the caller's back.
    pub(super) fn ask_anew(&self, mut line: Line, limit: Duration) {
        let nodes = self.clone();
        tokio::spawn(async move {
            if let Ok(Ok(told)) = timeout(limit, line.ask_for_slots()).await {
                nodes.learn(told.iter().filter_map(|span| read(span)));
            }
        });
    }

    /// A node that was there before keeps its breaker.
    fn learn(&self, told: impl Iterator<Item = (RangeInclusive<u16>, String)>) {
        let mut spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known: HashMap<String, Arc<Breaker>> = HashMap::new();
        for span in spans.drain(..) {
            known.insert(span.node, span.breaker);
        }
        for (slots, node) in told {
            let breaker = Arc::clone(known.entry(node.clone()).or_default());
            spans.push(Span { slots, node, breaker });
        }
    }
}

/// An entry of `CLUSTER SLOTS`: first slot, last slot, then the master as host, port and more.
fn read(span: &[Value]) -> Option<(RangeInclusive<u16>, String)> {
    let [first, last, Value::Array(master), ..] = span else {
        return None;
    };
    let [host, port, ..] = master.as_slice() else {
        return None;
    };
    let number = |value: &Value| from_redis_value::<u16>(value.clone()).ok();
    let host = from_redis_value::<String>(host.clone()).ok()?;
    Some((number(first)?..=number(last)?, format!("{host}:{}", number(port)?)))
}

/// The slot of a key: CRC-16/XMODEM of what stands in its first braces, or of the whole (the cluster specification's own rule).
fn slot(key: &[u8]) -> u16 {
    crc16(tag(key)) % SLOTS
}

fn tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|b| *b == b'{') else {
        return key;
    };
    let rest = key.get(open + 1..).unwrap_or_default();
    match rest.iter().position(|b| *b == b'}') {
        Some(length @ 1..) => rest.get(..length).unwrap_or(key),
        _ => key,
    }
}

fn crc16(octets: &[u8]) -> u16 {
    octets.iter().fold(0, |crc, octet| {
        (0..8).fold(crc ^ u16::from(*octet) << 8, |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lies_where_the_cluster_says() {
        // The check value of CRC-16/XMODEM, and what `CLUSTER KEYSLOT` answers.
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (key, expected) in [
            ("foo", 12182),
            ("a{foo}b", 12182),
            ("{}foo", 9500),
            ("gw:{r}:stream", 7893),
        ] {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
    }

    #[tokio::test]
    async fn a_node_that_failed_shuts_nobody_else_out_and_keeps_its_breaker_when_slots_are_told_anew() {
        let nodes = Nodes::default();
        assert!(nodes.breaker_of(b"foo").is_none(), "nothing was told yet");
        let told = || [(0..=9000, "a:1".to_owned()), (9001..=16383, "b:1".to_owned())].into_iter();
        nodes.learn(told());
        // 12182 is b's, 7893 is a's.
        nodes.breaker_of(b"foo").unwrap().enter().unwrap().came_of_it(false);
        nodes.learn(told());
        assert!(nodes.breaker_of(b"foo").unwrap().enter().is_none());
        nodes
            .breaker_of(b"gw:{r}:stream")
            .unwrap()
            .enter()
            .unwrap()
            .came_of_it(true);
        nodes.learn([(0..=16383, "a:1".to_owned())].into_iter());
        assert!(nodes.breaker_of(b"foo").unwrap().enter().is_some(), "it moved");
    }
}
