//! What one connection is doing, and what it has been told to do: the few numbers that its reader, its requests and the sweep share.
//!
//! Time limits are kept by one sweep per worker over all pulses (`roster`) and not by timers: a timer armed and disarmed on every request costs more than
//! the request's head, and twenty thousand idle connections would each hold one. The price is that a limit is kept to the sweep's step (a quarter
//! second). All of it runs on one thread; the numbers are atomic because a connection that was upgraded may be moved elsewhere.

mod flight;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::Waker;

use futures_util::task::AtomicWaker;

use super::framing::{Fault, Framing};
pub use flight::Flight;

/// How long a connection waits for its next request before it may rest, in steps of the sweep: a second.
const REST_AFTER: u32 = 4;

/// Counts the sweeps of a worker; what "now" means to a pulse.
pub type Steps = Arc<AtomicU32>;

/// What a connection has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Go on.
    GoOn,
    /// Finish what has begun, then close.
    Finish,
    /// Close at once.
    Cut,
}

/// Time limits, in steps of the sweep.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From the first byte of a head, or of the connection, to the head's end.
    pub head: u32,
    /// Between two requests.
    pub idle: u32,
    /// Without the client taking anything of what is ready for it.
    pub stall: u32,
    /// Between two pieces of a request's body. Whoever reads it has the same limit and can answer, so this one comes a little later.
    pub body: u32,
}

/// One connection's state.
#[derive(Debug)]
pub struct Pulse {
    steps: Steps,
    /// When the present state of waiting began.
    since: AtomicU32,
    /// When the client last took something, or last had nothing to take.
    moved: AtomicU32,
    in_flight: AtomicU32,
    /// Of those, the ones whose next piece the client has not asked for.
    unasked: AtomicU32,
    /// When it began to wait for more of a request's body.
    starved: AtomicU32,
    starving: AtomicBool,
    settled: AtomicBool,
    opened: AtomicBool,
    inside_head: AtomicBool,
    /// Read up to a request's end and not beyond.
    between: AtomicBool,
    /// Woken because it may rest.
    nudged: AtomicBool,
    write_blocked: AtomicBool,
    upgraded: AtomicBool,
    heads: AtomicU64,
    fault: AtomicU8,
    order: AtomicU8,
    served: AtomicWaker,
    io: AtomicWaker,
}

impl Pulse {
    /// A connection that was just accepted.
    pub fn new(steps: Steps) -> Arc<Self> {
        let now = steps.load(Relaxed);
        Arc::new(Self {
            steps,
            since: AtomicU32::new(now),
            moved: AtomicU32::new(now),
            in_flight: AtomicU32::new(0),
            unasked: AtomicU32::new(0),
            starved: AtomicU32::new(now),
            starving: AtomicBool::new(false),
            settled: AtomicBool::new(false),
            opened: AtomicBool::new(false),
            inside_head: AtomicBool::new(false),
            between: AtomicBool::new(false),
            nudged: AtomicBool::new(false),
            write_blocked: AtomicBool::new(false),
            upgraded: AtomicBool::new(false),
            heads: AtomicU64::new(0),
            fault: AtomicU8::new(0),
            order: AtomicU8::new(0),
            served: AtomicWaker::new(),
            io: AtomicWaker::new(),
        })
    }

    /// HTTP begins; until then the TLS handshake has a limit of its own.
    pub fn settle(&self) {
        self.restart();
        self.settled.store(true, Relaxed);
    }

    /// The reader has come so far. A head that begins sets the clock anew.
    pub fn read(&self, framing: &Framing) {
        if framing.is_inside_head() {
            if !self.inside_head.swap(true, Relaxed) {
                self.restart();
            }
        } else {
            self.inside_head.store(false, Relaxed);
        }
        self.between.store(framing.is_between(), Relaxed);
        if let Some(fault) = framing.fault() {
            self.fault.store(fault as u8, Relaxed);
        }
        self.heads.store(framing.heads(), Relaxed);
        if framing.heads() > 0 {
            self.open();
        }
    }

    /// Whether more of a request's body was asked for and is not there.
    pub fn starve(&self, starving: bool) {
        if self.starving.swap(starving, Relaxed) != starving {
            self.starved.store(self.now(), Relaxed);
        }
    }

    /// The client has shown that it speaks.
    pub fn open(&self) {
        self.opened.store(true, Relaxed);
    }

