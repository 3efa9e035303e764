//! Every revocation that still counts, in memory.
//!
//! Exact, not probable: an entry is never evicted, only forgotten when the last token that it concerns has expired. A version number moves whenever something
//! new is learnt, so that a token that was checked at this version need not be looked up again.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foldhash::quality::RandomState;
use moka::Expiry;
use moka::sync::Cache;

use crate::model::clock::{Clock, Timestamp};
use crate::model::identity::Identity;
use crate::model::session::{SessionId, TokenId};
use crate::model::user::UserId;
use crate::store::ephemeral::{Revocation, Revoked};

/// Kept longer than needed, in case the wall clock is set back while the entry's own timer runs on.
const MARGIN: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Subject {
    Token(TokenId),
    Session(SessionId),
    User(UserId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// For a user: sessions opened at or before this. For the others: the epoch, unused.
    opened_by: Timestamp,
    until: Timestamp,
}

impl Entry {
    /// The same subject revoked twice: of two moments the later one counts, and so of two ends.
    fn merged(self, other: Self) -> Self {
        Self {
            opened_by: self.opened_by.max(other.opened_by),
            until: self.until.max(other.until),
        }
    }
}

/// The revocations known here.
pub(super) struct Mirror {
    entries: Cache<Subject, Entry, RandomState>,
    version: AtomicU64,
}

impl Mirror {
    /// Empty, at version 1.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            entries: Cache::builder()
                .expire_after(UntilForgotten(clock))
                .build_with_hasher(RandomState::default()),
            version: AtomicU64::new(1),
        }
    }

    /// A number that grows with every piece of news. Take it before looking anything up.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Takes news in; repetitions (the feed brings our own back) change nothing.
    pub(super) fn learn(&self, news: &[Revocation], now: Timestamp) {
        let mut fresh = false;
        for revocation in news.iter().filter(|revocation| revocation.until > now) {
            fresh |= self.enter(*revocation);
        }
        if fresh {
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    /// Whether a token is revoked by itself, by its session or by its user.
    pub(super) fn holds(&self, who: &Identity) -> bool {
        self.entries.contains_key(&Subject::Token(who.token))
            || self.entries.contains_key(&Subject::Session(who.session))
            || self
                .entries
                .get(&Subject::User(who.user))
                .is_some_and(|entry| who.session.opened_at() <= entry.opened_by)
    }

    /// All that still counts.
    pub(super) fn all(&self, now: Timestamp) -> Vec<Revocation> {
        let revocation = |(subject, entry): (Arc<Subject>, Entry)| Revocation {
            what: match *subject {
                Subject::Token(id) => Revoked::Token(id),
                Subject::Session(id) => Revoked::Session(id),
                Subject::User(id) => Revoked::User(id, entry.opened_by),
            },
            until: entry.until,
        };
        self.entries
            .iter()
            .map(revocation)
            .filter(|revocation| revocation.until > now)
            .collect()
    }

    /// What still counts here and a list does not say, or not for as long.
    pub(super) fn missing_from(&self, list: &[Revocation], now: Timestamp) -> Vec<Revocation> {
        let mut missing = self.all(now);
        if missing.is_empty() {
            return missing;
        }
        let mut told: HashMap<Subject, Entry> = HashMap::with_capacity(list.len());
        for (subject, entry) in list.iter().map(parts) {
            told.entry(subject)
                .and_modify(|old| *old = old.merged(entry))
                .or_insert(entry);
        }
        missing.retain(|revocation| {
            let (subject, ours) = parts(revocation);
            told.get(&subject).is_none_or(|told| told.merged(ours) != *told)
        });
        missing
    }

    /// Whether a session is named among what still counts.
    pub(super) fn holds_session(&self, session: SessionId) -> bool {
        self.entries.contains_key(&Subject::Session(session))
    }

    /// `true`: this was news.
    fn enter(&self, revocation: Revocation) -> bool {
        let (subject, new) = parts(&revocation);
        if self.entries.get(&subject).is_some_and(|old| old.merged(new) == old) {
            return false;
        }
        self.entries
            .entry(subject)
            .and_upsert_with(|old| old.map_or(new, |old| old.into_value().merged(new)));
        true
    }
}

fn parts(revocation: &Revocation) -> (Subject, Entry) {
    let (subject, opened_by) = match revocation.what {
        Revoked::Token(id) => (Subject::Token(id), Timestamp::default()),
        Revoked::Session(id) => (Subject::Session(id), Timestamp::default()),
        Revoked::User(id, moment) => (Subject::User(id), moment),
    };
    let until = revocation.until;
    (subject, Entry { opened_by, until })
}

impl fmt::Debug for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mirror({} revocations)", self.entries.entry_count())
    }
}

