//! What somebody has open, a WebSocket or a stream of events, ends with their session; what others have open goes on.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::world::forge::part;
use crate::world::upstream::{Recorded, Then};
use crate::world::{Person, Upstream, Wire, World};

/// One event in its chunk.
const TICK: &[u8] = b"C\r\ndata: tick\n\n\r\n";
/// How long an open connection may take to end once there is a reason: a look each second, and a machine that is busy.
const SOON: Duration = Duration::from_secs(10);

/// Speaks back on `/chat`, tells of ticks on `/events` for as long as somebody listens, and answers everything else.
fn lively() -> Upstream {
    Upstream::scripted(|request, wire| match request.target() {
        "/chat" => speak_back(wire),
        "/events" | "/public/events" => tick(wire),
        _ => wire
            .send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .map(|()| Then::Keep),
    })
}

fn speak_back(wire: &mut Wire) -> io::Result<Then> {
    wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")?;
    while let Ok(word) = wire.exactly(4) {
        wire.send(&word)?;
    }
    Ok(Then::Close)
}

fn tick(wire: &mut Wire) -> io::Result<Then> {
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    while wire.send(TICK).is_ok() {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(Then::Close)
}

fn site(upstream: &Upstream) -> World {
    World::with(upstream, |config| {
        config.route("chat", "path = \"/chat\"\nwebsocket = true");
    })
}

const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn asking(world: &World, person: &Person, path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{more}\r\n",
        world.authority(),
        person.access
    )
}

/// What one person has open.
struct Open {
    chat: Wire,
    events: Wire,
}

impl Open {
    #[track_caller]
    fn by(world: &World, person: &Person) -> Self {
        let mut chat = world.tls();
        assert_eq!(chat.ask(&asking(world, person, "/chat", HANDSHAKE)).status, 101);
        let mut events = world.tls();
        events
            .send(asking(world, person, "/events", "").as_bytes())
            .expect("a request");
        let answer = events.head().expect("an answer").expect("a head");
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{answer:?}");
        let mut open = Self { chat, events };
        open.goes_on();
        open
    }

    #[track_caller]
    fn goes_on(&mut self) {
        self.chat.send(b"ping").expect("a word");
        assert_eq!(self.chat.exactly(4).expect("its echo"), b"ping");
        // More than was under way when it was asked.
        for _ in 0..50 {
            assert_eq!(self.events.exactly(TICK.len()).expect("an event"), TICK);
        }
    }

