//! The courier carries letters from the outbox to the post, in the background of every gateway.
//!
//! A letter is claimed for a minute, handed over and taken out: of several gateways one carries each, and one that dies in between leaves its letters to
//! the others. Only where it dies between the server's yes and the taking out does a letter go twice, under the same Message-ID. What is not taken is
//! tried again, later each time, for three days; then, or when the server says no for good, it is given up and the log says so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::letter::{Letter, Says};
use super::post::{Cover, Post, Refused};
use super::{Letters, is_over};
use crate::model::clock::Clock;
use crate::model::secret;
use crate::store::outbox::{Letter as Waiting, Outbox};
use crate::telemetry::Metrics;

/// How often the outbox is looked at. The outbox is not watched more closely than that on purpose: when a letter leaves tells nobody who asked for it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Letters carried at once.
const AT_ONCE: usize = 8;
/// How long a claimed letter is ours; longer than carrying takes at most.
const LEASE: Duration = Duration::from_secs(60);
/// How long carrying may take.
const CARRY_WITHIN: Duration = Duration::from_secs(40);
/// The pause after the first failure, which doubles with each further one…
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// How long a letter is tried.
const GIVE_UP_AFTER: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// How often a letter that was handed over is tried to be taken out, a second apart.
const TAKE_OUT_TRIES: u32 = 10;
/// How many looks pass between two counts of what waits.
const LOOKS_PER_COUNT: u32 = 5;

/// Carries letters.
#[derive(Debug)]
pub struct Courier {
    letters: Letters,
    post: Post,
    templates: BTreeMap<String, String>,
    metrics: Arc<Metrics>,
}

/// A courier on the way.
#[derive(Debug)]
pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// What became of a letter.
enum End {
    Sent,
    /// It was written to nobody.
    Nobody,
    /// Its link is of no use any more.
    Expired,
    /// It cannot be opened or put into words.
    Unreadable(String),
    Refused(Refused),
}

impl Courier {
    /// A courier of the given letters.
    pub fn new(letters: Letters, post: Post, templates: BTreeMap<String, String>, metrics: Arc<Metrics>) -> Self {
        Self {
            letters,
            post,
            templates,
            metrics,
        }
    }

    /// Begins to carry.
    pub fn start(self) -> Running {
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(Arc::new(self), stop.clone()));
        Running { stop, task }
    }

    /// What is due, and from now on ours. The store's own room logs and counts its failures.
    async fn claim(&self, limit: u32) -> Vec<Waiting> {
        let due = self.outbox().claim(self.clock().now(), LEASE, limit).await;
        due.unwrap_or_default()
    }

    async fn count(&self) {
        if let Ok(count) = self.outbox().waiting().await {
            self.metrics.mail_waiting(count);
        }
    }

    async fn carry(&self, waiting: &Waiting) {
        let end = tokio::time::timeout(CARRY_WITHIN, self.hand_over(waiting)).await;
        let end = end.unwrap_or_else(|_| End::Refused(Refused::ForNow("the mail server took too long".to_owned())));
        let word = match end {
            End::Sent => Some("sent"),
            End::Nobody => None,
            End::Expired => {
                tracing::warn!(letter.id = %waiting.id, "a letter was not sent: its link is of no use any more");
                Some("expired")
            }
            End::Unreadable(why) => {
                tracing::error!(letter.id = %waiting.id, why, "a letter cannot be read and is given up");
                Some("given_up")
            }
            End::Refused(Refused::ForNow(why)) if !self.is_too_old(waiting) => {
                return self.put_off(waiting, &why).await;
            }
            End::Refused(refused) => {
                tracing::error!(letter.id = %waiting.id, letter.attempts = waiting.attempts, why = %refused, "a letter is given up");
                Some("given_up")
            }
        };
        self.take_out(waiting).await;
        if let Some(word) = word {
            self.metrics.mail(word);
        }
    }

    async fn hand_over(&self, waiting: &Waiting) -> End {
        let Some(letter) = self.letters.open(waiting.id, &waiting.sealed) else {
            return End::Unreadable("it was sealed under another secret".to_owned());
        };
        if letter.says == Says::Nothing {
            return End::Nobody;
        }
        if is_over(letter.good_until, self.clock().now()) {
            return End::Expired;
        }
        match self
            .post
            .send(&cover(waiting, &letter), letter.worded(&self.templates))
            .await
        {
            Ok(()) => End::Sent,
            Err(refused) => End::Refused(refused),
        }
    }

    fn is_too_old(&self, waiting: &Waiting) -> bool {
        self.clock().now().since(waiting.created_at) >= GIVE_UP_AFTER
    }

    async fn put_off(&self, waiting: &Waiting, why: &str) {
        let pause = pause(waiting.attempts);
        tracing::warn!(letter.id = %waiting.id, letter.attempts = waiting.attempts, pause_seconds = pause.as_secs(), why, "a letter was not taken and is tried again");
        // Should that fail, it is due again when the lease is over.
        let _ = self.outbox().put_off(waiting.id, self.clock().now().plus(pause)).await;
        self.metrics.mail("failed");
    }

    /// Insists: a letter that was handed over and stays would go a second time.
    async fn take_out(&self, waiting: &Waiting) {
        for _ in 0..TAKE_OUT_TRIES {
            if self.outbox().take_out(waiting.id).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        tracing::error!(letter.id = %waiting.id, "a letter that was dealt with cannot be taken out, and may be sent again");
    }

    fn outbox(&self) -> &dyn Outbox {
        self.letters.outbox.as_ref()
    }

    fn clock(&self) -> &dyn Clock {
        self.letters.clock.as_ref()
    }
}

/// Carries what is due, as much at once as there is room for: one recipient whose server takes its time keeps no other waiting.
async fn run(courier: Arc<Courier>, stop: CancellationToken) {
    let mut under_way = JoinSet::new();
    let mut looks: u32 = 0;
    while !stop.is_cancelled() {
        let room = AT_ONCE.saturating_sub(under_way.len());
        let due = courier.claim(u32::try_from(room).unwrap_or_default()).await;
        let is_full = due.len() == room;
        for letter in due {
            let courier = Arc::clone(&courier);
            under_way.spawn(async move { courier.carry(&letter).await });
        }
        if looks.is_multiple_of(LOOKS_PER_COUNT) {
            courier.count().await;
        }
        looks = looks.wrapping_add(1);
        tokio::select! {
            () = stop.cancelled() => {}
            _ = under_way.join_next(), if is_full => {}
            () = tokio::time::sleep(LOOK_EVERY), if !is_full => {}
        }
        while under_way.try_join_next().is_some() {}
    }
    while under_way.join_next().await.is_some() {}
}

/// Lets a courier finish what it carries, and nothing more.
pub async fn finish(courier: Option<Running>, within: Duration) {
    let Some(Running { stop, task }) = courier else { return };
    stop.cancel();
    if tokio::time::timeout(within, task).await.is_err() {
        tracing::warn!("letters were being carried when the gateway ended; another one sends them again");
    }
}

fn cover<'a>(waiting: &Waiting, letter: &'a Letter) -> Cover<'a> {
    Cover {
        id: waiting.id,
        to: &letter.to,
        written_at: letter.written_at,
    }
}

/// Twice as long each time, and up to a fifth more, so that letters that failed together are not tried together for ever.
fn pause(attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
    let jitter = secret::random::<1>().map_or(0, |[byte]| u32::from(byte));
    pause + pause / 5 * jitter / 256
}

#[cfg(test)]
mod tests;
