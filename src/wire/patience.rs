//! How long one waits for the next piece of something.
//!
//! A timer is armed only when there is something to wait for, and then it is left running: progress merely moves the deadline, and the timer catches up
//! when it goes off. So a stream that flows costs no timer at all, and one that stutters does not touch the timer wheel at each stutter.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// A limit on waiting, counted from the last progress.
#[derive(Debug)]
pub struct Patience {
    limit: Duration,
    deadline: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// A limit that begins to count with the first wait.
    pub const fn new(limit: Duration) -> Self {
        Self {
            limit,
            deadline: None,
            sleep: None,
        }
    }

    /// There was progress: the next wait counts from its own beginning.
    pub const fn renew(&mut self) {
        self.deadline = None;
    }

    /// There was progress at `moment`: the wait counts from there.
    pub fn renew_from(&mut self, moment: Instant) {
        self.deadline = Some(moment + self.limit);
    }

    /// The same timer with another limit, for another wait.
    pub const fn restart(&mut self, limit: Duration) {
        self.limit = limit;
        self.deadline = None;
    }

    /// To be polled while there is nothing but waiting to do: ready once the limit has passed.
    pub fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + self.limit);
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() > deadline || sleep.is_elapsed() {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_at_the_limit() {
        let began = Instant::now();
        let mut patience = Patience::new(Duration::from_secs(3));
        poll_fn(|cx| patience.poll_over(cx)).await;
        assert_eq!(began.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn progress_moves_the_end() {
        let began = Instant::now();
        let mut patience = Patience::new(Duration::from_secs(3));
        let early = tokio::time::timeout(Duration::from_secs(2), poll_fn(|cx| patience.poll_over(cx)));
        assert!(early.await.is_err());
        patience.renew();
        poll_fn(|cx| patience.poll_over(cx)).await;
        assert_eq!(began.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_limit_is_kept_although_the_timer_runs_longer() {
        let mut patience = Patience::new(Duration::from_secs(60));
        let early = tokio::time::timeout(Duration::from_secs(1), poll_fn(|cx| patience.poll_over(cx)));
        assert!(early.await.is_err());
        let began = Instant::now();
        patience.restart(Duration::from_secs(2));
        poll_fn(|cx| patience.poll_over(cx)).await;
        assert_eq!(began.elapsed().as_secs(), 2);
    }
}