    /// Both end, and the stream of events without pretending that it was over.
    #[track_caller]
    fn ends(mut self) {
        self.chat.closed_within(SOON);
        self.events.closed_within(SOON);
        assert!(
            !self.events.unread().ends_with(b"0\r\n\r\n"),
            "a part passed for the whole"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_what_that_session_has_open() {
    let upstream = lively();
    let world = site(&upstream);
    let ada = world.person("ada").await;
    let here = Open::by(&world, &ada);
    let mut there = Open::by(&world, &ada.again().await);
    let mut ben = Open::by(&world, &world.person("ben").await);
    ada.client.post("/auth/logout").bearer(&ada.access).send().await.is(204);
    here.ends();
    there.goes_on();
    ben.goes_on();
    assert_eq!(
        world.metric(
            "gateward_auth_decisions_total",
            &["outcome=\"ended\"", "reason=\"revoked\""]
        ),
        2.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_ends_from_another_process_ends_what_is_open() {
    let upstream = lively();
    let world = site(&upstream);
    let ada = world.person("ada").await;
    let mut ben = Open::by(&world, &world.person("ben").await);
    let (first, second) = (Open::by(&world, &ada), Open::by(&world, &ada.again().await));
    let id = part(&ada.access, 1)["sid"].as_str().expect("a session").to_owned();
    world.run(&["session", "end", &id]).done();
    first.ends();
    world.run(&["user", "disable", &ada.email]).done();
    second.ends();
    ben.goes_on();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_over_http_2_ends_too_and_its_connection_goes_on() {
    let upstream = lively();
    let world = site(&upstream);
    let ada = world.person("ada").await;
    let client = ada.client.h2();
    let call = client.get("/events").bearer(&ada.access);
    let listening = tokio::spawn(call.try_send());
    while !upstream.requests().iter().any(|request| request.target() == "/events") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world
        .client()
        .post("/auth/logout")
        .bearer(&ada.access)
        .send()
        .await
        .is(204);
    let heard = tokio::time::timeout(SOON, listening).await.expect("it ends soon");
    assert!(heard.expect("no panic").is_err(), "a part passed for the whole");
    client.get("/public").send().await.is(200);
}

/// The end of a token is none: whoever is connected cannot hand in the next one. But the account is looked up as a refresh would.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_outlives_the_token_and_not_the_right_to_it() {
    let upstream = lively();
    let (world, clock) = World::with_wall_clock(&upstream, |config| {
        config.route("chat", "path = \"/chat\"\nwebsocket = true\nroles = [\"staff\"]");
    });
    let mut people = Vec::new();
    for name in ["ada", "ben"] {
        let person = world.person(name).await;
        world.run(&["user", "set-roles", &person.email, "staff"]).done();
        people.push(person.again().await);
    }
    let [ada, ben] = people.as_slice() else {
        panic!("two people")
    };
    let (mut adas, mut bens) = (Open::by(&world, ada), Open::by(&world, ben));
    clock.set_ahead(Duration::from_mins(16));
    ada.get("/things").await.problem(401, "invalid_token");
    std::thread::sleep(Duration::from_millis(2500));
    adas.goes_on();
    bens.goes_on();
    world.run(&["user", "set-roles", &ada.email, "visitor"]).done();
    clock.set_ahead(Duration::from_mins(32));
    adas.chat.closed_within(SOON);
    bens.goes_on();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_nobody_uses_ends_what_it_has_open_when_its_time_is_over() {
    let upstream = lively();
    let (world, clock) = World::with_wall_clock(&upstream, |config| {
        config
            .route("chat", "path = \"/chat\"\nwebsocket = true")
            .set("tokens.refresh_idle", "1h");
    });
    let ada = world.person("ada").await;
    let mut open = Open::by(&world, &ada);
    clock.set_ahead(Duration::from_mins(59));
    std::thread::sleep(Duration::from_millis(2500));
    open.goes_on();
    clock.set_ahead(Duration::from_mins(75));
    open.ends();
}

/// An upstream that takes its time answers somebody who has gone meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_begins_that_goes_on_for_somebody_who_has_signed_out() {
    let upstream = Upstream::friendly();
    let world = site(&upstream);
    let released = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&released);
    upstream.now(move |request: &Recorded, wire| {
        while !until.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if request.target() == "/chat" {
            speak_back(wire)
        } else {
            tick(wire)
        }
    });
    let ada = world.person("ada").await;
    let mut wires = Vec::new();
    for (path, more) in [("/events", ""), ("/chat", HANDSHAKE)] {
        let mut wire = world.tls();
        wire.send(asking(&world, &ada, path, more).as_bytes())
            .expect("a request");
        wires.push(wire);
    }
    crate::world::until("both are with the upstream", || (upstream.count() == 2).then_some(()));
    ada.client.post("/auth/logout").bearer(&ada.access).send().await.is(204);
    released.store(true, Ordering::SeqCst);
    for mut wire in wires {
        let answer = wire.answer("GET").expect("an answer");
        assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_token"));
    }
}

/// A public route knows nobody, and an answer that says how long it is will end by itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_nobodys_and_what_is_nearly_over_goes_on() {
    let upstream = Upstream::friendly();
    let world = site(&upstream);
    let ada = world.person("ada").await;
    let released = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&released);
    upstream.now(move |request: &Recorded, wire| {
        if request.target() == "/public/events" {
            return tick(wire);
        }
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")?;
        while !until.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        wire.send(b" last").map(|()| Then::Keep)
    });
    let head = |path: &str| asking(&world, &ada, path, "");
    let (mut file, mut events) = (world.tls(), world.tls());
    file.send(head("/file").as_bytes()).expect("a request");
    file.head().expect("an answer").expect("a head");
    assert_eq!(file.exactly(5).expect("a part"), b"first");
    events.send(head("/public/events").as_bytes()).expect("a request");
    events.head().expect("an answer").expect("a head");
    ada.client.post("/auth/logout").bearer(&ada.access).send().await.is(204);
    std::thread::sleep(Duration::from_millis(2500));
    released.store(true, Ordering::SeqCst);
    assert_eq!(file.exactly(5).expect("the rest"), b" last");
    for _ in 0..150 {
        assert_eq!(events.exactly(TICK.len()).expect("an event"), TICK);
    }
}
