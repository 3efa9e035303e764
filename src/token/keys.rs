//! Signing keys and their life: published, signing, retiring, gone.
//!
//! The rules are functions of the stored list (oldest first), the moment and the policy, so that every gateway that reads the same list comes to the same
//! answer, and one that could not read it for an hour comes to the same answer afterwards. The newest key whose time has come signs.

use std::time::Duration;

use super::verify::LEEWAY;
use crate::config::Algorithm;
use crate::model::clock::Timestamp;
use crate::store::accounts::StoredKey;

/// Where in its life a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// In the JWKS, does not sign yet.
    Published,
    /// Signs.
    Signing,
    /// Signs no more; its last tokens are still good.
    Retiring,
    /// Revoked; its tokens are refused.
    Revoked,
}

impl KeyState {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 4] = [Self::Published, Self::Signing, Self::Retiring, Self::Revoked];

    /// The word for listings and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Signing => "signing",
            Self::Retiring => "retiring",
            Self::Revoked => "revoked",
        }
    }
}

/// A key as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Where in its life it is.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its state changes next, if that is known.
    pub next_change: Option<Timestamp>,
}

/// What the settings say about keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    /// What new keys are made for.
    pub(super) algorithm: Algorithm,
    /// How long a key signs.
    pub(super) rotate_every: Duration,
    /// How long it is published before.
    pub(super) publish_before: Duration,
    /// The longest life of an access token that may be about.
    pub(super) longest_life: Duration,
}

/// A key that should be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// From when on it signs.
    pub(super) active_from: Timestamp,
    /// The newest key that is not revoked, as `AccountStore::add_key` wants it named.
    pub(super) after: Option<String>,
    /// Until when that one's tokens may live.
    pub(super) predecessor_retires_at: Option<Timestamp>,
}

impl Policy {
    /// How long after its last signature a key must still verify.
    pub(super) fn afterlife(&self) -> Duration {
        self.longest_life + LEEWAY
    }

    /// The key that a schedule asks for at this moment, if any.
    pub(super) fn plan(&self, keys: &[StoredKey], now: Timestamp) -> Option<Planned> {
        let Some(signing) = signing(keys, now) else {
            return Some(self.plan_at(keys, now, now));
        };
        let newest = keys.iter().rfind(|key| is_live(key, now))?;
        if newest.kid != signing.kid {
            return None;
        }
        let published = now.plus(self.publish_before);
        if let Some(retires_at) = newest.retires_at {
            // Its successor was revoked before it could sign: another must be there before this one retires.
            let latest = retires_at.minus(self.afterlife()).max(now);
            return Some(self.plan_at(keys, now, published.min(latest)));
        }
        if newest.algorithm != self.algorithm {
            return Some(self.plan_at(keys, now, published));
        }
        let due = newest.active_from.plus(self.rotate_every);
        (published >= due).then(|| self.plan_at(keys, now, published.max(due)))
    }

    /// A key that is to sign from `active_from` on.
    pub(super) fn plan_at(&self, keys: &[StoredKey], now: Timestamp, active_from: Timestamp) -> Planned {
        let newest = keys.iter().rfind(|key| key.revoked_at.is_none());
        // A key that signs no more already knows when it retires; any other signs until the new one does.
        let signs = |key: &StoredKey| matches!(state(keys, key, now), KeyState::Signing | KeyState::Published);
        let retires_at = |key: &StoredKey| match key.retires_at {
            Some(known) if !signs(key) => known,
            _ => active_from.plus(self.afterlife()),
        };
        Planned {
            active_from,
            after: newest.map(|key| key.kid.clone()),
            predecessor_retires_at: newest.map(retires_at),
        }
    }

