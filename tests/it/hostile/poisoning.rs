//! Connections to an upstream are shared: what one client provokes there must never become another one's answer.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::canary;
use crate::world::upstream::{Recorded, Then};
use crate::world::{Upstream, Wire, World};

/// Answers every request with its own target.
fn echo(target: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len())
}

/// What an upstream may send behind an answer, by number.
pub(super) const PROVOCATIONS: &[&str] = &[
    "an answer and another",
    "too long",
    "no body but one",
    "not modified with a body",
    "a head with a body",
    "two interim answers and two finals",
    "chunks and more",
    "a switch unasked",
    "length and coding",
];

/// Answers `…provoke/N` with more than it should, and everything else with its own target.
pub(super) fn provoking(request: &Recorded, wire: &mut Wire) -> io::Result<Then> {
    const POISON: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Poison: 1\r\n\r\npoison";
    let target = request.target().to_owned();
    let Some((_, number)) = target.split_once("provoke/") else {
        wire.send(echo(&target).as_bytes())?;
        return Ok(Then::Keep);
    };
    let first = match number.parse::<usize>().unwrap_or_default() {
        0 => echo(&target),
        1 => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokok".to_owned(),
        2 => "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok".to_owned(),
        3 => "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok".to_owned(),
        4 => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(),
        5 => format!(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n{}",
            echo(&target)
        ),
        6 => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".to_owned(),
        7 => "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n".to_owned(),
        _ => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
    };
    wire.send(format!("{first}{POISON}").as_bytes())?;
    Ok(Then::Keep)
}

/// Whatever an upstream sends behind an answer, the next client gets the answer to its own request.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_ever_goes_to_another_request() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    upstream.now(provoking);
    for (number, what) in PROVOCATIONS.iter().enumerate() {
        let method = if number == 4 { "HEAD" } else { "GET" };
        for _ in 0..3 {
            let head = format!(
                "{method} /public/provoke/{number} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
                world.authority()
            );
            let mut wire = world.tls();
            wire.send(head.as_bytes()).expect("a provocation");
            let _ = wire.answer(method);
            for victim in 0..3 {
                let path = format!("/public/{number}/{victim}");
                let answer = world.client().get(&path).send().await;
                assert_eq!((answer.status, answer.text()), (200, path), "after {what}");
            }
        }
    }
    assert!(
        world.output().lines().all(|line| !line.contains("panicked")),
        "{}",
        world.output()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_leaves_no_answer_behind_for_the_next() {
    let served = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&served);
    let upstream = Upstream::scripted(move |request, wire| {
        if request.target().contains("slow") {
            std::thread::sleep(std::time::Duration::from_millis(30));
        }
        counted.fetch_add(1, Ordering::SeqCst);
        wire.send(echo(request.target()).as_bytes())?;
        Ok(Then::Keep)
    });
    let world = World::start(&upstream);
    for round in 0..20 {
        let mut gone = world.tls();
        let head = format!(
            "GET /public/slow/{round} HTTP/1.1\r\nHost: {}\r\n\r\n",
            world.authority()
        );
        gone.send(head.as_bytes()).expect("a request");
        drop(gone);
        let path = format!("/public/mine/{round}");
        let answer = world.client().get(&path).send().await;
        assert_eq!((answer.status, answer.text()), (200, path));
    }
    canary(&world);
    assert!(served.load(Ordering::SeqCst) >= 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsafe_request_is_never_sent_twice() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    canary(&world);
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        for body in ["", "hello"] {
            upstream.now(|_, _| Ok(Then::Close));
            let before = upstream.count();
            let head = format!(
                "{method} /public/once HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
                world.authority(),
                body.len()
            );
            assert_eq!(world.tls().ask(&head).status, 502, "{method}");
            assert_eq!(upstream.count() - before, 1, "{method}");
            upstream.now_answering(|_| echo("x"));
            canary(&world);
        }
    }
}
