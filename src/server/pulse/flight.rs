//! A request under way, as its connection counts it: from its head to the last byte of its answer.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::Pulse;

/// A request under way.
#[derive(Debug)]
pub struct Flight {
    pulse: Arc<Pulse>,
    unasked: bool,
}

impl Flight {
    /// One that its connection has counted.
    pub(super) fn of(pulse: Arc<Pulse>) -> Self {
        Self { pulse, unasked: false }
    }

    /// A piece of the answer was handed over; whether there is another is asked only when the client has room for it.
    pub fn handed_over(&mut self) {
        self.pulse.move_on();
        if !std::mem::replace(&mut self.unasked, true) {
            self.pulse.unasked.fetch_add(1, Relaxed);
        }
    }

    /// The next piece was asked for and is not there yet.
    pub fn asked(&mut self) {
        if std::mem::replace(&mut self.unasked, false) {
            self.pulse.unasked.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.asked();
        if self.pulse.in_flight.fetch_sub(1, Relaxed) == 1 {
            self.pulse.restart();
        }
    }
}
