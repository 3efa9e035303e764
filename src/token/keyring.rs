//! The key ring at work: reads the stored keys, adds the next one in time, revokes, imports.
//!
//! The store's list is the truth, and adding a key is a compare-and-set on it; so any number of gateways may come to the conclusion that a key is due, and
//! one key is made. Every gateway reads the list once a second, and at once when it meets a `kid` that it does not know.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::TokenError;
use super::keys::{self, KeyInfo, KeyState, Planned, Policy};
use super::pair::Pair;
use super::ring::Ring;
use crate::model::clock::{Clock, Timestamp};
use crate::model::seal::Seal;
use crate::model::secret::Secret;
use crate::store::StoreError;
use crate::store::accounts::{AccountStore, StoredKey};
use crate::telemetry::Telemetry;
use crate::telemetry::audit::Event;

/// How often the stored keys are read.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// Unknown `kid`s make us read them at most this often: whoever invents them costs the store four questions a second.
const AT_MOST_EVERY: Duration = Duration::from_millis(250);
const NO_SEAL: TokenError = TokenError::Signing("a private key could not be sealed");
/// How often somebody else may be faster before we give up.
const ATTEMPTS: usize = 5;

/// The keys, and what changes them.
#[derive(Debug)]
pub(super) struct Keyring {
    store: Arc<dyn AccountStore>,
    seal: Seal,
    ring: ArcSwap<Ring>,
    /// Held while the list is read; how that went when it was last read for an unknown `kid`.
    reading: Mutex<Option<Reading>>,
    clock: Arc<dyn Clock>,
    control: Handle,
    telemetry: Telemetry,
}

/// How a key comes into the list, in the words of the audit log.
#[derive(Clone, Copy, Debug)]
enum Origin {
    Made,
    Imported,
}

impl Origin {
    const fn event(self) -> &'static str {
        match self {
            Self::Made => "key.rotated",
            Self::Imported => "key.imported",
        }
    }
}

/// One reading of the list.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at: Instant,
    succeeded: bool,
}

impl Keyring {
    /// Reads the keys and makes the first one when there is none. A store that fails leaves the ring empty until `maintain` has read it.
    pub(super) async fn open(
        store: Arc<dyn AccountStore>,
        secret: &Secret,
        clock: Arc<dyn Clock>,
        control: Handle,
        telemetry: Telemetry,
        policy: &Policy,
    ) -> Result<Self, TokenError> {
        let keyring = Self {
            store,
            seal: Seal::new(secret, "signing keys").map_err(|_| NO_SEAL)?,
            ring: ArcSwap::default(),
            reading: Mutex::default(),
            clock,
            control,
            telemetry,
        };
        match keyring.fill(policy).await {
            Err(TokenError::Store(error)) => {
                tracing::warn!(%error, "signing keys: not read yet; nobody's token can be judged until they are");
            }
            outcome => outcome?,
        }
        Ok(keyring)
    }

    /// The keys as read last.
    pub(super) fn ring(&self) -> Guard<Arc<Ring>> {
        self.ring.load()
    }

