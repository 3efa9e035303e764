//! What is no longer good: memory in front of the store.
//!
//! While the feed is up, memory knows every revocation within its lag, and a token that was asked for once in this epoch of the feed needs no more than
//! a comparison of numbers. When the feed breaks a new epoch begins and tokens are asked for again; when the store does not answer either, tokens
//! that this gateway knows go on from memory, and new ones for `max_staleness`. A revocation, once seen, is never forgotten before it has run out.
//!
//! Nobody who is known waits for a store that has fallen silent: they are let through and asked for meanwhile. The same goes for a new epoch in which
//! the feed is whole again, since memory then holds whatever the store had to tell.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Mutex, Semaphore};

use super::feed::Place;
use super::mirror::Mirror;
use super::verify::Verified;
use super::{Rejected, TokenError};
use crate::config::RevocationMode;
use crate::model::clock::{Clock, Timestamp};
use crate::model::session::SessionId;
use crate::store::ephemeral::{EphemeralStore, Revocation, Revoked};
use crate::store::sessions::SessionStore;
use crate::store::{StoreError, Stores};
use crate::telemetry::Metrics;

/// While the feed is down an answer of the store is good for this long, and after a failure the store is left alone for this long.
const PAUSE: Duration = Duration::from_secs(1);

/// Questions that may be on their way while nobody waits for the answer.
const MEANWHILE: usize = 32;

/// The feed is up.
const UP: u64 = u64::MAX;
/// It has never been up, so nothing may be concluded from what memory does not hold.
const NEVER: u64 = 0;

/// What is revoked, and how sure of it we are.
pub(super) struct Revocations {
    pub(super) store: Arc<dyn EphemeralStore>,
    pub(super) sessions: Arc<dyn SessionStore>,
    pub(super) mirror: Mirror,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) place: Mutex<Place>,
    control: Handle,
    pub(super) metrics: Arc<Metrics>,
    /// Counts from 1; a new one begins whenever the feed breaks.
    epoch: AtomicU64,
    /// `UP`, `NEVER`, or when the feed broke (milliseconds).
    down_since: AtomicU64,
    /// Until when a store that failed is not asked.
    quiet_until: AtomicU64,
    /// The last question to the store, or the feed's, was not answered.
    silent: AtomicBool,
    /// Room for questions whose answers nobody waits for.
    meanwhile: Arc<Semaphore>,
}

/// What one token was told, kept with it.
#[derive(Debug, Default)]
pub(super) struct Clearance {
    /// The mirror's version at which it was looked up last; 0: never.
    version: AtomicU64,
    /// The epoch in which the store said that it is good; 0: never; `REVOKED`: it said the opposite, which is for good.
    epoch: AtomicU64,
    /// When the store said so (milliseconds).
    asked_at: AtomicU64,
    /// Held while the store is asked: requests that race with one token ask once.
    asking: Mutex<()>,
}

const REVOKED: u64 = u64::MAX;

impl Revocations {
    /// Knows nothing yet; `load` before it is leant on.
    pub(super) fn new(stores: &Stores, clock: Arc<dyn Clock>, control: Handle, metrics: Arc<Metrics>) -> Self {
        Self {
            store: Arc::clone(&stores.ephemeral),
            sessions: Arc::clone(&stores.sessions),
            mirror: Mirror::new(Arc::clone(&clock)),
            clock,
            place: Mutex::default(),
            control,
            metrics,
            epoch: AtomicU64::new(1),
            down_since: AtomicU64::new(NEVER),
            quiet_until: AtomicU64::new(0),
            silent: AtomicBool::new(false),
            meanwhile: Arc::new(Semaphore::new(MEANWHILE)),
        }
    }

    /// Whether a token may pass; waits for the store only when memory is not enough.
    pub(super) async fn judge(
        self: &Arc<Self>,
        token: &Arc<Verified>,
        mode: RevocationMode,
        max_staleness: Duration,
    ) -> Result<(), Rejected> {
        if mode == RevocationMode::Off {
            return Ok(());
        }
        self.recall(token)?;
        match mode {
            // What waits is boxed: every request's future would carry its room about.
            RevocationMode::Strict => Box::pin(self.ask(token)).await,
            _ if self.is_cleared(&token.clearance) => Ok(()),
            _ if self.need_not_wait(&token.clearance) => {
                self.ask_meanwhile(token);
                Ok(())
            }
            _ => Box::pin(self.clear(token, max_staleness)).await,
        }
    }