    /// The keys as an operator sees them.
    pub(super) fn describe(&self, keys: &[StoredKey], now: Timestamp) -> Vec<KeyInfo> {
        let info = |(index, key): (usize, &StoredKey)| {
            let state = state(keys, key, now);
            let successor = keys.iter().skip(index + 1).find(|next| next.revoked_at.is_none());
            let next_change = match state {
                KeyState::Published => Some(key.active_from),
                KeyState::Signing => {
                    Some(successor.map_or(key.active_from.plus(self.rotate_every), |next| next.active_from))
                }
                KeyState::Retiring => key.retires_at,
                KeyState::Revoked => None,
            };
            KeyInfo {
                kid: key.kid.clone(),
                algorithm: key.algorithm,
                state,
                created_at: key.created_at,
                next_change,
            }
        };
        keys.iter().enumerate().map(info).collect()
    }
}

/// The key that signs: the newest whose time has come. If that one was revoked, the next one signs before its time; an older one never signs again,
/// since its end may be near.
pub(super) fn signing(keys: &[StoredKey], now: Timestamp) -> Option<&StoredKey> {
    let begun = keys.iter().rposition(|key| key.active_from <= now).unwrap_or_default();
    keys.iter().skip(begun).find(|key| is_live(key, now))
}

/// Whether tokens of the key may be good.
pub(super) fn is_live(key: &StoredKey, now: Timestamp) -> bool {
    key.revoked_at.is_none() && key.retires_at.is_none_or(|at| now < at)
}

/// Whether its time is over, and it was not revoked.
pub(super) fn is_retired(key: &StoredKey, now: Timestamp) -> bool {
    key.revoked_at.is_none() && key.retires_at.is_some_and(|at| at <= now)
}

