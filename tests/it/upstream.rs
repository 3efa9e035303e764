//! Upstreams that misbehave: the client gets the promised answer, the connection is not used again, and the next request does not notice.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::world::upstream::Then;
use crate::world::{Answer, Upstream, World, until};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn quick(upstream: &Upstream) -> World {
    World::with(upstream, |config| {
        config
            .set("upstreams.app.timeouts.connect", "1s")
            .set("upstreams.app.timeouts.response", "300ms");
        config.set("upstreams.app.timeouts.idle", "300ms");
    })
}

/// A good request after a bad one, several times, so that each worker's pool is drawn from.
async fn unharmed(world: &World, upstream: &Upstream) {
    upstream.now_answering(|_| HELLO.to_owned());
    for _ in 0..6 {
        let answer = world.client().get("/public/next").send().await.is(200);
        assert_eq!(answer.text(), "hello");
        assert_eq!(upstream.last().target(), "/public/next");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn down_is_502_and_recovers_by_itself() {
    let port = {
        let reserved = TcpListener::bind("127.0.0.1:0").expect("a port");
        reserved.local_addr().expect("its number").port()
    };
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.set("upstreams.app.servers", vec![format!("http://127.0.0.1:{port}")]);
    });
    world.client().get("/public").send().await.problem(502, "bad_gateway");
    world
        .client()
        .post("/public")
        .body("x")
        .send()
        .await
        .problem(502, "bad_gateway");

    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port again");
    let late = Upstream::on(listener);
    until("the upstream is found again", || {
        let mut wire = world.tls();
        let answer = wire.ask(&format!("GET /public HTTP/1.1\r\nHost: {}\r\n\r\n", world.authority()));
        (answer.status == 200).then_some(())
    });
    assert!(late.count() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_servers_down_is_skipped() {
    let upstream = Upstream::friendly();
    let other = Upstream::friendly();
    let dead = {
        let reserved = TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://127.0.0.1:{}", reserved.local_addr().expect("its number").port())
    };
    let world = World::with(&upstream, |config| {
        config.set("upstreams.app.servers", vec![upstream.url(), dead, other.url()]);
    });
    for _ in 0..20 {
        world.client().get("/public").send().await.is(200);
    }
    assert!(
        upstream.count() > 0 && other.count() > 0,
        "{} and {}: taken in turn",
        upstream.count(),
        other.count()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_is_504_and_the_connection_is_dropped() {
    let upstream = Upstream::scripted(|_, wire| wire.rest().map(|_| Then::Close));
    let world = quick(&upstream);
    let began = Instant::now();
    world
        .client()
        .get("/public")
        .send()
        .await
        .problem(504, "gateway_timeout");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    unharmed(&world, &upstream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_cannot_be_trusted_are_502_and_their_connection_is_not_used_again() {
    let bad = [
        ("nothing at all", ""),
        ("half a status line", "HTTP/1.1 20"),
        ("half a header block", "HTTP/1.1 200 OK\r\nContent-Le"),
        ("no HTTP", "220 smtp.example.com ready\r\n\r\n"),
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        ),
        (
            "two lengths in one",
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello!",
        ),
        ("a signed length", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello"),
        (
            "a header with a NUL",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: a\0b\r\n\r\nhello",
        ),
        (
            "a status of one digit",
            "HTTP/1.1 2 OK\r\nContent-Length: 5\r\n\r\nhello",
        ),
    ];
    let upstream = Upstream::friendly();
    let world = quick(&upstream);
    for (what, bytes) in bad {
        upstream.now(move |_, wire| wire.send(bytes.as_bytes()).map(|()| Then::Close));
        let answer = world
            .client()
            .get(&format!("/public?{}", what.replace(' ', "-")))
            .send()
            .await;
        assert_eq!(
            (answer.status, answer.member("code").as_str()),
            (502, "bad_gateway"),
            "{what}: {}",
            answer.text()
        );
        let used = upstream.last().connection;
        unharmed(&world, &upstream).await;
        assert_ne!(
            upstream.last().connection,
            used,
            "{what}: the connection was used again"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_and_a_coding_together_never_desynchronise_a_connection() {
    let upstream = Upstream::friendly();
    let world = quick(&upstream);
    let both = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    upstream.now(move |_, wire| wire.send(both.as_bytes()).map(|()| Then::Keep));
    let answer = world.client().get("/public").send().await;
    assert!(
        answer.status == 502 || answer.text() == "hello",
        "{} {}",
        answer.status,
        answer.text()
    );
    unharmed(&world, &upstream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn surplus_bytes_are_never_taken_for_the_next_answer() {
    let upstream = Upstream::friendly();
    let world = quick(&upstream);
    let surplus = format!("{HELLO}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    upstream.now(move |_, wire| wire.send(surplus.as_bytes()).map(|()| Then::Keep));
    for _ in 0..10 {
        let answer = world.client().get("/public").send().await;
        assert!(!answer.text().contains("evil"), "{}", answer.text());
    }
    unharmed(&world, &upstream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_in_the_middle_of_a_body_breaks_the_answer_off() {
    let short = [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly a part",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nonly a part\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nonly a part\r\nzz\r\n",
    ];
    let upstream = Upstream::friendly();
    let world = quick(&upstream);
    for bytes in short {
        upstream.now(move |_, wire| wire.send(bytes.as_bytes()).map(|()| Then::Close));
        // Without a length it may be seen in time to say so.
        let seen_in_time = |told: &Result<Answer, String>| told.as_ref().is_ok_and(|answer| answer.status == 502);
        let broken = world.client().get("/public").try_send().await;
        assert!(
            broken.as_ref().is_err_and(|e| e.contains("body")) || seen_in_time(&broken),
            "a part passed for the whole: {broken:?}"
        );
        let broken = world.client().h2().get("/public").try_send().await;
        assert!(
            broken.is_err() || seen_in_time(&broken),
            "a part passed for the whole over HTTP/2: {broken:?}"
        );
        unharmed(&world, &upstream).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stalling_in_the_middle_of_a_body_breaks_the_answer_off() {
    let upstream = Upstream::scripted(|_, wire| {
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly a part")?;
        wire.rest().map(|_| Then::Close)
    });
    let world = quick(&upstream);
    let broken = world.client().get("/public").try_send().await;
    assert!(broken.is_err(), "{broken:?}");
    unharmed(&world, &upstream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_before_the_body_was_read_is_passed_on_and_its_connection_dropped() {
    let upstream = Upstream::scripted(|_, wire| {
        wire.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nstop")?;
        wire.rest().map(|_| Then::Close)
    });
    let world = quick(&upstream);
    let mut wire = world.tls();
    let head = format!(
        "POST /public HTTP/1.1\r\nHost: {}\r\nX-Read-Body: no\r\nContent-Length: 1000000\r\n\r\nbegin",
        world.authority()
    );
    let answer = wire.ask(&head);
    assert!(answer.status == 413 || answer.status == 502, "{answer:?}");
    wire.closed_within(Duration::from_secs(5));
    let used = upstream.last().connection;
    unharmed(&world, &upstream).await;
    assert!(
        upstream
            .requests()
            .iter()
            .filter(|request| request.connection == used)
            .count()
            == 1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_breaks_off_its_body_takes_no_connection_with_it() {
    let upstream = Upstream::friendly();
    let world = quick(&upstream);
    for framing in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let mut wire = world.tls();
        let head = format!(
            "POST /public HTTP/1.1\r\nHost: {}\r\n{framing}\r\n\r\n5\r\nbegin\r\n",
            world.authority()
        );
        wire.send(head.as_bytes()).expect("half a request");
        drop(wire);
    }
    unharmed(&world, &upstream).await;
    assert!(
        upstream.requests().iter().all(|request| request.target() != "/public"),
        "half a request passed for a whole"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_closed_by_the_upstream_is_never_noticed() {
    let upstream = Upstream::scripted(|_, wire| wire.send(HELLO.as_bytes()).map(|()| Then::Close));
    let world = quick(&upstream);
    for _ in 0..30 {
        world.client().get("/public").send().await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_used_again() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let mut wire = world.tls();
    for _ in 0..20 {
        assert_eq!(
            wire.ask(&format!("GET /public HTTP/1.1\r\nHost: {}\r\n\r\n", world.authority()))
                .status,
            200
        );
    }
    assert_eq!(
        upstream.connections(),
        1,
        "one client connection, one worker, one upstream connection"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_stream_both_ways_without_waiting_for_their_end() {
    let upstream = Upstream::scripted(|_, wire| {
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        for _ in 0..3 {
            let piece = wire.exactly(9)?; // "4\r\nping\r\n"
            assert_eq!(piece, b"4\r\nping\r\n");
            wire.send(b"4\r\npong\r\n")?;
        }
        wire.exactly(5)?;
        wire.send(b"0\r\n\r\n")?;
        Ok(Then::Keep)
    });
    let world = World::start(&upstream);
    let mut wire = world.tls();
    let head = "X-Read-Body: no\r\nTransfer-Encoding: chunked";
    let head = format!(
        "POST /public HTTP/1.1\r\nHost: {}\r\n{head}\r\n\r\n4\r\nping\r\n",
        world.authority()
    );
    wire.send(head.as_bytes()).expect("the head");
    assert!(
        wire.head()
            .expect("an answer")
            .is_some_and(|head| head.starts_with(b"HTTP/1.1 200"))
    );
    assert_eq!(wire.exactly(9).expect("the first piece"), b"4\r\npong\r\n");
    for _ in 0..2 {
        wire.send(b"4\r\nping\r\n").expect("a piece");
        assert_eq!(wire.exactly(9).expect("its echo"), b"4\r\npong\r\n");
    }
    wire.send(b"0\r\n\r\n").expect("the end");
    assert_eq!(wire.exactly(5).expect("the end"), b"0\r\n\r\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_arrives_as_it_was_sent() {
    let upstream = Upstream::answering(|request| {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}",
            request.body.len(),
            String::from_utf8_lossy(&request.body)
        )
    });
    let world = World::start(&upstream);
    let body: String = (0..500_000).map(|number| format!("{number:08}")).collect();
    for client in [world.client(), world.client().h2()] {
        let answer = client.post("/public").body(body.clone()).send().await.is(200);
        assert!(answer.body == body.as_bytes(), "{} bytes came back", answer.body.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn expect_100_continue_is_honoured() {
    let upstream = Upstream::scripted(|request, wire| {
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        // Where the expectation was not passed on, the body has been read already.
        let passed_on = !request.values("expect").is_empty();
        let body = if passed_on {
            wire.body(&request.head, false)?
        } else {
            request.body.clone()
        };
        assert_eq!(body, b"hello");
        wire.send(HELLO.as_bytes()).map(|()| Then::Keep)
    });
    let world = World::start(&upstream);
    let mut wire = world.tls();
    let head = "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let head = format!("POST /public HTTP/1.1\r\nHost: {}\r\n{head}", world.authority());
    wire.send(head.as_bytes()).expect("the head");
    assert_eq!(wire.any_answer("POST").expect("an interim answer").status, 100);
    wire.send(b"hello").expect("the body");
    assert_eq!(wire.answer("POST").expect("the answer").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_and_trailers_do_no_harm() {
    let upstream = Upstream::answering(|_| {
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
         Trailer: X-Checksum\r\n\r\n5\r\nhello\r\n0\r\nX-Checksum: 42\r\n\r\n"
            .to_owned()
    });
    let world = World::start(&upstream);
    world.client().get("/public").send().await.is(200);
    let mut wire = world.tls();
    let head = format!(
        "GET /public HTTP/1.1\r\nHost: {}\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n",
        world.authority()
    );
    wire.send(head.as_bytes()).expect("a request");
    let bytes = wire.rest().expect("an answer");
    let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    assert!(text.contains("hello") && text.contains("x-checksum: 42"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_keep_the_connection_in_step() {
    let upstream = Upstream::answering(|request| match request.target() {
        "/public/204" => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        "/public/304" => "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n".to_owned(),
        _ if request.line().starts_with("HEAD") => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_owned(),
        _ => HELLO.to_owned(),
    });
    let world = World::start(&upstream);
    let mut wire = world.tls();
    for (method, path, status) in [
        ("GET", "/public/204", 204),
        ("HEAD", "/public", 200),
        ("GET", "/public/304", 304),
        ("GET", "/public", 200),
    ] {
        let answer = wire.ask(&format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n\r\n",
            world.authority()
        ));
        assert_eq!(answer.status, status, "{method} {path}");
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_413_and_never_passes_for_a_whole_one() {
    let upstream = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.set("server.limits.body_size", "1KiB");
    });
    world
        .client()
        .post("/public")
        .body(vec![b'x'; 1024])
        .send()
        .await
        .is(200);
    world
        .client()
        .post("/public")
        .body(vec![b'x'; 1025])
        .send()
        .await
        .problem(413, "payload_too_large");
    let mut wire = world.tls();
    let head = format!(
        "POST /public HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        world.authority()
    );
    let answer = wire.ask(&format!("{head}400\r\n{}\r\n1\r\nx\r\n0\r\n\r\n", "x".repeat(1024)));
    assert_eq!(answer.status, 413, "{answer:?}");
    assert_eq!(upstream.count(), 1, "a request over the limit passed for a whole one");
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_take_the_longest_prefix_the_host_and_the_method() {
    let upstream = Upstream::friendly();
    let special = Upstream::friendly();
    let world = World::with(&upstream, |config| {
        config.upstream("special", &[special.url()]);
        config.route(
            "api",
            "path = \"/public/api\"\nauth = \"public\"\nupstream = \"special\"\nstrip_prefix = true",
        );
        config.route(
            "posts",
            "path = \"/public/api/posts\"\nmethods = [\"POST\"]\nauth = \"public\"",
        );
        config.route(
            "host",
            "host = \"*.example.com\"\npath = \"/\"\nauth = \"public\"\nupstream = \"special\"",
        );
    });
    world.client().get("/public/api/x?y=1").send().await.is(200);
    assert_eq!(special.last().target(), "/x?y=1");
    world.client().get("/public/api").send().await.is(200);
    assert_eq!(special.last().target(), "/");
    world.client().get("/public/apiary").send().await.is(200);
    assert_eq!(upstream.last().target(), "/public/apiary");
    world.client().post("/public/api/posts").send().await.is(200);
    assert_eq!(upstream.last().target(), "/public/api/posts");
    // A longer prefix that does not take the method leaves the request to the next best.
    world.client().get("/public/api/posts").send().await.is(200);
    assert_eq!(special.last().target(), "/posts");
}

#[tokio::test(flavor = "multi_thread")]
async fn https_upstreams_are_believed_only_with_a_certificate_that_somebody_vouches_for() {
    let upstream = Upstream::friendly();
    let (secure, pem) = Upstream::over_tls();
    let mut world = World::stopped(&upstream, |config| {
        for (name, host) in [
            ("vouched", "localhost"),
            ("unknown", "localhost"),
            ("misnamed", "127.0.0.1"),
        ] {
            config.upstream(name, &[format!("https://{host}:{}", secure.port())]);
            let route = format!("path = \"/{name}\"\nauth = \"public\"\nupstream = \"{name}\"");
            config.route(name, &route);
        }
        config
            .set("upstreams.vouched.ca_file", "ca.pem")
            .set("upstreams.misnamed.ca_file", "ca.pem");
    });
    std::fs::write(world.dir().join("ca.pem"), pem).expect("a file");
    world.up();
    world.client().get("/vouched").send().await.is(200);
    assert_eq!(secure.count(), 1);
    world.client().get("/unknown").send().await.problem(502, "bad_gateway");
    world.client().get("/misnamed").send().await.problem(502, "bad_gateway");
    assert_eq!(secure.count(), 1);
}
