//! One connection, two readers: a request must never hide in another one's bytes (CWE-444).

use super::{arrived, canary, statuses};
use crate::world::{Upstream, World};

pub(super) const HIDDEN: &str = "GET /public/hidden HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Header lines and a body, in which a second request hides from one of two readers.
pub(super) const REFUSED: &[(&str, &str, &str)] = &[
    ("CL.TE", "Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\nG"),
    ("TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 4", "5c\r\n"),
    ("CL.0", "Content-Length: 0\r\nContent-Length: 48", ""),
    ("TE.TE, unknown", "Transfer-Encoding: xchunked", "0\r\n\r\n"),
    (
        "TE.TE, two lines",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "0\r\n\r\n",
    ),
    (
        "TE.TE, space before the colon",
        "Transfer-Encoding : chunked",
        "0\r\n\r\n",
    ),
    (
        "TE.TE, tab before the colon",
        "Transfer-Encoding\t: chunked",
        "0\r\n\r\n",
    ),
    ("TE.TE, vertical tab", "Transfer-Encoding: \u{b}chunked", "0\r\n\r\n"),
    ("TE.TE, folded", "Transfer-Encoding:\r\n chunked", "0\r\n\r\n"),
    (
        "TE.TE, folded behind another",
        "X: y\r\n Transfer-Encoding: chunked",
        "0\r\n\r\n",
    ),
    ("TE.TE, bare CR", "X: y\rTransfer-Encoding: chunked", "0\r\n\r\n"),
    ("TE.TE, bare LF", "X: y\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    ("TE.TE, trailing comma", "Transfer-Encoding: chunked,", "0\r\n\r\n"),
    ("TE.TE, leading comma", "Transfer-Encoding: ,chunked", "0\r\n\r\n"),
    ("TE.TE, quoted", "Transfer-Encoding: \"chunked\"", "0\r\n\r\n"),
    ("TE.TE, parameter", "Transfer-Encoding: chunked;q=1", "0\r\n\r\n"),
    ("TE.TE, NUL", "Transfer-Encoding: chunked\0", "0\r\n\r\n"),
    ("TE empty", "Transfer-Encoding: ", "0\r\n\r\n"),
    ("TE, aliased", "Transfer.Encoding: chunked", "0\r\n\r\n"),
    ("CL, aliased", "content~length: 5", "hello"),
    ("CL negative", "Content-Length: -1", ""),
    ("CL in words", "Content-Length: 5 5", "hello"),
    ("CL beyond numbers", "Content-Length: 18446744073709551621", "hello"),
    ("CL over two lines", "Content-Length: 5\r\ncontent-length: 5", "hello"),
    ("CL empty", "Content-Length:", "hello"),
    ("a name with a NUL", "X\0: y", ""),
    ("a name with a space", "Content Length: 5", "hello"),
    ("a line without a colon", "Transfer-Encoding chunked", ""),
    ("a field without a name", ": chunked", ""),
    ("a value with a NUL", "X: a\0b", ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn no_framing_that_two_readers_could_cut_differently_reaches_an_upstream() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    for (what, lines, body) in REFUSED {
        for order in [format!("{lines}\r\nHost: HOST"), format!("Host: HOST\r\n{lines}")] {
            let head = format!("POST /public/{} HTTP/1.1\r\n{order}\r\n\r\n", arrived(&upstream).len());
            let bytes = format!("{head}{body}{HIDDEN}").replace("HOST", &world.authority());
            let seen = statuses(&world, bytes.as_bytes());
            assert!(matches!(seen[..], [400 | 501]), "{what}: {seen:?}");
        }
        assert!(arrived(&upstream).is_empty(), "{what}: {:?}", arrived(&upstream));
    }
    canary(&world);
}

/// Bodies that say that they come in chunks, and do not.
pub(super) const NO_CHUNKS: &[(&str, &str)] = &[
    ("0x before the size", "0x5\r\nhello\r\n0\r\n\r\n"),
    ("a sign before the size", "+5\r\nhello\r\n0\r\n\r\n"),
    ("a negative size", "-5\r\nhello\r\n0\r\n\r\n"),
    ("no size", "\r\nhello\r\n0\r\n\r\n"),
    ("a size beyond numbers", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("LF behind the size", "5\nhello\r\n0\r\n\r\n"),
    ("CR behind the size", "5\rhello\r\n0\r\n\r\n"),
    ("LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
    ("CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
    ("no CRLF behind the data", "5\r\nhelloXX0\r\n\r\n"),
    ("LF behind the data", "5\r\nhello\n0\r\n\r\n"),
    ("data longer than its size", "5\r\nhello, world\r\n0\r\n\r\n"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_that_is_none_ends_its_connection() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    for (what, body) in NO_CHUNKS {
        let head = format!(
            "POST /public/x HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
            world.authority()
        );
        let seen = statuses(&world, format!("{head}{body}{HIDDEN}").as_bytes());
        assert!(seen.iter().all(|status| *status == 400), "{what}: {seen:?}");
        assert!(
            !arrived(&upstream).iter().any(|target| target.contains("hidden")),
            "{what}: the hidden request arrived"
        );
    }
    canary(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_arrive_with_neither_extensions_nor_trailers() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let head = format!(
        "POST /public/x HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\nTrailer: X-Forwarded-User\r\n\r\n",
        world.authority()
    );
    let body = "5;a=\"b;c\" \r\nhello\r\n0;last\r\nX-Forwarded-User: root\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(statuses(&world, format!("{head}{body}").as_bytes()), [200]);
    let request = upstream.last();
    assert_eq!(request.body, b"hello");
    for name in ["x-forwarded-user", "trailer", "content-length"] {
        assert!(request.values(name).is_empty(), "{}", request.head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bare_line_feeds_in_trailers_count_no_request_behind_them() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let host = world.authority();
    let bytes = format!(
        "POST /public/x HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\r\n\
         GET /public/hidden HTTP/1.1\r\nHost: {host}\r\n\r\n"
    );
    statuses(&world, bytes.as_bytes());
    assert!(!arrived(&upstream).contains(&"/public/hidden".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_connection_names_changes_no_framing() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let host = world.authority();
    for method in ["GET", "POST", "DELETE"] {
        for (framing, body) in [
            ("Content-Length: 5\r\nConnection: content-length", "hello"),
            (
                "Transfer-Encoding: chunked\r\nConnection: transfer-encoding",
                "5\r\nhello\r\n0\r\n\r\n",
            ),
        ] {
            let before = upstream.count();
            let bytes = format!(
                "{method} /public/x HTTP/1.1\r\nHost: {host}\r\n{framing}\r\n\r\n{body}\
                 GET /public/next HTTP/1.1\r\nHost: {host}\r\n\r\n"
            );
            assert_eq!(statuses(&world, bytes.as_bytes()), [200, 200], "{method} {framing}");
            let seen = &upstream.requests()[before..];
            assert_eq!(seen.len(), 2);
            assert_eq!(
                (seen[0].body.as_slice(), seen[1].body.as_slice()),
                (b"hello".as_slice(), b"".as_slice())
            );
        }
    }
    let bytes = format!("GET /public/x HTTP/1.1\r\nHost: {host}\r\nConnection: host\r\n\r\n");
    assert_eq!(statuses(&world, bytes.as_bytes()), [200]);
    assert_eq!(upstream.last().value("x-forwarded-host"), host);
}

#[tokio::test(flavor = "multi_thread")]
async fn expectations_promise_no_body_that_is_not_there() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let host = world.authority();
    for lines in [
        "Expect: 100-continue",
        "Expect: 100-continue\r\nContent-Length: 0",
        "Expect: 100-continue\r\nExpect: 100-continue",
        "Expect: 200-ok",
        "EXPECT: y 100-continue",
    ] {
        for method in ["GET", "POST", "HEAD"] {
            let before = upstream.count();
            let bytes = format!(
                "{method} /public/x HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n\r\n\
                 GET /public/next HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            );
            let mut wire = world.tls();
            wire.send(bytes.as_bytes()).expect("two requests");
            let first = wire.answer(method).expect("an answer").status;
            let second = wire.answer("GET").expect("an answer").status;
            assert_eq!((first, second), (200, 200), "{method} {lines}");
            let seen = &upstream.requests()[before..];
            assert_eq!(seen.len(), 2, "{method} {lines}");
            assert!(seen.iter().all(|request| request.values("expect").is_empty()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_behind_a_refused_one_is_judged_for_itself() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let host = world.authority();
    let next = format!("GET /things HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for (what, first) in [
        (
            "refused for want of a token",
            format!("GET /things HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        ),
        (
            "refused with a body",
            format!(
                "POST /things HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n{next}",
                next.len()
            ),
        ),
        (
            "an odd path",
            format!("GET /public//x HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        ),
        ("allowed", format!("GET /public/x HTTP/1.1\r\nHost: {host}\r\n\r\n")),
    ] {
        let seen = statuses(&world, format!("{first}{next}").as_bytes());
        assert_eq!(seen.last(), Some(&401), "{what}: {seen:?}");
        assert!(seen.len() <= 2, "{what}: a body was read as a request: {seen:?}");
    }
    assert_eq!(arrived(&upstream), ["/public/x"]);
}

/// Request lines of versions that are not spoken here, and of none.
pub(super) const VERSIONS: &[&str] = &[
    "GET /public/x HTTP/1.2",
    "GET /public/x HTTP/2.0",
    "GET /public/x HTTP/0.9",
    "GET /public/x http/1.1",
    "GET /public/x HTTP/1.1 ",
    "GET  /public/x HTTP/1.1",
    "GET\t/public/x HTTP/1.1",
    "GET /public/x /y HTTP/1.1",
    " GET /public/x HTTP/1.1",
    "GET /public/x",
    "PRI * HTTP/2.0",
];

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_are_none_of_ours_are_not_served() {
    let upstream = Upstream::friendly();
    let world = World::start(&upstream);
    let host = world.authority();
    for line in VERSIONS {
        let seen = statuses(&world, format!("{line}\r\nHost: {host}\r\n\r\n").as_bytes());
        assert!(
            seen.iter().all(|status| matches!(status, 400 | 505)),
            "{line}: {seen:?}"
        );
    }
    for line in [
        "Transfer-Encoding: chunked",
        "Connection: keep-alive\r\nTransfer-Encoding: chunked",
    ] {
        let bytes = format!("POST /public/x HTTP/1.0\r\nHost: {host}\r\n{line}\r\n\r\n0\r\n\r\n{HIDDEN}");
        assert_eq!(statuses(&world, bytes.as_bytes()), [400], "{line}");
    }
    assert!(arrived(&upstream).is_empty(), "{:?}", arrived(&upstream));
}
