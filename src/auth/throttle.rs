//! How often one may try. Counted before anything is hashed, on every door that takes a password.
//!
//! Three counters: by source, by account and source, by account. The last is wide and meant for guesses spread over many sources; it does not concern a
//! source that has signed in to the account before, so nobody can shut a person out of their own account by failing on purpose. A browser in which
//! somebody has signed in (`devices`) is counted by itself, wherever it is and whoever shares its address. A counter that refuses
//! ends the counting: what an address does beyond its own limit uses up nobody else's. When the store of the counters fails, the same figures hold in
//! this process. An address that is no address counts like any other.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::devices::Device;
use super::{AuthError, second_step};
use crate::config::{AuthLimits, Rate};
use crate::model::caller::Caller;
use crate::model::clock::{Clock, Timestamp};
use crate::model::factor::Factor;
use crate::model::user::{Email, UserId};
use crate::store::ephemeral::{Count, Counter, EphemeralStore};

/// In seconds.
const DAY: u64 = 24 * 60 * 60;
/// How long a source stays known to an account after a sign-in, at least.
const KNOWN_FOR: Duration = Duration::from_secs(90 * DAY);
/// How many codes one second step takes.
const TRIES_OF_A_STEP: Rate = Rate {
    count: 5,
    per: second_step::LIFE,
};
/// How many wrong time-based codes an app may be tried with in a row (NIST SP 800-63B-4 §3.2.2).
const TRIES_IN_A_ROW: Rate = Rate {
    count: 100,
    per: Duration::from_secs(30 * 24 * 60 * 60),
};
/// Letters to one address on the request of sources that have not signed in to its account.
const LETTERS: Rate = Rate {
    count: 10,
    per: Duration::from_secs(60 * 60),
};
/// How many counters this process keeps while the store is away. Beyond it new ones are refused: without the store nobody can sign in anyway.
const LOCAL_CAP: usize = 100_000;

/// What a password is tried for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// Proving who one is: sign-in, change of password, deletion. They share their counters, since a guess is a guess.
    Guess,
    /// Making an account.
    Register,
    /// Asking for a letter.
    Letter,
    /// Using what a letter brought.
    Link,
}

/// An account as the counters name it: a digest of the address in its one form, so that a counter store holds no addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AccountKey(String);

impl AccountKey {
    pub(super) fn of(email: &Email) -> Self {
        Self::digest(email.as_str())
    }

    /// The key of what was typed as an address, whether or not it is one.
    pub(super) fn of_typed(text: &str) -> Self {
        text.parse()
            .map_or_else(|_| Self::digest(&text.trim().to_lowercase()), |email| Self::of(&email))
    }

    /// The key as text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn digest(text: &str) -> Self {
        let hash = digest(&SHA256, text.as_bytes());
        Self(URL_SAFE_NO_PAD.encode(hash.as_ref().get(..16).unwrap_or_default()))
    }
}

