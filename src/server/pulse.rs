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

    /// Whether a request is under way.
    pub fn is_serving(&self) -> bool {
        self.in_flight.load(Relaxed) > 0
    }

    /// The client took something.
    pub fn move_on(&self) {
        self.moved.store(self.now(), Relaxed);
    }

    /// Whether the socket takes no more bytes at present; `waker` is woken by an order.
    pub fn write_blocked(&self, blocked: bool, waker: Option<&Waker>) {
        if self.write_blocked.swap(blocked, Relaxed) != blocked {
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
        let in_flight = self.in_flight.load(Relaxed);
        let nobody_asks = in_flight > 0 && in_flight == self.unasked.load(Relaxed);
        let waits = self.write_blocked.load(Relaxed) || nobody_asks;
        waits && self.now().wrapping_sub(self.moved.load(Relaxed)) > limit
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
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        head: 4,
        idle: 10,
        stall: 6,
        body: 8,
    };

    fn connection() -> (Steps, Arc<Pulse>) {
        let steps = Steps::default();
        let pulse = Pulse::new(Arc::clone(&steps));
        pulse.settle();
        (steps, pulse)
    }

    fn read(pulse: &Pulse, bytes: &[u8]) {
        let mut framing = Framing::new(1024);
        framing.observe(bytes);
        pulse.read(&framing);
    }

    #[test]
    fn a_connection_that_says_nothing_is_cut() {
        let (steps, pulse) = connection();
        steps.store(4, Relaxed);
        assert_eq!(pulse.judge(PATIENCE), Order::GoOn);
        steps.store(5, Relaxed);
        assert_eq!(pulse.judge(PATIENCE), Order::Cut);
    }

    #[test]
    fn a_head_that_trickles_is_cut_however_often_bytes_come() {
        let (steps, pulse) = connection();
        for step in 0..5 {
            steps.store(step, Relaxed);
            read(&pulse, b"GET / HT");
            assert_eq!(pulse.judge(PATIENCE), Order::GoOn);
        }
        steps.store(5, Relaxed);
        assert_eq!(pulse.judge(PATIENCE), Order::Cut);
    }

    #[test]
    fn between_two_requests_a_connection_may_wait_longer_and_then_closes_politely() {
        let (steps, pulse) = connection();
        read(&pulse, b"GET / HTTP/1.1\r\n\r\n");
        drop(pulse.begin());
        steps.store(10, Relaxed);
        assert_eq!(pulse.judge(PATIENCE), Order::GoOn);
        steps.store(11, Relaxed);
        assert_eq!(pulse.judge(PATIENCE), Order::Finish);
    }

    #[test]
    fn a_request_under_way_may_wait_for_its_upstream() {
        let (steps, pulse) = connection();
        read(&pulse, b"GET / HTTP/1.1\r\n\r\n");
        let mut flight = pulse.begin();
        flight.handed_over();
        flight.asked();
        steps.store(1000, Relaxed);
        assert_eq!(pulse.judge(PATIENCE), Order::GoOn);
    }

    #[test]
    fn a_body_that_stops_coming_is_cut_and_each_piece_gives_it_time() {
        let (steps, pulse) = connection();
        read(&pulse, b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n");
        let _flight = pulse.begin();
        for step in [8, 16] {
            pulse.starve(true);
            steps.store(step, Relaxed);
            assert_eq!(pulse.judge(PATIENCE), Order::GoOn);
            pulse.starve(false);
        }
        pulse.starve(true);
        steps.store(25, Relaxed);
        assert_eq!(pulse.judge(PATIENCE), Order::Cut);
    }

    #[test]
    fn a_client_that_takes_nothing_of_its_answer_is_cut() {
        let (steps, pulse) = connection();
        read(&pulse, b"GET / HTTP/1.1\r\n\r\n");
        let mut flight = pulse.begin();
        flight.handed_over();
        steps.store(7, Relaxed);
        assert_eq!(pulse.judge(PATIENCE), Order::Cut);
    }

    #[test]
    fn a_socket_that_takes_nothing_is_cut_even_after_an_upgrade() {
        let (steps, pulse) = connection();
        pulse.upgrade();
        pulse.write_blocked(true, None);
        steps.store(7, Relaxed);
        assert_eq!(pulse.judge(PATIENCE), Order::Cut);
    }

    #[test]
    fn only_who_waits_for_its_next_request_for_a_while_may_rest() {
        let (steps, pulse) = connection();
        let rests = |after| {
            steps.fetch_add(after, Relaxed);
            pulse.nudge();
            pulse.may_rest(1)
        };
        let mut framing = Framing::new(1024);
        let mut read = |bytes: &[u8]| {
            framing.observe(bytes);
            pulse.read(&framing);
        };
        assert!(!rests(100), "before its first request");
        read(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n");
        let flight = pulse.begin();
        assert!(!rests(100), "while it is answered");
        drop(flight);
        assert!(!rests(100), "while its body is unread");
        read(b"ab");
        assert!(rests(0));
        drop(pulse.begin());
        assert!(!rests(REST_AFTER - 1), "too soon");
        assert!(rests(1));
        pulse.write_blocked(true, None);
        assert!(!rests(0), "while its client takes nothing");
        pulse.write_blocked(false, None);
        assert!(!pulse.may_rest(2), "with a request that nobody has seen");
        read(b"G");
        assert!(!rests(100), "inside a head");
        read(b"ET / HTTP/1.1\n");
        assert!(!rests(100), "after a fault");
    }

    #[test]
    fn who_was_told_to_finish_or_speaks_something_else_does_not_rest() {
        for leave in [Pulse::finish as fn(&Pulse), Pulse::upgrade] {
            let (steps, pulse) = connection();
            read(&pulse, b"GET / HTTP/1.1\r\n\r\n");
            drop(pulse.begin());
            steps.store(REST_AFTER, Relaxed);
            pulse.nudge();
            assert!(pulse.may_rest(1));
            leave(&pulse);
            steps.fetch_add(REST_AFTER, Relaxed);
            pulse.nudge();
            assert!(!pulse.may_rest(1));
        }
    }
}