    /// Reads the list, makes what is due, takes away what is over; until it is dropped. A failure is logged once, and again when it has changed.
    pub(super) async fn maintain(&self, policy: impl Fn() -> Arc<Policy>) {
        let mut last_failure = None;
        loop {
            let outcome = self.turn(&policy()).await.map_err(|error| error.to_string());
            match outcome {
                Ok(()) => last_failure = None,
                Err(error) if last_failure.as_ref() == Some(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "signing keys: cannot be kept up; going on with those in memory");
                    last_failure = Some(error);
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Reads the list again because of a `kid` that is not in memory: another gateway may have begun to sign with it a moment ago. Whether it is now.
    ///
    /// # Errors
    /// When it cannot be told: the list could not be read.
    pub(super) async fn look_for(self: &Arc<Self>, kid: &str) -> Result<bool, StoreError> {
        let keyring = Arc::clone(self);
        let reading = self.control.spawn(async move { keyring.read_for_unknown().await });
        let was_read = reading.await.unwrap_or(false);
        if self.ring().verifier(kid).is_some() {
            return Ok(true);
        }
        // The cause is `maintain`'s to report.
        let (store, source) = ("accounts", None);
        if was_read {
            Ok(false)
        } else {
            Err(StoreError::Unavailable { store, source })
        }
    }

    /// The keys as an operator sees them, fresh from the store.
    pub(super) async fn list(&self, policy: &Policy) -> Result<Vec<KeyInfo>, TokenError> {
        self.read().await?;
        Ok(policy.describe(&self.ring().stored, self.clock.now()))
    }

    /// Makes a key that signs at once, or after it was published long enough; returns its `kid`.
    pub(super) async fn rotate(&self, policy: &Policy, at_once: bool) -> Result<String, TokenError> {
        let pair = self.generate(policy).await?;
        self.add(pair, policy, Origin::Made, at_once).await
    }

    /// Takes an operator's key over; returns its `kid`.
    pub(super) async fn import(&self, policy: &Policy, pem: &str) -> Result<String, TokenError> {
        let pair = Pair::from_pem(pem)?;
        if pair.algorithm() != policy.algorithm {
            return Err(TokenError::BadKey(format!(
                "the key is for {}, but tokens.algorithm is {}; change one of them",
                pair.algorithm().name(),
                policy.algorithm.name()
            )));
        }
        let kid = pair.public()?.thumbprint();
        self.read().await?;
        if let Some(known) = self.ring().stored.iter().find(|key| key.kid == kid) {
            let how = if known.revoked_at.is_some() {
                "was revoked"
            } else {
                "is in use already"
            };
            return Err(TokenError::BadKey(format!("the key {kid} {how}")));
        }
        self.add(pair, policy, Origin::Imported, false).await
    }

    /// Revokes a key. If it signs, its successor is there first, so that there is no moment without one.
    pub(super) async fn revoke(&self, policy: &Policy, kid: &str) -> Result<bool, TokenError> {
        self.read().await?;
        let ring = Arc::clone(&self.ring());
        let now = self.clock.now();
        let Some(key) = ring.stored.iter().find(|key| key.kid == kid) else {
            return Ok(false);
        };
        let newer = ring.stored.iter().skip_while(|other| other.kid != kid).skip(1);
        let alone = !newer.into_iter().any(|other| keys::is_live(other, now));
        if alone && keys::state(&ring.stored, key, now) == KeyState::Signing {
            self.rotate(policy, true).await?;
        }
        let revoked = self.store.revoke_key(kid, now).await?;
        self.read().await?;
        if revoked {
            tracing::warn!(kid, "signing keys: revoked");
            self.record("key.revoked", kid).await;
            self.keep_to(policy).await?;
        }
        Ok(revoked)
    }

    async fn fill(&self, policy: &Policy) -> Result<(), TokenError> {
        self.read().await?;
        if self.ring().signing(self.clock.now()).is_err() {
            self.keep_to(policy).await?;
        }
        Ok(())
    }

    async fn turn(&self, policy: &Policy) -> Result<(), TokenError> {
        self.read().await?;
        self.keep_to(policy).await?;
        // A key that is over is kept as long again: the list still tells an operator what happened.
        let over = self.clock.now().minus(policy.afterlife());
        if self.ring().stored.iter().any(|key| is_over(key, over)) {
            self.store.purge_keys(over).await?;
        }
        Ok(())
    }

    /// Makes the key that is due, if one is. Being overtaken is as good.
    async fn keep_to(&self, policy: &Policy) -> Result<(), TokenError> {
        let due = |keyring: &Self| policy.plan(&keyring.ring().stored, keyring.clock.now());
        if due(self).is_none() {
            return Ok(());
        }
        let pair = self.generate(policy).await?;
        // Making it took a while, in which another may have been made.
        self.read().await?;
        if let Some(planned) = due(self) {
            self.try_add(&pair, Origin::Made, &planned).await?;
            self.read().await?;
        }
        Ok(())
    }

    async fn add(&self, pair: Pair, policy: &Policy, origin: Origin, at_once: bool) -> Result<String, TokenError> {
        for _ in 0..ATTEMPTS {
            self.read().await?;
            let now = self.clock.now();
            let wait = if at_once { Duration::ZERO } else { policy.publish_before };
            let planned = policy.plan_at(&self.ring().stored, now, now.plus(wait));
            if let Some(kid) = self.try_add(&pair, origin, &planned).await? {
                self.read().await?;
                return Ok(kid);
            }
        }
        Err(TokenError::Signing("other gateways keep changing the keys; try again"))
    }

    /// `None`: another was faster.
    async fn try_add(&self, pair: &Pair, origin: Origin, planned: &Planned) -> Result<Option<String>, TokenError> {
        let kid = pair.public()?.thumbprint();
        let key = StoredKey {
            sealed: self.seal.seal(kid.as_bytes(), &pair.to_pkcs8()?).map_err(|_| NO_SEAL)?,
            kid: kid.clone(),
            algorithm: pair.algorithm(),
            created_at: self.clock.now(),
            active_from: planned.active_from,
            retires_at: None,
            revoked_at: None,
        };
        let (after, retires_at) = (planned.after.as_deref(), planned.predecessor_retires_at);
        if !self.store.add_key(&key, after, retires_at).await? {
            return Ok(None);
        }
        tracing::info!(kid, active_from = %planned.active_from, "signing keys: a new one was made");
        self.record(origin.event(), &kid).await;
        Ok(Some(kid))
    }

    /// Who signs is whom everybody behind the gateway trusts, so each change is a security event; the detail is the key's `kid`.
    async fn record(&self, what: &'static str, kid: &str) {
        self.telemetry.audit.record(Event {
            what,
            caller: None,
            user: None,
            session: None,
            detail: kid,
        });
        self.telemetry.audit.written().await;
    }

    async fn generate(&self, policy: &Policy) -> Result<Pair, TokenError> {
        let algorithm = policy.algorithm;
        let making = self.control.spawn_blocking(move || Pair::generate(algorithm));
        making
            .await
            .unwrap_or(Err(TokenError::Signing("the thread that made a key ended")))
    }

    async fn read(&self) -> Result<(), TokenError> {
        let _one_reads = self.reading.lock().await;
        self.read_now().await
    }

    /// Whether the list as it is now, or was a moment ago, could be read.
    async fn read_for_unknown(&self) -> bool {
        let mut last = self.reading.lock().await;
        if let Some(reading) = *last
            && reading.at.elapsed() < AT_MOST_EVERY
        {
            return reading.succeeded;
        }
        let succeeded = self.read_now().await.is_ok();
        let at = Instant::now();
        *last = Some(Reading { at, succeeded });
        succeeded
    }

    /// With `reading` held, so that an older list never takes the place of a newer one.
    async fn read_now(&self) -> Result<(), TokenError> {
        let stored = self.store.keys().await?;
        let now = self.clock.now();
        let ring = Ring::new(stored, &self.ring(), &self.seal, now)?;
        for state in KeyState::ALL {
            let count = ring
                .stored
                .iter()
                .filter(|key| keys::state(&ring.stored, key, now) == state)
                .count();
            self.telemetry.metrics.keys(state.name(), count);
        }
        self.ring.store(Arc::new(ring));
        Ok(())
    }
}

fn is_over(key: &StoredKey, moment: Timestamp) -> bool {
    let before = |at: Option<Timestamp>| at.is_some_and(|at| at < moment);
    before(key.retires_at) || before(key.revoked_at)
}

#[cfg(test)]
mod tests;