/// Where somebody tries from, as the counters name it: IPv4 /32, IPv6 /64 (what one subscriber is given).
fn source(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// The counters.
#[derive(Debug)]
pub(super) struct Throttle {
    limits: AuthLimits,
    store: Arc<dyn EphemeralStore>,
    clock: Arc<dyn Clock>,
    local: Mutex<HashMap<String, Count>>,
}

impl Throttle {
    pub(super) fn new(limits: &AuthLimits, store: Arc<dyn EphemeralStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            limits: limits.clone(),
            store,
            clock,
            local: Mutex::default(),
        }
    }

    /// Counts one attempt and lets it pass, or refuses with the time to wait. A device that the account knows has tries of its own, which nobody else
    /// can use up, and no others.
    pub(super) async fn admit(
        &self,
        caller: &Caller,
        account: &AccountKey,
        door: Door,
        device: Option<Device>,
    ) -> Result<(), AuthError> {
        if let Some(device) = device {
            let [brief, long] = ["device", "device-long"].map(|word| format!("limit:{word}:{device}"));
            let limits = [
                counter(&brief, self.limits.per_account_ip),
                counter(&long, self.limits.per_account),
            ];
            return self.count(&limits).await;
        }
        let source = source(caller.ip);
        let AccountKey(account) = account;
        let word = match door {
            Door::Guess => "guess",
            Door::Register => "register",
            Door::Letter => "letter",
            Door::Link => "link",
        };
        let from_here = source_key(source);
        let to_it_from_here = format!("limit:{word}:{account}:{source}");
        let to_it = format!("limit:{word}:{account}");
        let known = known_key(account, source);
        self.count(&[
            counter(&from_here, self.limits.per_ip),
            counter(&to_it_from_here, self.limits.per_account_ip),
            Counter {
                except: Some(&known),
                ..counter(&to_it, self.limits.per_account)
            },
        ])
        .await
    }

    /// Counts one attempt of a source that does not name an account.
    pub(super) async fn admit_source(&self, caller: &Caller) -> Result<(), AuthError> {
        self.count(&[counter(&source_key(source(caller.ip)), self.limits.per_ip)])
            .await
    }

    /// Counts one challenge for a passkey. It is no attempt yet, and pages ask for one before anybody does anything: it uses up no attempts.
    pub(super) async fn admit_question(&self, caller: &Caller) -> Result<(), AuthError> {
        let key = format!("limit:question:{}", source(caller.ip));
        self.count(&[counter(&key, self.limits.per_ip)]).await
    }

    /// Counts one code tried in a second step.
    pub(super) async fn admit_to_step(&self, step: &str) -> Result<(), AuthError> {
        self.count(&[counter(&format!("limit:{step}"), TRIES_OF_A_STEP)]).await
    }

    /// Counts one code tried for an account: however many second steps are begun, this is how many guesses there are.
    /// A device that the account knows has as many of its own.
    pub(super) async fn admit_code(&self, user: UserId, device: Option<Device>) -> Result<(), AuthError> {
        let key = format!("limit:code:{user}{}", of(device));
        self.count(&[counter(&key, self.limits.per_account_code)]).await
    }

    /// Counts one code tried in a row, without a right one between: the counter of the factor names the row, and moves with every code that is taken.
    pub(super) async fn admit_in_a_row(&self, factor: &Factor, device: Option<Device>) -> Result<(), AuthError> {
        let key = format!("limit:row:{}:{}{}", factor.id, factor.counter, of(device));
        self.count(&[counter(&key, TRIES_IN_A_ROW)]).await
    }

    /// Whether one more letter may go to an address that anybody can name. Too many are not refused but left out, so that the answer stays the same;
    /// a source or a device that has signed in to the account before may always ask.
    pub(super) async fn may_write(&self, caller: &Caller, account: &AccountKey, device: Option<Device>) -> bool {
        let known = self.knows(caller, account).await || device.is_some();
        let AccountKey(account) = account;
        let key = format!("limit:letters:{account}");
        let within = self.count(&[counter(&key, LETTERS)]).await;
        known || within.is_ok()
    }

    /// Whether the source has signed in to the account before.
    ///
    /// When the store cannot tell, the source is a stranger.
    pub(super) async fn knows(&self, caller: &Caller, AccountKey(account): &AccountKey) -> bool {
        let key = known_key(account, source(caller.ip));
        self.store.remembers(&key, self.clock.now()).await.unwrap_or(false)
    }

    /// Remembers that the source has signed in to the account. Best effort: a sign-in does not fail over it. To the end of a day (UTC), so that further
    /// sign-ins of that day have nothing to write.
    pub(super) async fn remember(&self, caller: &Caller, AccountKey(account): &AccountKey) {
        let days = self.clock.now().plus(KNOWN_FOR).as_secs() / DAY;
        let until = Timestamp::from_secs((days + 1) * DAY);
        if let Err(error) = self.store.remember(&known_key(account, source(caller.ip)), until).await {
            tracing::warn!(%error, "a source could not be remembered as known to an account");
        }
    }

    /// Counts one attempt with one counter after the other, up to the first that refuses.
    async fn count(&self, counters: &[Counter<'_>]) -> Result<(), AuthError> {
        let now = self.clock.now();
        let refused = match self.store.admit(counters, now).await {
            Ok(refused) => refused,
            // The store's own room logs and counts its failures. Every source is a stranger then: the limit for all of them together holds for it as well.
            Err(_) => counters.iter().find_map(|counter| {
                let count = self.count_here(counter, now);
                (count.count > counter.most).then_some(count)
            }),
        };
        refused.map_or(Ok(()), |count| {
            let retry_after = count.resets_at.since(now).max(Duration::from_secs(1));
            Err(AuthError::RateLimited { retry_after })
        })
    }

    fn count_here(&self, counter: &Counter<'_>, now: Timestamp) -> Count {
        let mut local = self.local.lock().unwrap_or_else(PoisonError::into_inner);
        if local.len() >= LOCAL_CAP {
            local.retain(|_, count| count.resets_at > now);
        }
        let fresh = Count {
            count: 0,
            resets_at: now.plus(counter.window),
        };
        if local.len() >= LOCAL_CAP && !local.contains_key(counter.key) {
            return Count {
                count: u32::MAX,
                ..fresh
            };
        }
        let count = local.entry(counter.key.to_owned()).or_insert(fresh);
        if count.resets_at <= now {
            *count = fresh;
        }
        count.count = count.count.saturating_add(1);
        *count
    }
}

/// One that keeps to a rate, whoever it concerns.
fn counter(key: &str, rate: Rate) -> Counter<'_> {
    Counter {
        key,
        window: rate.per,
        most: rate.count,
        except: None,
    }
}

