//! Upstreams that behave and upstreams that do not.

use proptest::prelude::*;
use tokio::sync::mpsc;

use super::*;
use crate::config::{HostPattern, Route};
use crate::proxy::routes::Table;
use crate::proxy::world::{Site, Wire, route};
use crate::wire::hygiene::check_path;

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Answers every request well.
async fn polite(mut wire: Wire) -> Option<()> {
    loop {
        wire.head().await?;
        wire.send(HELLO).await?;
    }
}

/// The first connection answers with `first`, the others are polite. The next request must go well, on a connection of its own.
async fn spoils_its_connection(first: &'static str) -> String {
    let site = Site::new(route(), move |number, mut wire| async move {
        if number > 1 {
            return polite(wire).await;
        }
        wire.head().await?;
        wire.send(first).await?;
        polite(wire).await
    })
    .await;
    let answer = site.get().await;
    assert!(site.get().await.ends_with("\r\n\r\nhello"));
    assert_eq!(site.connections(), 2, "used again after {first}");
    answer
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let site = Site::new(route(), |_, wire| polite(wire)).await;
    for _ in 0..5 {
        assert!(site.get().await.ends_with("\r\n\r\nhello"));
    }
    assert_eq!(site.connections(), 1);
}

/// An upstream that answers every request by these pieces, each some time after the one before it.
async fn in_pieces(pieces: &'static [&'static str]) -> Site {
    Site::new(route(), move |_, mut wire| async move {
        loop {
            wire.head().await?;
            for piece in pieces {
                wire.send(piece).await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_small_answer_in_one_chunk_goes_on_as_a_whole_and_its_connection_is_used_again() {
    let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let site = Site::new(route(), move |_, mut wire| async move {
        loop {
            wire.head().await?;
            wire.send(chunk).await?;
        }
    })
    .await;
    for _ in 0..5 {
        let answer = site.get().await;
        assert!(answer.contains("\r\ncontent-length: 5\r\n"), "{answer}");
        assert!(!answer.contains("chunked"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
    }
    assert_eq!(site.connections(), 1);
}

#[tokio::test]
async fn nothing_at_all_in_chunks_is_nothing() {
    let site = in_pieces(&["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]).await;
    let answer = site.get().await;
    assert!(answer.contains("\r\ncontent-length: 0\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn what_goes_on_later_is_handed_on_piece_by_piece_in_order() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (pieces, body) in [
        (
            &[HEAD, "1\r\na\r\n", "1\r\nb\r\n", "0\r\n\r\n"][..],
            "1\r\na\r\n1\r\nb\r\n0\r\n\r\n",
        ),
        (
            &[
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
                "0\r\n\r\n",
            ],
            "1\r\na\r\n0\r\n\r\n",
        ),
        (
            &[
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n",
                "1\r\nc\r\n0\r\n\r\n",
            ],
            "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n",
        ),
    ] {
        let answer = in_pieces(pieces).await.get().await;
        assert!(answer.contains("chunked"), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{answer}");
    }
}

/// The first piece goes on although the second is not in sight: somebody waits for it.
#[tokio::test]
async fn nobody_waits_for_the_end_to_get_the_beginning() {
    let site = Site::new(route(), move |_, mut wire| async move {
        wire.head().await?;
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
            .await?;
        wire.rest().await;
        Some(())
    })
    .await;
    let mut wire = site.wire().await;
    wire.send("GET /a HTTP/1.1\r\nHost: app.test:8443\r\n\r\n")
        .await
        .unwrap();
    assert!(wire.until("1\r\na\r\n").await.is_some());
}

/// Nobody was told anything yet, so it can be said in so many words.
#[tokio::test]
async fn what_is_broken_when_it_has_just_begun_is_a_failure_of_the_upstream() {
    let answer = spoils_its_connection("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nzz\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(answer.contains("refused: the answer broke off"), "{answer}");
}

/// An upstream may say by closing that it is done, which a proxy cannot tell from breaking off; but what was told before that is kept in order.
#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_whole() {
    let site = Site::new(route(), move |_, mut wire| async move {
        wire.head().await?;
        wire.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello").await
    })
    .await;
    let answer = site.get().await;
    assert!(
        answer.ends_with("hello") || answer.ends_with("5\r\nhello\r\n0\r\n\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn trailers_behind_one_chunk_are_kept_but_for_what_no_trailer_may_be() {
    let site = in_pieces(&[
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum, connection, x-gateward-assertion\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\n\
         Connection: close\r\nTransfer-Encoding: gzip\r\nX-Gateward-Assertion: forged\r\n\r\n",
    ])
    .await;
    let answer = site
        .ask("GET /a HTTP/1.1\r\nHost: app.test:8443\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n")
        .await;
    assert!(answer.ends_with("1\r\na\r\n0\r\nx-sum: 7\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_length_twice_is_malformed() {
    let answer = spoils_its_connection("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello").await;
    assert!(
        answer.contains("refused: a malformed answer: more than one Content-Length"),
        "{answer}"
    );
    let answer = spoils_its_connection("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello").await;
    assert!(answer.contains("refused: a malformed answer"), "{answer}");
}

#[tokio::test]
async fn a_length_beside_a_coding_is_malformed() {
    let both = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    assert!(
        spoils_its_connection(both)
            .await
            .contains("refused: a malformed answer")
    );
    let twice = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    assert!(
        spoils_its_connection(twice)
            .await
            .contains("refused: a malformed answer")
    );
}

#[tokio::test]
async fn surplus_bytes_are_never_an_answer() {
    let answer =
        spoils_its_connection("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n").await;
    assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
}

#[tokio::test]
async fn an_unasked_change_of_protocol_is_malformed() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let answer = spoils_its_connection(switch).await;
    assert!(answer.contains("it switched protocols unasked"), "{answer}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_seen_to() {
    let site = Site::new(route(), |number, mut wire| async move {
        if number > 1 {
            return polite(wire).await;
        }
        wire.head().await?;
        wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
            .await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
        Some(())
    })
    .await;
    let broken = site.get().await;
    assert!(broken.contains("half") && !broken.contains("0\r\n\r\n"), "{broken}");
    assert!(site.get().await.ends_with("hello"));
    assert_eq!(site.connections(), 2);
}

#[tokio::test]
async fn a_body_that_stalls_breaks_off() {
    let site = Site::new(route(), |_, mut wire| async move {
        wire.head().await?;
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await?;
        wire.head().await.map(|_| ())
    })
    .await;
    let broken = site.get().await;
    assert!(
        broken.contains("content-length: 100") && broken.ends_with("half"),
        "{broken}"
    );
}

#[tokio::test]
async fn no_answer_ends_the_wait() {
    let site = Site::new(route(), |_, mut wire| async move {
        wire.head().await?;
        wire.head().await.map(|_| ())
    })
    .await;
    assert!(site.get().await.ends_with("refused: no answer in time"));
}

#[tokio::test]
async fn an_early_answer_costs_the_connection() {
    let (heard, mut told) = mpsc::channel(2);
    let site = Site::new(route(), move |_, mut wire| {
        let heard = heard.clone();
        async move {
            wire.head().await?;
            wire.send(HELLO).await?;
            heard.send(wire.rest().await).await.ok()
        }
    })
    .await;
    let mut wire = site.wire().await;
    let begun = "POST / HTTP/1.1\r\nHost: app.test:8443\r\nContent-Length: 100\r\n\r\nbegin";
    wire.send(begun).await;
    assert!(wire.until("hello").await.is_some());
    assert_eq!(
        told.recv().await.unwrap(),
        "begin",
        "then the end, with the body still open"
    );
    assert!(site.get().await.ends_with("hello"));
    assert_eq!(site.connections(), 2);
}

/// Answers once on each connection and then closes it as the next request arrives.
async fn tired(mut wire: Wire) -> Option<()> {
    wire.head().await?;
    wire.send(HELLO).await?;
    wire.head().await.map(|_| ())
}

#[tokio::test]
async fn a_request_that_died_with_an_old_connection_is_sent_again_if_it_may_be() {
    let site = Site::new(route(), |_, wire| tired(wire)).await;
    for turn in 1..=4 {
        assert!(site.get().await.ends_with("hello"));
        assert_eq!(site.connections(), turn);
    }
    let post = "POST /a HTTP/1.1\r\nHost: app.test:8443\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let answer = site.ask(post).await;
    assert!(answer.contains("refused: the connection failed"), "{answer}");
    assert_eq!(site.connections(), 4, "an unsafe request was sent twice");
}

#[tokio::test]
async fn a_request_that_died_with_a_new_connection_is_not_sent_again() {
    let site = Site::new(route(), |_, mut wire| async move { wire.head().await.map(|_| ()) }).await;
    assert!(site.get().await.contains("refused: the connection failed"));
    assert_eq!(site.connections(), 1);
}

#[tokio::test]
async fn a_body_over_the_limit_never_arrives_whole() {
    let (heard, mut told) = mpsc::channel(1);
    let site = Site::new(route(), move |_, mut wire| {
        let heard = heard.clone();
        async move { heard.send(wire.rest().await).await.ok() }
    })
    .await;
    let known = "POST / HTTP/1.1\r\nHost: app.test:8443\r\nConnection: close\r\nContent-Length: 1001\r\n\r\n";
    assert!(site.ask(known).await.contains("refused: the request body is too long"));
    assert_eq!(site.connections(), 0);
    let head = "POST / HTTP/1.1\r\nHost: app.test:8443\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let long = format!("{head}5\r\nbegin\r\n3e4\r\n{}\r\n0\r\n\r\n", "x".repeat(996));
    assert!(site.ask(&long).await.contains("refused: the request body is too long"));
    assert!(
        !told.recv().await.unwrap().ends_with("0\r\n\r\n"),
        "half a request passed for a whole one"
    );
}

#[tokio::test]
async fn a_client_that_stops_sending_is_told() {
    let site = Site::new(route(), |_, mut wire| async move {
        wire.head().await?;
        wire.rest().await;
        Some(())
    })
    .await;
    let mut wire = site.wire().await;
    wire.send("POST / HTTP/1.1\r\nHost: app.test:8443\r\nContent-Length: 10\r\n\r\nhalf")
        .await;
    let answer = wire.until("in time").await.unwrap();
    assert!(answer.ends_with("the request body did not arrive in time"), "{answer}");
}

#[tokio::test]
async fn a_get_with_chunks_keeps_its_body_and_loses_its_trailers() {
    let site = Site::new(route(), |_, mut wire| async move {
        let head = wire.head().await?;
        assert!(head.starts_with("GET /a?b=%2F HTTP/1.1\r\n"), "{head}");
        assert_eq!(wire.until("0\r\n\r\n").await?, "4\r\nbody\r\n0\r\n\r\n");
        wire.send(HELLO).await
    })
    .await;
    let head =
        "GET /a?b=%2F HTTP/1.1\r\nHost: app.test:8443\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = site
        .ask(&format!("{head}4\r\nbody\r\n0\r\nX-Forwarded-User: root\r\n\r\n"))
        .await;
    assert!(answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn after_an_upgrade_bytes_pass_both_ways() {
    let websocket = Route {
        websocket: true,
        ..route()
    };
    let site = Site::new(websocket, |_, mut wire| async move {
        let head = wire.head().await?;
        assert!(
            head.contains("connection: upgrade\r\n") && head.contains("upgrade: websocket\r\n"),
            "{head}"
        );
        wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nfirst")
            .await?;
        wire.until("ping").await?;
        wire.send("pong").await
    })
    .await;
    let mut wire = site.wire().await;
    wire.send("GET /a HTTP/1.1\r\nHost: app.test:8443\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        .await;
    let head = wire.head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(wire.until("first").await.is_some());
    wire.send("ping").await;
    assert_eq!(wire.rest().await, "pong");
}

#[tokio::test]
async fn elsewhere_an_upgrade_is_not_asked_for() {
    let site = Site::new(route(), |_, mut wire| async move {
        let head = wire.head().await?;
        assert!(!head.contains("upgrade"), "{head}");
        wire.send(HELLO).await
    })
    .await;
    let upgrade = "GET /a HTTP/1.1\r\nHost: app.test:8443\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n";
    assert!(site.ask(upgrade).await.ends_with("hello"));
}

#[tokio::test]
async fn an_unused_connection_is_closed_in_time() {
    let (closed, mut told) = mpsc::channel(1);
    let site = Site::new(route(), move |_, mut wire| {
        let closed = closed.clone();
        async move {
            wire.head().await?;
            wire.send(HELLO).await?;
            assert_eq!(wire.rest().await, "");
            closed.send(()).await.ok()
        }
    })
    .await;
    assert!(site.get().await.ends_with("hello"));
    told.recv().await.unwrap();
}

#[test]
fn a_prefix_is_taken_off_and_a_slash_is_left() {
    let stripped = |uri: &str, prefix| without_prefix(&uri.parse().unwrap(), prefix).unwrap().to_string();
    assert_eq!(stripped("/api/v1?q=/api", "/api"), "/v1?q=/api");
    assert_eq!(stripped("/api", "/api/"), "/");
    assert_eq!(stripped("/api?x=1", "/api"), "/?x=1");
    assert_eq!(stripped("/api/", "/api"), "/");
    assert_eq!(stripped("https://h.test/api/x%20y", "/api"), "/x%20y");
    assert_eq!(stripped("/x", "/"), "/x");
}

proptest! {
    /// Whatever prefix is taken off, it and what is sent on make the path that was matched, and the query is what it was.
    #[test]
    fn what_is_matched_is_what_is_forwarded(
        path in "(/([a-zA-Z0-9.~;-]|%2[05]|%C3%A9){1,6}){1,5}/?",
        query in "(\\?[a-z=/&.%]{0,9})?",
        segments in 0_usize..6,
    ) {
        let end = path.match_indices('/').nth(segments).map_or(path.len(), |(at, _)| at);
        let (prefix, rest) = if end == 0 { ("/", &*path) } else { path.split_at(end) };
        let mut table = Table::default();
        table.add(&HostPattern::Any, prefix, &[], ());
        let found = table.find("a.test", &http::Method::GET, &path).is_ok();
        prop_assume!(found && check_path(&path, false, false).is_ok());
        let uri: Uri = format!("{path}{query}").parse().unwrap();
        let target = without_prefix(&uri, prefix).unwrap();
        let rest = if rest.is_empty() { "/" } else { rest };
        prop_assert_eq!(target.as_str(), format!("{rest}{query}"));
        prop_assert!(check_path(target.path(), false, false).is_ok(), "{}", target);
    }
}
