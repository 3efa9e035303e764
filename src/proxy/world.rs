//! What tests of this room live in: a route, an origin, and a front door to an upstream that plays a script.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::forward::Courier;
use super::headers::Boundary;
use super::upstream::{Pools, Upstream};
use super::{Destination, Found};
use crate::config::{self, Access, Claim, HostPattern, IdentityHeaders, RevocationMode, Route, RouteKind, Target};
use crate::model::caller::Caller;
use crate::model::presence::Presence;
use crate::telemetry::Metrics;
use crate::wire::Body;
use crate::wire::origin::Origin;

/// A public route to everything, with one header of its own.
pub(super) fn route() -> Route {
    Route {
        name: "app".into(),
        host: HostPattern::Any,
        path: "/".into(),
        methods: Vec::new(),
        target: Target::Whoami,
        strip_prefix: false,
        access: Access::Public,
        roles: Vec::new(),
        two_factors: false,
        max_age: None,
        kind: RouteKind::Auto,
        accept_cookie: true,
        accept_bearer: true,
        revocation: RevocationMode::Cached,
        identity: IdentityHeaders {
            headers: vec![(HeaderName::from_static("tenant_id"), Claim::Session)],
            assertion: false,
        },
        forward_token: false,
        websocket: false,
        csrf: true,
        preserve_host: true,
        body_size: None,
        allow_semicolon: false,
        allow_encoded_slash: false,
        cors: None,
    }
}

/// `route`, ready.
pub(super) fn found(route: Route) -> Arc<Found> {
    Arc::new(Found {
        counts: Metrics::new().route(&route.name),
        destination: Destination::Whoami,
        body_limit: 1000,
        route,
    })
}

/// A client at 192.0.2.1, asking for `https://app.test:8443`.
pub(super) fn origin(trusted: bool) -> Origin {
    Origin {
        caller: Caller {
            ip: [203, 0, 113, 9].into(),
            user_agent: "test".into(),
            device: None,
            request_id: Arc::from("0190a3b2-7c4d-7e5f-8a9b-0c1d2e3f4a5b"),
            presence: Presence::default(),
        },
        peer: [192, 0, 2, 1].into(),
        peer_text: HeaderValue::from_static("192.0.2.1"),
        trusted,
        https: true,
        authority: "app.test:8443".parse().unwrap(),
    }
}

/// A front door to a scripted upstream.
pub(super) struct Site {
    front: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Site {
    /// An upstream that plays `script` on each connection, counted from 1, and a front that forwards to it by `route`.
    pub(super) async fn new<S, F>(route: Route, script: S) -> Self
    where
        S: Fn(usize, Wire) -> F + Send + Sync + 'static,
        F: Future<Output = Option<()>> + Send + 'static,
    {
        let connections = Arc::new(AtomicUsize::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::spawn(script(number, Wire(stream)));
            }
        });
        Self {
            front: front(route, server).await,
            connections,
        }
    }

    /// How many connections the upstream has seen.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// A connection to the front.
    pub(super) async fn wire(&self) -> Wire {
        Wire(TcpStream::connect(self.front).await.unwrap())
    }

    /// The whole answer to one request, the connection closed after it.
    pub(super) async fn ask(&self, request: &str) -> String {
        let mut wire = self.wire().await;
        wire.send(request).await.unwrap();
        wire.rest().await
    }

    /// The answer to a plain GET.
    pub(super) async fn get(&self) -> String {
        self.ask("GET /a HTTP/1.1\r\nHost: app.test:8443\r\nConnection: close\r\n\r\n")
            .await
    }
}

async fn front(route: Route, server: String) -> SocketAddr {
    let upstream = config::Upstream {
        servers: vec![server.parse().unwrap()],
        connect_timeout: Duration::from_secs(5),
        response_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_millis(300),
        ca_file: None,
    };
    let upstream = Arc::new(Upstream::new("app", &upstream).unwrap());
    let pools = Arc::new(Pools::default());
    let found = found(route);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (upstream, pools, found) = (Arc::clone(&upstream), Arc::clone(&pools), Arc::clone(&found));
            let service = service_fn(move |request| {
                let (upstream, pools, found) = (Arc::clone(&upstream), Arc::clone(&pools), Arc::clone(&found));
                async move { Ok::<_, std::convert::Infallible>(deliver(&upstream, &pools, &found, request).await) }
            });
            let server = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(server.with_upgrades());
        }
    });
    address
}

async fn deliver(upstream: &Upstream, pools: &Pools, found: &Found, request: Request<Incoming>) -> Response<Body> {
    let courier = Courier {
        found,
        boundary: &Boundary::new([&found.route].into_iter()),
        metrics: &Metrics::new(),
        body_timeout: Duration::from_millis(300),
        origin: &origin(false),
        guest: None,
        assertion: None,
        keep_authorization: true,
    };
    courier
        .deliver(pools, upstream, Box::new(request))
        .await
        .unwrap_or_else(|error| {
            let mut response = Response::new(Body::Full(Bytes::from(format!("refused: {error}"))));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        })
}

/// Raw bytes.
pub(super) struct Wire(TcpStream);

impl Wire {
    pub(super) async fn send(&mut self, text: &str) -> Option<()> {
        self.0.write_all(text.as_bytes()).await.ok()
    }

    /// Everything up to and with `end`; `None` if the other side ends before.
    pub(super) async fn until(&mut self, end: &str) -> Option<String> {
        let mut text = String::new();
        while !text.ends_with(end) {
            text.push(char::from(self.0.read_u8().await.ok()?));
        }
        Some(text)
    }

    /// A request's head.
    pub(super) async fn head(&mut self) -> Option<String> {
        self.until("\r\n\r\n").await
    }

    /// Everything to the end, or to where it breaks off.
    pub(super) async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let _ = self.0.read_to_end(&mut bytes).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
