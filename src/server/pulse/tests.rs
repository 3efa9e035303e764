//! What each state of waiting earns a connection.

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
fn a_socket_that_takes_bytes_now_and_then_takes_none_of_the_answers_by_that() {
    let (steps, pulse) = connection();
    let mut flight = pulse.begin();
    flight.handed_over();
    for step in 1..=7 {
        assert_eq!(pulse.judge(PATIENCE), Order::GoOn);
        steps.store(step, Relaxed);
        pulse.write_blocked(true, None);
        pulse.write_blocked(false, None);
    }
    assert_eq!(pulse.judge(PATIENCE), Order::Cut);
    pulse.move_on();
    assert_eq!(pulse.judge(PATIENCE), Order::GoOn, "it took something");
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