    /// Whether a token may keep what it has, where memory is not enough: by what the store said of late, whoever asked it.
    pub(super) async fn judge_of_late(self: &Arc<Self>, token: &Arc<Verified>) -> Result<(), Rejected> {
        self.recall(token)?;
        let _one_asks = token.clearance.asking.lock().await;
        self.recall(token)?;
        if self.was_asked_of_late(&token.clearance) {
            return Ok(());
        }
        self.ask(token).await
    }

    /// Revokes: in the store first, so that what is said to be done is done everywhere, then here at once.
    pub(super) async fn revoke(&self, what: &[Revoked], until: Timestamp) -> Result<(), TokenError> {
        let list: Vec<Revocation> = what.iter().map(|&what| Revocation { what, until }).collect();
        if list.is_empty() {
            return Ok(());
        }
        self.store.revoke(&list).await?;
        self.mirror.learn(&list, self.clock.now());
        for what in what {
            self.metrics.revocation(kind(what));
        }
        Ok(())
    }

    /// Whether a session is known to have ended, whatever a store that lost data says.
    pub(super) fn has_ended(&self, session: SessionId) -> bool {
        self.mirror.holds_session(session)
    }

    /// The feed works and memory is whole. So the store answers: tokens that come now are asked for, and known when it fails again.
    pub(super) fn feed_is_up(&self) {
        self.quiet_until.store(0, Ordering::Release);
        self.silent.store(false, Ordering::Release);
        if self.down_since.swap(UP, Ordering::AcqRel) != UP {
            self.metrics.revocation_feed_up(true);
            tracing::info!("revocations: the feed is up");
        }
    }

    /// What an error of the store says about it. One that holds something damaged has answered.
    pub(super) fn store_failed(&self, error: &StoreError) {
        let silent = !matches!(error, StoreError::Damaged { .. });
        self.silent.store(silent, Ordering::Release);
    }

    /// The feed broke: what is revoked from now on may not reach us.
    pub(super) fn feed_is_down(&self, why: &dyn fmt::Display) {
        let now = self.clock.now().as_millis();
        let broke = self
            .down_since
            .compare_exchange(UP, now, Ordering::AcqRel, Ordering::Acquire)
            .is_ok();
        self.metrics.revocation_feed_up(false);
        if broke {
            self.epoch.fetch_add(1, Ordering::AcqRel);
            tracing::warn!(error = %why, "revocations: the feed broke; tokens are asked for in the store");
        }
    }

    /// Whether it works.
    pub(super) fn is_feed_up(&self) -> bool {
        self.down_since.load(Ordering::Acquire) == UP
    }

    /// Memory: two loads for a token that was looked up at this version.
    fn recall(&self, token: &Verified) -> Result<(), Rejected> {
        let clearance = &token.clearance;
        if clearance.epoch.load(Ordering::Acquire) == REVOKED {
            return Err(Rejected::Revoked);
        }
        let version = self.mirror.version();
        if clearance.version.load(Ordering::Acquire) == version {
            return Ok(());
        }
        if self.mirror.holds(&token.identity) {
            return Err(Rejected::Revoked);
        }
        clearance.version.store(version, Ordering::Release);
        Ok(())
    }

    fn is_cleared(&self, clearance: &Clearance) -> bool {
        if clearance.epoch.load(Ordering::Acquire) != self.epoch.load(Ordering::Acquire) {
            return false;
        }
        self.is_feed_up() || self.was_asked_of_late(clearance)
    }

    /// Whether the store called it good within `PAUSE`.
    fn was_asked_of_late(&self, clearance: &Clearance) -> bool {
        let asked_at = Timestamp::from_millis(clearance.asked_at.load(Ordering::Acquire));
        self.clock.now().since(asked_at) < PAUSE
    }

    /// Of a token that the store has called good, in whichever epoch. While the store answers and the feed is down, only the store knows.
    fn need_not_wait(&self, clearance: &Clearance) -> bool {
        clearance.is_known() && (self.is_feed_up() || self.silent.load(Ordering::Acquire))
    }

