//! Who is connected to one worker, and the sweep that keeps every connection's time limits.
//!
//! Seats are limited for all workers together. When none is free, a worker stops accepting and newcomers wait in the kernel's own bounded queue, where they
//! cost next to nothing; closing them at once would only make them come back. So that silent connections cannot hold the seats against them, those that
//! are between two requests are closed after a second as long as somebody waits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::pulse::{Order, Patience, Pulse, Steps};
use crate::config::Limits;

/// How often the sweep looks: every limit is kept to this.
pub const STEP: Duration = Duration::from_millis(250);

/// How long a connection may stay between two requests while others wait for a seat, in steps.
const IDLE_UNDER_PRESSURE: u32 = 4;

/// How much longer than its reader the sweep waits for a body, in steps.
const BODY_GRACE: u32 = 4;

/// The seats of all workers.
#[derive(Debug)]
pub struct Seats {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Seats {
    /// So many.
    pub fn new(total: usize) -> Arc<Self> {
        let total = total.min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            free: Arc::new(Semaphore::new(total)),
            waiting: AtomicUsize::new(0),
        })
    }

    async fn take(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(permit);
        }
        self.waiting.fetch_add(1, Relaxed);
        let _waiting = Waiting(&self.waiting);
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    fn is_short(&self) -> bool {
        self.waiting.load(Relaxed) > 0
    }
}

/// Counts one who waits, also when the wait is given up.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// One worker's connections.
#[derive(Debug)]
pub struct Roster {
    seats: Arc<Seats>,
    steps: Steps,
    seated: Mutex<HashMap<u64, Arc<Pulse>>>,
    next: AtomicU64,
    leaving: AtomicBool,
    emptied: Notify,
}

impl Roster {
    /// An empty one that draws on `seats`.
    pub fn sharing(seats: Arc<Seats>) -> Arc<Self> {
        Arc::new(Self {
            seats,
            steps: Steps::default(),
            seated: Mutex::default(),
            next: AtomicU64::new(0),
            leaving: AtomicBool::new(false),
            emptied: Notify::new(),
        })
    }

    /// An empty one with seats of its own.
    #[cfg(test)]
    pub fn new(seats: usize) -> Arc<Self> {
        Self::sharing(Seats::new(seats))
    }

    /// A seat, as soon as one is free, counted in `open`. `None`: there will be none any more.
    pub async fn sit(self: &Arc<Self>, open: &Gauge) -> Option<Seat> {
        let permit = self.seats.take().await?;
        let pulse = Pulse::new(Arc::clone(&self.steps));
        let number = self.next.fetch_add(1, Relaxed);
        self.seated().insert(number, Arc::clone(&pulse));
        if self.leaving.load(Relaxed) {
            pulse.finish();
        }
        open.inc();
        Some(Seat {
            number,
            pulse,
            roster: Arc::clone(self),
            open: open.clone(),
            _permit: permit,
        })
    }

    /// One step: every connection is judged. Returns how many are seated.
    pub fn sweep(&self, limits: &Limits) -> usize {
        self.steps.fetch_add(1, Relaxed);
        let patience = self.patience(limits);
        let seated = self.seated();
        for pulse in seated.values() {
            match pulse.judge(patience) {
                Order::GoOn => pulse.nudge(),
                Order::Finish => pulse.finish(),
                Order::Cut => pulse.cut(),
            }
        }
        seated.len()
    }

    /// Tells everybody, and whoever still comes, to finish.
    pub fn leave(&self) {
        self.leaving.store(true, Relaxed);
        for pulse in self.seated().values() {
            pulse.finish();
        }
    }

    /// Waits until nobody is seated.
    pub async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.seated().is_empty() {
                return;
            }
            emptied.await;
        }
    }

    fn patience(&self, limits: &Limits) -> Patience {
        let idle = steps(limits.idle_timeout);
        let pressed = self.seats.is_short();
        Patience {
            head: steps(limits.header_timeout),
            idle: if pressed { idle.min(IDLE_UNDER_PRESSURE) } else { idle },
            // The kernel asks for more only when a third of its own buffer is free again, which a slow client may take long over.
            stall: steps(limits.body_timeout.max(limits.idle_timeout)),
            body: steps(limits.body_timeout).saturating_add(BODY_GRACE),
        }
    }

    fn seated(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Pulse>>> {
        self.seated.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn steps(span: Duration) -> u32 {
    u32::try_from(span.as_millis().div_ceil(STEP.as_millis())).unwrap_or(u32::MAX / 2)
}

/// A connection's place; given back when dropped.
#[derive(Debug)]
pub struct Seat {
    number: u64,
    pulse: Arc<Pulse>,
    roster: Arc<Roster>,
    open: Gauge,
    _permit: OwnedSemaphorePermit,
}

impl Seat {
    /// The connection's state.
    pub fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.open.dec();
        let mut seated = self.roster.seated();
        seated.remove(&self.number);
        if seated.is_empty() {
            drop(seated);
            self.roster.emptied.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_more_connections_than_seats() {
        let (roster, open) = (Roster::new(1), Gauge::default());
        let seat = roster.sit(&open).await.expect("a seat");
        let mut second = Box::pin(roster.sit(&open));
        assert!(futures_util::poll!(&mut second).is_pending());
        assert!(roster.seats.is_short());
        drop(seat);
        assert!(second.await.is_some());
        assert!(!roster.seats.is_short());
    }

    #[tokio::test]
    async fn a_worker_that_leaves_tells_those_seated_and_those_who_come() {
        let (roster, open) = (Roster::new(2), Gauge::default());
        let early = roster.sit(&open).await.expect("a seat");
        roster.leave();
        let late = roster.sit(&open).await.expect("a seat");
        assert_eq!(early.pulse().standing_order(), Order::Finish);
        assert_eq!(late.pulse().standing_order(), Order::Finish);
        drop((early, late));
        roster.empty().await;
        assert_eq!(open.get(), 0);
    }
}
