//! The pace of refusals.
//!
//! A refusal that comes at once is asked for again at once: two hundred clients that try without pause would have thousands of them a second, and what that
//! costs is taken from the traffic. So the answer to whoever tried too often, or found the hashing queue full, is given when its turn comes, a hundred turns
//! a second; whoever waits costs next to nothing. One refusal alone is due at once. Nobody waits longer than `MOST`, and no more than `ROOM` wait: beyond
//! that the answer comes at once again, since what waits takes memory.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

/// From one turn to the next.
const GAP: Duration = Duration::from_millis(10);
/// The longest wait.
const MOST: Duration = Duration::from_secs(2);
/// How many may wait.
const ROOM: usize = 1024;

/// Who is refused next, and when.
#[derive(Debug)]
pub(super) struct Pace {
    next: Mutex<Instant>,
    room: Semaphore,
}

impl Pace {
    /// With nobody waiting.
    pub(super) fn new() -> Self {
        Self {
            next: Mutex::new(Instant::now()),
            room: Semaphore::new(ROOM),
        }
    }

    /// Waits for one's turn.
    pub(super) async fn turn(&self) {
        let Ok(_seat) = self.room.try_acquire() else { return };
        let due = self.due();
        // A timer is only good to the millisecond.
        if due > Instant::now() {
            sleep_until(due).await;
        }
    }

    fn due(&self) -> Instant {
        let now = Instant::now();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let due = (*next).clamp(now, now + MOST);
        *next = due + GAP;
        due
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::join_all;

    use super::*;

    async fn waited(pace: &Pace, refusals: usize) -> Duration {
        let begun = Instant::now();
        join_all((0..refusals).map(|_| pace.turn())).await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn one_refusal_alone_does_not_wait() {
        let pace = Pace::new();
        assert_eq!(waited(&pace, 1).await, Duration::ZERO);
        tokio::time::advance(10 * MOST).await;
        assert_eq!(waited(&pace, 1).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_come_a_hundred_a_second() {
        let waited = waited(&Pace::new(), 101).await;
        assert!(waited >= Duration::from_secs(1) && waited < MOST, "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_two_seconds() {
        let pace = Pace::new();
        assert!(waited(&pace, ROOM).await <= MOST + GAP);
        assert!(waited(&pace, 1).await <= MOST + GAP);
    }

    #[tokio::test(start_paused = true)]
    async fn when_too_many_wait_the_next_is_refused_at_once() {
        let pace = Pace::new();
        let mut waiting: Vec<_> = (0..ROOM + 1).map(|_| Box::pin(pace.turn())).collect();
        let last = waiting.pop().unwrap();
        // The first of them is due at once and leaves.
        let left = waiting
            .iter_mut()
            .filter_map(|turn| turn.as_mut().now_or_never())
            .count();
        assert_eq!(left, 1);
        let mut one_more = Box::pin(pace.turn());
        assert!(one_more.as_mut().now_or_never().is_none());
        assert!(last.now_or_never().is_some());
    }
}
