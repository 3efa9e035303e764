//! What does the header boundary cost: taking off what a client may not say, and putting on what the upstream is told?
//!
//! The request is a browser's, with fifteen fields, two of which are forged. Copying its head is not counted.

use divan::Bencher;
use gateward::config::RevocationMode;
use gateward::proxy::headers::{self, Boundary, Prior, Spared, Told};
use gateward::wire::origin::Origin;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::installation::{Installation, caller};

const FIELDS: [(&str, &str); 15] = [
    ("host", "app.example.com"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("accept-language", "en-GB,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("connection", "keep-alive, x-forwarded-user"),
    (
        "cookie",
        "theme=dark; __Host-gateward=eyJhbGciOiJSUzI1NiJ9.e30.c2ln; basket=17",
    ),
    ("upgrade-insecure-requests", "1"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "none"),
    ("priority", "u=0, i"),
    ("x-forwarded-user", "root"),
    ("x_forwarded_groups", "admins"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
];

fn request() -> HeaderMap {
    let field = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    FIELDS.into_iter().map(field).collect()
}

#[divan::bench]
fn strip(bencher: Bencher<'_, '_>) {
    let house = Installation::new();
    let boundary = Boundary::new(house.settings.routes.iter());
    bencher
        .with_inputs(request)
        .bench_local_refs(|head| off(&boundary, head));
}

#[inline(never)]
fn off(boundary: &Boundary, head: &mut HeaderMap) {
    boundary.strip_request(head, Spared::default());
}

#[divan::bench]
fn strip_and_tell(bencher: Bencher<'_, '_>) {
    let house = Installation::new();
    let boundary = Boundary::new(house.settings.routes.iter());
    let jwt = house.signed_in().access.jwt;
    let verified = house.rooms.tokens.verify(&jwt, RevocationMode::Cached);
    let verified = house.runtime.block_on(verified).unwrap();
    let origin = Origin {
        caller: caller(),
        peer: caller().ip,
        peer_text: HeaderValue::from_static("192.0.2.1"),
        trusted: false,
        https: true,
        authority: Authority::from_static("app.example.com"),
    };
    let told = || Told {
        origin: &origin,
        route: &house.settings.routes[0],
        who: Some(&verified),
        assertion: None,
    };
    bencher
        .with_inputs(request)
        .bench_local_refs(|head| off_and_on(&boundary, head, told()));
}

#[inline(never)]
fn off_and_on(boundary: &Boundary, head: &mut HeaderMap, told: Told<'_>) {
    let prior = Prior::read(told.origin, head);
    boundary.strip_request(head, Spared::default());
    headers::tell(head, told, prior);
}
