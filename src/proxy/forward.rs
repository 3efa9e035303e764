//! Sends a request on and streams the answer back.
//!
//! A request is sent a second time in two cases only: hyper hands it back without having written any of it; or a connection that had served before died
//! without a word of an answer, and the method is safe and there is no body. A DELETE that was done and is done again would answer 404 where it had answered
//! 204; so idempotent (RFC 9110 §9.2.2) is not enough. Informational answers of an upstream end here: hyper's
//! server writes its own `100 Continue` when the upstream's side begins to read the body, and has no way to send others.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version, request};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use super::headers::{self, Boundary, Prior, Spared, Told};
use super::stay::{Guest, Stay, Unwelcome};
use super::tunnel;
use super::upload::{Progress, Upload, UploadError};
use super::upstream::{Acquired, Connection, Pools, SendError, Upstream};
use super::{Found, ProxyError};
use crate::telemetry::Metrics;
use crate::wire::Body;
use crate::wire::body::{Begun, Streamed};
use crate::wire::origin::Origin;

/// What forwarding one request needs beside the request.
#[derive(Debug)]
pub(super) struct Courier<'a> {
    pub(super) found: &'a Found,
    pub(super) boundary: &'a Boundary,
    pub(super) metrics: &'a Metrics,
    pub(super) body_timeout: Duration,
    pub(super) origin: &'a Origin,
    pub(super) guest: Option<Guest<'a>>,
    pub(super) assertion: Option<HeaderValue>,
    pub(super) keep_authorization: bool,
}

/// A request as the upstream gets it.
struct Outgoing {
    request: Request<Upload>,
    progress: Option<Arc<Progress>>,
    /// The client's side of an upgrade that was asked for and may be had.
    upgrade: Option<OnUpgrade>,
}