#[derive(Debug)]
struct UntilForgotten(Arc<dyn Clock>);

impl UntilForgotten {
    fn left(&self, entry: &Entry) -> Option<Duration> {
        Some(entry.until.since(self.0.now()).saturating_add(MARGIN))
    }
}

impl Expiry<Subject, Entry> for UntilForgotten {
    fn expire_after_create(&self, _: &Subject, entry: &Entry, _: Instant) -> Option<Duration> {
        self.left(entry)
    }

    fn expire_after_update(&self, _: &Subject, entry: &Entry, _: Instant, _: Option<Duration>) -> Option<Duration> {
        self.left(entry)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::clock::ManualClock;
    use crate::token::world::START;

    const HOUR: Duration = Duration::from_secs(3600);

    fn mirror() -> (Mirror, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(START));
        (Mirror::new(clock.clone()), clock)
    }

    fn session(number: u128, until: Timestamp) -> Revocation {
        Revocation {
            what: Revoked::Session(SessionId(Uuid::from_u128(number))),
            until,
        }
    }

    #[test]
    fn no_number_of_revocations_pushes_one_out() {
        let (mirror, _) = mirror();
        let many: Vec<Revocation> = (0..100_000).map(|number| session(number, START.plus(HOUR))).collect();
        mirror.learn(&many, START);
        let held = |number| {
            mirror
                .entries
                .contains_key(&Subject::Session(SessionId(Uuid::from_u128(number))))
        };
        assert!((0..100_000).all(held));
        assert_eq!(mirror.all(START).len(), many.len());
    }

    #[test]
    fn what_has_run_out_is_neither_learnt_nor_passed_on() {
        let (mirror, clock) = mirror();
        let version = mirror.version();
        mirror.learn(&[session(1, START)], START);
        assert_eq!(mirror.version(), version);
        mirror.learn(&[session(2, START.plus(HOUR))], START);
        assert_eq!(mirror.version(), version + 1);
        clock.advance(HOUR);
        assert!(mirror.all(clock.now()).is_empty());
    }

    #[test]
    fn what_a_store_lacks_or_would_forget_too_early_is_missing_and_nothing_else() {
        let (mirror, _) = mirror();
        let user = |moment| Revocation {
            what: Revoked::User(UserId(Uuid::from_u128(9)), moment),
            until: START.plus(HOUR),
        };
        let [kept, short, lost] = [1, 2, 3].map(|number| session(number, START.plus(HOUR)));
        mirror.learn(&[kept, short, lost, user(START.plus(HOUR))], START);
        let store = [
            kept,
            session(2, START.plus(HOUR / 2)),
            user(START),
            user(START.plus(HOUR)),
        ];
        let mut missing = mirror.missing_from(&store, START);
        missing.sort_by_key(|revocation| format!("{revocation:?}"));
        assert_eq!(missing, [short, lost]);
        assert!(mirror.missing_from(&store, START.plus(HOUR)).is_empty(), "all is over");
    }

    #[test]
    fn a_repetition_is_no_news_but_a_longer_time_is() {
        let (mirror, _) = mirror();
        mirror.learn(&[session(1, START.plus(HOUR))], START);
        let version = mirror.version();
        mirror.learn(&[session(1, START.plus(HOUR)), session(1, START.plus(HOUR / 2))], START);
        assert_eq!(mirror.version(), version);
        mirror.learn(&[session(1, START.plus(2 * HOUR))], START);
        assert_eq!(mirror.version(), version + 1);
        assert_eq!(mirror.all(START), [session(1, START.plus(2 * HOUR))]);
    }
}