/// Where in its life a key of the list is.
pub(super) fn state(keys: &[StoredKey], key: &StoredKey, now: Timestamp) -> KeyState {
    if key.revoked_at.is_some() {
        return KeyState::Revoked;
    }
    let place = |kid: &str| keys.iter().position(|key| key.kid == kid);
    let signing = signing(keys, now).and_then(|key| place(&key.kid));
    match place(&key.kid).cmp(&signing) {
        std::cmp::Ordering::Less => KeyState::Retiring,
        std::cmp::Ordering::Equal => KeyState::Signing,
        std::cmp::Ordering::Greater if signing.is_none() => KeyState::Retiring,
        std::cmp::Ordering::Greater => KeyState::Published,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const HOUR: Duration = Duration::from_secs(3600);
    const START: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn policy() -> Policy {
        Policy {
            algorithm: Algorithm::Rs256,
            rotate_every: 30 * DAY,
            publish_before: HOUR,
            longest_life: HOUR / 4,
        }
    }

    fn key(kid: &str, active_from: Timestamp) -> StoredKey {
        StoredKey {
            kid: kid.to_owned(),
            algorithm: Algorithm::Rs256,
            sealed: Vec::new(),
            created_at: active_from,
            active_from,
            retires_at: None,
            revoked_at: None,
        }
    }

    /// What `add_key` does, for a rotation at `now`.
    fn add(keys: &mut Vec<StoredKey>, kid: &str, planned: &Planned) {
        if let Some(old) = keys.iter_mut().find(|key| Some(&key.kid) == planned.after.as_ref()) {
            old.retires_at = planned.predecessor_retires_at;
        }
        keys.push(key(kid, planned.active_from));
    }

    fn signs(keys: &[StoredKey], now: Timestamp) -> Option<&str> {
        signing(keys, now).map(|key| key.kid.as_str())
    }

    #[test]
    fn the_first_key_signs_at_once() {
        let planned = policy().plan(&[], START).unwrap();
        assert_eq!((planned.active_from, planned.after), (START, None));
    }

    #[test]
    fn a_key_is_published_before_it_signs_and_retires_after_its_last_token() {
        let mut keys = vec![key("a", START)];
        let due = START.plus(30 * DAY);
        assert_eq!(
            policy().plan(&keys, due.minus(HOUR).minus(Duration::from_millis(1))),
            None
        );
        let planned = policy().plan(&keys, due.minus(HOUR)).unwrap();
        assert_eq!(planned.active_from, due);
        add(&mut keys, "b", &planned);
        assert_eq!(policy().plan(&keys, due.minus(HOUR)), None);
        let states = |now| {
            policy()
                .describe(&keys, now)
                .into_iter()
                .map(|info| info.state)
                .collect::<Vec<_>>()
        };
        assert_eq!(states(due.minus(HOUR)), [KeyState::Signing, KeyState::Published]);
        assert_eq!(states(due), [KeyState::Retiring, KeyState::Signing]);
        let end = due.plus(policy().afterlife());
        assert!(is_live(&keys[0], end.minus(Duration::from_millis(1))));
        assert!(!is_live(&keys[0], end));
        assert_eq!(keys[0].retires_at, Some(end));
    }

    #[test]
    fn a_gateway_that_slept_through_the_schedule_still_publishes_first() {
        let keys = [key("a", START)];
        let late = START.plus(300 * DAY);
        assert_eq!(policy().plan(&keys, late).unwrap().active_from, late.plus(HOUR));
        assert_eq!(signs(&keys, late), Some("a"));
    }

    #[test]
    fn another_algorithm_in_the_settings_plans_a_key_and_only_one() {
        let mut keys = vec![key("a", START)];
        let other = Policy {
            algorithm: Algorithm::Es256,
            ..policy()
        };
        let planned = other.plan(&keys, START).unwrap();
        assert_eq!(planned.active_from, START.plus(HOUR));
        add(&mut keys, "b", &planned);
        // A gateway with the old settings does not argue until the new key signs.
        assert_eq!(policy().plan(&keys, START), None);
    }

    #[test]
    fn when_the_signing_key_is_revoked_the_published_one_signs_before_its_time() {
        let mut keys = vec![
            key("old", START),
            key("a", START.plus(DAY)),
            key("b", START.plus(9 * DAY)),
        ];
        keys[0].retires_at = Some(START.plus(DAY).plus(policy().afterlife()));
        keys[1].revoked_at = Some(START.plus(2 * DAY));
        assert_eq!(signs(&keys, START.plus(2 * DAY)), Some("b"));
    }

    #[test]
    fn a_superseded_key_never_signs_again() {
        let mut keys = vec![key("old", START), key("a", START.plus(DAY))];
        keys[0].retires_at = Some(START.plus(DAY).plus(policy().afterlife()));
        keys[1].revoked_at = Some(START.plus(DAY));
        let now = START.plus(DAY);
        assert_eq!(signs(&keys, now), None);
        let planned = policy().plan(&keys, now).unwrap();
        assert_eq!((planned.active_from, planned.after.as_deref()), (now, Some("old")));
        assert_eq!(
            planned.predecessor_retires_at, keys[0].retires_at,
            "its life is not made longer"
        );
    }

    #[test]
    fn when_a_published_key_is_revoked_another_is_there_before_the_old_one_retires() {
        let mut keys = vec![key("a", START)];
        let planned = policy().plan_at(&keys, START, START.plus(HOUR));
        add(&mut keys, "b", &planned);
        keys[1].revoked_at = Some(START);
        let now = START.plus(HOUR / 2);
        let planned = policy().plan(&keys, now).unwrap();
        assert_eq!(
            planned.active_from,
            START.plus(HOUR),
            "not later than the revoked one would have been"
        );
        add(&mut keys, "c", &planned);
        assert_eq!(policy().plan(&keys, now), None);
        assert_eq!(signs(&keys, now), Some("a"));
        assert_eq!(signs(&keys, START.plus(HOUR)), Some("c"));
    }

    #[test]
    fn a_key_that_signs_at_once_overtakes_a_published_one() {
        let mut keys = vec![key("a", START)];
        let planned = policy().plan_at(&keys, START, START.plus(HOUR));
        add(&mut keys, "b", &planned);
        let planned = policy().plan_at(&keys, START, START);
        add(&mut keys, "c", &planned);
        assert_eq!(signs(&keys, START), Some("c"));
        assert_eq!(signs(&keys, START.plus(2 * HOUR)), Some("c"));
        assert_eq!(policy().plan(&keys, START.plus(2 * HOUR)), None);
    }
}