impl Courier<'_> {
    /// The request's head as an upstream is told it, ours included.
    pub(super) fn rewrite(&self, headers: &mut HeaderMap) {
        let prior = Prior::read(self.origin, headers);
        let spared = Spared {
            authorization: self.keep_authorization,
            proxy: self.origin.trusted,
        };
        self.boundary.strip_request(headers, spared);
        let told = Told {
            origin: self.origin,
            route: &self.found.route,
            who: self.guest.map(|guest| &**guest.who),
            assertion: self.assertion.clone(),
        };
        headers::tell(headers, told, prior);
    }

    /// Takes a request to an upstream and its answer back.
    pub(super) async fn deliver(
        &self,
        pools: &Pools,
        upstream: &Upstream,
        request: Box<Request<Incoming>>,
    ) -> Result<Response<Body>, ProxyError> {
        let outgoing = self.outgoing(request)?;
        let (response, connection) = self
            .exchange(pools, upstream, outgoing.request, outgoing.progress)
            .await?;
        check_framing(response.headers())?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let stay = self.stay().await?;
            return self.switch(response, outgoing.upgrade, connection, upstream.idle_timeout, stay);
        }
        let (mut head, incoming) = response.into_parts();
        self.boundary.strip_response(&mut head.headers);
        head.version = Version::HTTP_11;
        let idle = upstream.idle_timeout;
        let body = match incoming.size_hint().exact() {
            Some(_) => Body::streamed(incoming, connection, idle),
            None => Box::pin(self.open_ended(incoming, connection, idle)).await?,
        };
        Ok(Response::from_parts(head, body))
    }

    /// An answer that does not say where it ends may go on for ever (Server-Sent Events): for as long as its guest may stay.
    async fn open_ended(
        &self,
        incoming: Incoming,
        connection: Arc<Connection>,
        idle: Duration,
    ) -> Result<Body, ProxyError> {
        let begun = Streamed::begin(incoming, connection, idle).await;
        match begun.map_err(ProxyError::Broken)? {
            Begun::Whole(bytes) if bytes.is_empty() => Ok(Body::Empty),
            Begun::Whole(bytes) => Ok(Body::Full(bytes)),
            Begun::Open(streamed) => Ok(Body::Streamed(match self.stay().await? {
                Some(stay) => streamed.permitted_by(Box::new(stay)),
                None => streamed,
            })),
        }
    }

    fn outgoing(&self, request: Box<Request<Incoming>>) -> Result<Outgoing, ProxyError> {
        let (mut head, body) = request.into_parts();
        if body.size_hint().lower() > self.found.body_limit {
            return Err(UploadError::TooLarge.into());
        }
        let upgrade = self.upgrade(&mut head, &body);
        self.rewrite(&mut head.headers);
        if let Some((_, protocol)) = &upgrade {
            headers::put_upgrade(&mut head.headers, protocol.clone());
        }
        if !body.is_end_stream() && body.size_hint().exact().is_none() {
            headers::put_chunked(&mut head.headers);
        }
        head.uri = self.target(head.uri);
        head.version = Version::HTTP_11;
        head.extensions.clear();
        let (upload, progress) = Upload::new(body, self.found.body_limit, self.body_timeout);
        Ok(Outgoing {
            request: Request::from_parts(head, upload),
            progress,
            upgrade: upgrade.map(|(side, _)| side),
        })
    }

    /// Only HTTP/1.1 has upgrades (RFC 9110 §7.8), and one with a body would leave it open where the new protocol begins.
    fn upgrade(&self, head: &mut request::Parts, body: &Incoming) -> Option<(OnUpgrade, HeaderValue)> {
        if !self.found.route.websocket || head.version != Version::HTTP_11 || !body.is_end_stream() {
            return None;
        }
        let protocol = headers::wanted_upgrade(&head.headers)?.clone();
        Some((head.extensions.remove::<OnUpgrade>()?, protocol))
    }

    /// The request target in origin-form: the bytes that were matched, less the prefix where the route takes it off.
    fn target(&self, uri: Uri) -> Uri {
        let stripped = self
            .found
            .route
            .strip_prefix
            .then(|| without_prefix(&uri, &self.found.route.path));
        if let Some(target) = stripped.flatten() {
            return Uri::from(target);
        }
        if uri.scheme().is_none() && uri.authority().is_none() {
            return uri;
        }
        let path = uri.path_and_query().cloned();
        Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")))
    }

    async fn exchange(
        &self,
        pools: &Pools,
        upstream: &Upstream,
        mut request: Request<Upload>,
        progress: Option<Arc<Progress>>,
    ) -> Result<(Response<Incoming>, Arc<Connection>), ProxyError> {
        let repeatable = progress.is_none() && request.method().is_safe();
        let mut again = false;
        loop {
            let acquired = pools.acquire(upstream, again, self.metrics).await?;
            let Acquired {
                server,
                connection,
                reused,
            } = acquired;
            if !self.found.route.preserve_host {
                request.headers_mut().insert(HOST, server.host_header.clone());
            }
            let limit = upstream.response_timeout;
            let sent = connection
                .send(request, progress.as_deref(), limit, reused && repeatable)
                .await;
            match sent {
                Ok(response) => return Ok((response, connection)),
                Err(SendError::TimedOut) => return Err(ProxyError::NoAnswer),
                Err(SendError::Failed(_, Some(back))) if !again => request = *back,
                Err(SendError::Failed(error, _)) => return Err(ProxyError::from_hyper(error)),
            }
            again = true;
        }
    }

    /// What is about to begin goes on for as long as its guest may stay.
    async fn stay(&self) -> Result<Option<Stay>, ProxyError> {
        match self.guest {
            // Boxed: every request's future would carry its room about.
            Some(guest) => Box::pin(guest.stay())
                .await
                .map(Some)
                .map_err(|Unwelcome| ProxyError::Unwelcome),
            None => Ok(None),
        }
    }

    /// The upstream goes over to another protocol; so does the client, if it asked to.
    fn switch(
        &self,
        mut response: Response<Incoming>,
        client: Option<OnUpgrade>,
        connection: Arc<Connection>,
        idle: Duration,
        stay: Option<Stay>,
    ) -> Result<Response<Body>, ProxyError> {
        let protocol = response.headers().get(UPGRADE).cloned();
        let (Some(client), Some(protocol)) = (client, protocol) else {
            return Err(ProxyError::Misframed("it switched protocols unasked"));
        };
        let upstream = hyper::upgrade::on(&mut response);
        let (mut head, _) = response.into_parts();
        self.boundary.strip_response(&mut head.headers);
        head.headers.remove(CONTENT_LENGTH);
        headers::put_upgrade(&mut head.headers, protocol);
        head.version = Version::HTTP_11;
        tokio::spawn(tunnel::run(client, upstream, connection, idle, stay));
        Ok(Response::from_parts(head, Body::Empty))
    }
}

/// Path and query less a route's prefix; it always begins with a slash. The query stays byte for byte.
fn without_prefix(uri: &Uri, prefix: &str) -> Option<PathAndQuery> {
    let whole = uri.path_and_query()?.as_str();
    let rest = whole.strip_prefix(prefix.trim_end_matches('/'))?;
    if rest.starts_with('/') {
        return PathAndQuery::try_from(rest).ok();
    }
    PathAndQuery::try_from(format!("/{rest}")).ok()
}

/// An answer that two readers could cut at different places (RFC 9112 §6.3). hyper refuses lengths that differ; equal ones, and a length beside a coding, it
/// lets through.
fn check_framing(headers: &HeaderMap) -> Result<(), ProxyError> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next();
    if lengths.next().is_some() || length.is_some_and(|line| !line.as_bytes().iter().all(u8::is_ascii_digit)) {
        return Err(ProxyError::Misframed("more than one Content-Length"));
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    if length.is_some() {
        return Err(ProxyError::Misframed("Content-Length and Transfer-Encoding together"));
    }
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(ProxyError::Misframed("a transfer coding other than chunked"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