    /// Whether the request that is the `number`th of its connection (from 1) has a head that was found well-formed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn vouches_for(&self, number: u64) -> Result<(), Fault> {
        if number <= self.heads.load(Relaxed) {
            return Ok(());
        }
        Err(Fault::from_number(self.fault.load(Relaxed)))
    }

    /// A request begins; it lasts until the answer's last byte was handed over.
    pub fn begin(self: &Arc<Self>) -> Flight {
        self.in_flight.fetch_add(1, Relaxed);
        self.move_on();
        Flight::of(Arc::clone(self))
    }

    /// The client took something.
    pub fn move_on(&self) {
        self.moved.store(self.now(), Relaxed);
    }

    /// Whether the socket takes no more bytes at present; `waker` is woken by an order.
    pub fn write_blocked(&self, blocked: bool, waker: Option<&Waker>) {
        // Whoever has answers lying has been waited for since; what it takes of them is told apart.
        if !self.write_blocked.swap(blocked, Relaxed) && blocked && !self.is_left_unasked() {
            self.move_on();
        }
        if let Some(waker) = waker {
            self.io.register(waker);
        }
    }

    /// The connection speaks another protocol from now on; its bytes are no longer looked at.
    pub fn upgrade(&self) {
        self.upgraded.store(true, Relaxed);
    }

    /// Whether it does.
    pub fn is_upgraded(&self) -> bool {
        self.upgraded.load(Relaxed)
    }

    /// What the connection has been told; `waker` is woken when that changes.
    pub fn order(&self, waker: &Waker) -> Order {
        self.served.register(waker);
        self.standing_order()
    }

    /// What the connection has been told.
    pub fn standing_order(&self) -> Order {
        match self.order.load(Relaxed) {
            0 => Order::GoOn,
            1 => Order::Finish,
            _ => Order::Cut,
        }
    }

    /// Tells it to finish.
    pub fn finish(&self) {
        if self.order.fetch_max(1, Relaxed) < 1 {
            self.restart();
            self.served.wake();
        }
    }

    /// Tells it to close at once.
    pub fn cut(&self) {
        if self.order.fetch_max(2, Relaxed) < 2 {
            self.served.wake();
            self.io.wake();
        }
    }

    /// Wakes it, once, when it has waited for its next request for so long that it may rest.
    pub fn nudge(&self) {
        if self.is_tired() && !self.nudged.swap(true, Relaxed) {
            self.served.wake();
        }
    }

    /// Whether it may rest: everything read was a whole request, all `dispatched` of them were answered, and no other has come for a while.
    pub fn may_rest(&self, dispatched: u64) -> bool {
        self.nudged.load(Relaxed) && self.is_tired() && self.heads.load(Relaxed) == dispatched
    }

    /// What its waiting has earned it.
    pub fn judge(&self, patience: Patience) -> Order {
        if self.is_stalled(patience.stall) || self.is_starved(patience.body) {
            return Order::Cut;
        }
        let busy = self.in_flight.load(Relaxed) > 0 || self.write_blocked.load(Relaxed);
        if busy || self.is_upgraded() || !self.settled.load(Relaxed) {
            return Order::GoOn;
        }
        let silent = !self.opened.load(Relaxed) || self.inside_head.load(Relaxed);
        let told = self.standing_order() != Order::GoOn;
        match (silent || told, self.waited()) {
            (true, waited) if waited > patience.head => Order::Cut,
            (false, waited) if waited > patience.idle => Order::Finish,
            _ => Order::GoOn,
        }
    }

    fn is_tired(&self) -> bool {
        let waits = self.between.load(Relaxed) && self.in_flight.load(Relaxed) == 0;
        let free = waits && !self.write_blocked.load(Relaxed) && !self.is_upgraded();
        free && self.standing_order() == Order::GoOn && self.waited() >= REST_AFTER
    }

    fn waited(&self) -> u32 {
        self.now().wrapping_sub(self.since.load(Relaxed))
    }

    fn is_stalled(&self, limit: u32) -> bool {
        let waits = self.write_blocked.load(Relaxed) || self.is_left_unasked();
        waits && self.now().wrapping_sub(self.moved.load(Relaxed)) > limit
    }

    /// Whether something is ready for the client, and of no request it has asked for more.
    fn is_left_unasked(&self) -> bool {
        let in_flight = self.in_flight.load(Relaxed);
        in_flight > 0 && in_flight == self.unasked.load(Relaxed)
    }

    fn is_starved(&self, limit: u32) -> bool {
        let waits = self.starving.load(Relaxed) && !self.is_upgraded();
        waits && self.now().wrapping_sub(self.starved.load(Relaxed)) > limit
    }

    fn restart(&self) {
        self.since.store(self.now(), Relaxed);
        self.nudged.store(false, Relaxed);
    }

    fn now(&self) -> u32 {
        self.steps.load(Relaxed)
    }
}

#[cfg(test)]
mod tests;
