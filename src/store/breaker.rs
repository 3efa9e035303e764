//! Keeps callers away from a server that failed a moment ago: none waits for it, and one at a time finds out whether it is back.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// For so long a server that failed is left alone.
const PAUSE: Duration = Duration::from_millis(500);

/// Closed until something fails.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    quiet_until: Option<Instant>,
    failed_at: Option<Instant>,
    somebody_tries: bool,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Leave to call the server; `None` while it is to be left alone.
    pub(super) fn enter(&self) -> Option<Pass<'_>> {
        let mut state = self.state();
        let is_trial = match state.quiet_until {
            None => false,
            Some(until) if Instant::now() < until || state.somebody_tries => return None,
            Some(_) => true,
        };
        state.somebody_tries |= is_trial;
        Some(Pass {
            breaker: self,
            is_trial,
            answered: None,
        })
    }

    /// Whether something has failed within a span before now.
    pub(super) fn failed_within(&self, span: Duration) -> bool {
        self.state().failed_at.is_some_and(|at| at.elapsed() <= span)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call. Dropped without a word, it counts as one that was not answered: its caller's patience was over.
pub(super) struct Pass<'b> {
    breaker: &'b Breaker,
    is_trial: bool,
    answered: Option<bool>,
}

impl Pass<'_> {
    /// Whether the server answered.
    pub(super) fn came_of_it(mut self, answered: bool) {
        self.answered = Some(answered);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.breaker.state();
        if self.is_trial {
            state.somebody_tries = false;
        }
        match self.answered {
            Some(true) => state.quiet_until = None,
            _ => {
                let now = Instant::now();
                state.failed_at = Some(now);
                state.quiet_until = Some(now + PAUSE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_one_caller_tries_and_the_others_are_refused() {
        let breaker = Breaker::new();
        breaker.enter().unwrap().came_of_it(false);
        assert!(breaker.enter().is_none());
        tokio::time::advance(PAUSE).await;

        let trial = breaker.enter().unwrap();
        assert!(breaker.enter().is_none());
        drop(trial);
        assert!(breaker.enter().is_none(), "a caller that gave up found nothing out");

        tokio::time::advance(PAUSE).await;
        breaker.enter().unwrap().came_of_it(true);
        let (one, other) = (breaker.enter(), breaker.enter());
        assert!(one.is_some() && other.is_some());
        one.unwrap().came_of_it(true);
        other.unwrap().came_of_it(true);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_the_last_failure_is_told_apart() {
        let breaker = Breaker::new();
        assert!(!breaker.failed_within(PAUSE));
        breaker.enter().unwrap().came_of_it(false);
        tokio::time::advance(PAUSE).await;
        assert!(breaker.failed_within(PAUSE * 2));
        assert!(!breaker.failed_within(PAUSE / 2));
    }
}