fn source_key(source: IpAddr) -> String {
    format!("limit:ip:{source}")
}

/// The part of a counter's name that is a device's.
fn of(device: Option<Device>) -> String {
    device.map_or_else(String::new, |device| format!(":{device}"))
}

fn known_key(account: &str, source: IpAddr) -> String {
    format!("known:{account}:{source}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::world::{Switch, World, caller_at};
    use crate::model::clock::ManualClock;

    fn rate(count: u32, secs: u64) -> Rate {
        Rate {
            count,
            per: Duration::from_secs(secs),
        }
    }

    struct Gate {
        throttle: Throttle,
        clock: Arc<ManualClock>,
        switch: Arc<Switch>,
        _world: World,
    }

    async fn gate(per_ip: u32, per_account_ip: u32, per_account: u32) -> Gate {
        let world = World::new().await;
        let limits = AuthLimits {
            per_ip: rate(per_ip, 60),
            per_account_ip: rate(per_account_ip, 300),
            per_account: rate(per_account, 3600),
            per_account_code: rate(20, 3600),
        };
        let throttle = Throttle::new(&limits, world.stores.ephemeral.clone(), world.clock.clone());
        Gate {
            throttle,
            clock: world.clock.clone(),
            switch: world.ephemeral.clone(),
            _world: world,
        }
    }

    impl Gate {
        async fn admits(&self, ip: &str, account: &str) -> bool {
            let key = AccountKey::of_typed(account);
            self.throttle
                .admit(&caller_at(ip), &key, Door::Guess, None)
                .await
                .is_ok()
        }
    }

    const ADA: &str = "ada@example.com";

    #[tokio::test]
    async fn a_source_has_its_limit_and_gets_it_back() {
        let gate = gate(2, 9, 9).await;
        assert!(gate.admits("192.0.2.1", "a").await && gate.admits("::ffff:192.0.2.1", "b").await);
        let key = AccountKey::of_typed("c");
        let refused = gate
            .throttle
            .admit(&caller_at("192.0.2.1"), &key, Door::Register, None)
            .await;
        let Err(AuthError::RateLimited { retry_after }) = refused else {
            panic!("let through")
        };
        assert_eq!(retry_after, Duration::from_secs(60));
        assert!(gate.admits("192.0.2.2", "c").await);
        gate.clock.advance(retry_after);
        assert!(gate.admits("192.0.2.1", "a").await);
    }

    #[tokio::test]
    async fn all_of_a_v6_subscribers_addresses_are_one_source() {
        let gate = gate(1, 9, 9).await;
        assert!(gate.admits("2001:db8:1:2::1", "a").await);
        assert!(!gate.admits("2001:db8:1:2:ffff::9", "b").await);
        assert!(gate.admits("2001:db8:1:3::1", "c").await);
    }

    #[tokio::test]
    async fn an_account_is_limited_from_one_source_however_its_address_is_spelled() {
        let gate = gate(9, 2, 9).await;
        assert!(gate.admits("192.0.2.1", ADA).await && gate.admits("192.0.2.1", " Ada@EXAMPLE.com ").await);
        assert!(!gate.admits("192.0.2.1", "ADA@example.com").await);
        assert!(gate.admits("192.0.2.2", ADA).await);
    }

    #[tokio::test]
    async fn an_accounts_own_limit_never_shuts_out_a_source_that_signed_in_to_it() {
        let gate = gate(9, 9, 2).await;
        gate.throttle
            .remember(&caller_at("192.0.2.1"), &AccountKey::of_typed(ADA))
            .await;
        assert!(gate.admits("198.51.100.1", ADA).await && gate.admits("198.51.100.2", ADA).await);
        assert!(!gate.admits("198.51.100.3", ADA).await);
        assert!(gate.admits("192.0.2.1", ADA).await);
        assert!(
            !gate.admits("192.0.2.2", ADA).await,
            "known is the source, not the network around it"
        );
    }

    #[tokio::test]
    async fn a_source_stays_known_to_the_end_of_the_ninetieth_day() {
        let gate = gate(9, 9, 9).await;
        let (caller, ada) = (caller_at("192.0.2.1"), AccountKey::of_typed(ADA));
        gate.throttle.remember(&caller, &ada).await;
        let left = DAY - gate.clock.now().plus(KNOWN_FOR).as_secs() % DAY;
        gate.clock.advance(KNOWN_FOR + Duration::from_secs(left - 1));
        assert!(gate.throttle.knows(&caller, &ada).await);
        gate.clock.advance(Duration::from_secs(1));
        assert!(!gate.throttle.knows(&caller, &ada).await);
    }

    #[tokio::test]
    async fn what_a_source_does_beyond_its_limit_uses_up_nobody_elses() {
        let gate = gate(9, 1, 2).await;
        for _ in 0..5 {
            gate.admits("198.51.100.1", ADA).await;
        }
        assert!(gate.admits("192.0.2.1", ADA).await);
    }

    #[tokio::test]
    async fn without_the_store_the_same_figures_hold() {
        let gate = gate(9, 2, 3).await;
        gate.switch.set_down(true);
        assert!(gate.admits("192.0.2.1", ADA).await && gate.admits("192.0.2.1", ADA).await);
        assert!(!gate.admits("192.0.2.1", ADA).await);
        assert!(gate.admits("192.0.2.2", ADA).await);
        assert!(!gate.admits("192.0.2.3", ADA).await);
        gate.clock.advance(Duration::from_secs(3600));
        assert!(gate.admits("192.0.2.3", ADA).await);
    }

    #[tokio::test]
    async fn without_the_store_the_memory_of_counters_is_bounded() {
        let gate = gate(9, 9, 9).await;
        let now = gate.clock.now();
        for number in 0..LOCAL_CAP {
            let key = number.to_string();
            gate.throttle.count_here(&counter(&key, rate(1, 60)), now);
        }
        let surplus = gate.throttle.count_here(&counter("one more", rate(1, 60)), now);
        assert!(surplus.count > 1);
        assert_eq!(gate.throttle.count_here(&counter("7", rate(1, 60)), now).count, 2);
        let later = now.plus(Duration::from_secs(61));
        assert_eq!(
            gate.throttle.count_here(&counter("one more", rate(1, 60)), later).count,
            1
        );
    }

    #[test]
    fn a_counter_holds_no_address() {
        let AccountKey(key) = AccountKey::of_typed(ADA);
        assert!(!key.contains("ada") && key.len() == 22);
        assert_eq!(AccountKey::of_typed(&"x".repeat(10_000)).0.len(), 22);
    }
}