    /// Asks behind the back of a request that goes on: one question for each token, and so many in all. What finds no room comes with a later request.
    fn ask_meanwhile(self: &Arc<Self>, token: &Arc<Verified>) {
        if self.is_left_alone() || token.clearance.asking.try_lock().is_err() {
            return;
        }
        let Ok(room) = Arc::clone(&self.meanwhile).try_acquire_owned() else {
            return;
        };
        let (this, token) = (Arc::clone(self), Arc::clone(token));
        self.control.spawn(async move {
            let Ok(_one_asks) = token.clearance.asking.try_lock() else {
                return;
            };
            if let Err(Rejected::Unavailable(_)) = this.question(&token).await {
                this.leave_alone();
            }
            drop(room);
        });
    }

    async fn clear(self: &Arc<Self>, token: &Arc<Verified>, max_staleness: Duration) -> Result<(), Rejected> {
        let clearance = &token.clearance;
        let _one_asks = clearance.asking.lock().await;
        self.recall(token)?;
        if self.is_cleared(clearance) {
            return Ok(());
        }
        if self.is_left_alone() {
            return self.without_store(clearance, max_staleness, left_alone());
        }
        match self.ask(token).await {
            Err(Rejected::Unavailable(error)) => {
                self.leave_alone();
                self.without_store(clearance, max_staleness, error)
            }
            answered => answered,
        }
    }

    fn is_left_alone(&self) -> bool {
        self.clock.now().as_millis() < self.quiet_until.load(Ordering::Acquire)
    }

    fn leave_alone(&self) {
        let until = self.clock.now().plus(PAUSE).as_millis();
        self.quiet_until.store(until, Ordering::Release);
    }

    /// The store does not answer: memory decides, as long as it may.
    fn without_store(&self, clearance: &Clearance, max_staleness: Duration, error: StoreError) -> Result<(), Rejected> {
        let fresh = match self.down_since.load(Ordering::Acquire) {
            UP => true,
            NEVER => false,
            since => self.clock.now().since(Timestamp::from_millis(since)) < max_staleness,
        };
        if clearance.is_known() || fresh {
            Ok(())
        } else {
            Err(Rejected::Unavailable(error))
        }
    }

    /// Asks the store, on the control plane: its connections live there.
    async fn ask(self: &Arc<Self>, token: &Arc<Verified>) -> Result<(), Rejected> {
        let (this, token) = (Arc::clone(self), Arc::clone(token));
        let question = self.control.spawn(async move { this.question(&token).await });
        question.await.map_err(|_| Rejected::Unavailable(left_alone()))?
    }

    async fn question(&self, token: &Verified) -> Result<(), Rejected> {
        let (who, clearance) = (&token.identity, &token.clearance);
        // Taken before the question: an answer counts for the epoch in which it was asked for.
        let epoch = self.epoch.load(Ordering::Acquire);
        let asked_at = self.clock.now().as_millis();
        let answer = self.store.is_revoked(who.token, who.session, who.user).await;
        let revoked = answer.inspect_err(|error| self.store_failed(error))?;
        self.silent.store(false, Ordering::Release);
        if revoked {
            clearance.epoch.store(REVOKED, Ordering::Release);
            return Err(Rejected::Revoked);
        }
        clearance.asked_at.store(asked_at, Ordering::Release);
        // An answer that was overtaken must neither undo a refusal nor go back to an older epoch.
        let _ = clearance.epoch.fetch_max(epoch, Ordering::AcqRel);
        Ok(())
    }
}

impl Clearance {
    /// Whether the store has ever called it good.
    fn is_known(&self) -> bool {
        self.epoch.load(Ordering::Acquire) != 0
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations")
            .field("epoch", &self.epoch)
            .field("version", &self.mirror.version())
            .finish_non_exhaustive()
    }
}

/// A store that was not asked.
pub(super) fn left_alone() -> StoreError {
    StoreError::Unavailable {
        store: "sessions",
        source: None,
    }
}

fn kind(what: &Revoked) -> &'static str {
    match what {
        Revoked::Token(_) => "token",
        Revoked::Session(_) => "session",
        Revoked::User(..) => "user",
    }
}

#[cfg(test)]
mod tests;
