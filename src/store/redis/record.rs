//! A session as one Redis string: a head of fixed width that the rotating script reads and writes, then what seldom changes.
//!
//! One string costs half of what a hash of the same fields does, and a session is always needed whole.

use std::net::IpAddr;

use uuid::Uuid;

use crate::model::clock::Timestamp;
use crate::model::session::{Amr, Generation, Session, SessionId};
use crate::model::user::{Epoch, UserId};

/// The form of the record. Scripts check it too.
const VERSION: u8 = 1;

/// Lua counts in doubles, which are exact up to here.
const LAST_MOMENT: u64 = (1 << 53) - 1;

/// Every field in the order of the scripts' layout.
pub(super) fn encode(session: &Session) -> Vec<u8> {
    let mut record = Vec::with_capacity(256);
    let moment = |moment: Timestamp| moment.as_millis().min(LAST_MOMENT).to_be_bytes();
    record.push(VERSION);
    record.extend(session.nonce_hash);
    record.extend(session.current.0.to_be_bytes());
    record.push(u8::from(session.previous.is_some()));
    record.extend(session.previous.map_or(0, |generation| generation.0).to_be_bytes());
    record.extend(moment(session.rotated_at));
    record.extend(moment(session.last_used_at));
    record.extend(moment(session.idle_expires_at));
    record.extend(moment(session.expires_at));
    record.extend(session.epoch.0.to_be_bytes());
    record.extend(session.user.0.as_bytes());
    record.extend(moment(session.created_at));
    record.extend(encode_proof(session));
    record
}

/// What stands at the end: when and how the person proved themselves, and what never changes.
pub(super) fn encode_proof(session: &Session) -> Vec<u8> {
    let mut record = session.auth_time.as_millis().min(LAST_MOMENT).to_be_bytes().to_vec();
    let amr: Vec<&str> = session.amr.iter().map(|amr| amr.0.as_str()).collect();
    let words = serde_json::json!([amr, session.ip, session.user_agent]);
    record.extend(words.to_string().bytes());
    record
}

/// The session of an id; `None` when the record cannot be read.
pub(super) fn decode(id: SessionId, record: &[u8]) -> Option<Session> {
    let mut rest = record;
    let [VERSION] = take(&mut rest)? else { return None };
    let nonce_hash = take(&mut rest)?;
    let current = Generation(number(&mut rest)?);
    let [has_previous] = take(&mut rest)?;
    let previous = Generation(number(&mut rest)?);
    let rotated_at = moment(&mut rest)?;
    let last_used_at = moment(&mut rest)?;
    let idle_expires_at = moment(&mut rest)?;
    let expires_at = moment(&mut rest)?;
    let epoch = Epoch(number(&mut rest)?);
    let user = UserId(Uuid::from_bytes(take(&mut rest)?));
    let created_at = moment(&mut rest)?;
    let auth_time = moment(&mut rest)?;
    let (amr, ip, user_agent): (Vec<String>, Option<IpAddr>, String) = serde_json::from_slice(rest).ok()?;
    Some(Session {
        id,
        user,
        epoch,
        created_at,
        last_used_at,
        expires_at,
        idle_expires_at,
        auth_time,
        amr: amr.into_iter().map(Amr).collect(),
        ip,
        user_agent,
        nonce_hash,
        current,
        previous: (has_previous == 1).then_some(previous),
        rotated_at,
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    take(rest).map(u32::from_be_bytes)
}

fn moment(rest: &mut &[u8]) -> Option<Timestamp> {
    take(rest).map(u64::from_be_bytes).map(Timestamp::from_millis)
}
