//! `[[routes]]`: which requests go where, what they need, and what the upstream is told.

use std::time::Duration;

use http::{HeaderName, Method};

use super::Cors;
use crate::model::user::Role;

/// Which requests go where, and what they need.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Its name: in metrics, logs and the assertion's `aud`.
    pub name: String,
    /// Which hosts.
    pub host: HostPattern,
    /// Path prefix, matched at segment borders; `/` matches all.
    pub path: String,
    /// Which methods; empty means any.
    pub methods: Vec<Method>,
    /// Where to.
    pub target: Target,
    /// Whether `path` is taken off before forwarding.
    pub strip_prefix: bool,
    /// Who may pass.
    pub access: Access,
    /// Any of these is needed; empty means none is.
    pub roles: Vec<Role>,
    /// Whether the sign-in must have been with two factors.
    pub two_factors: bool,
    /// How long ago the sign-in may be, where that matters.
    pub max_age: Option<Duration>,
    /// How refusals look.
    pub kind: RouteKind,
    /// Whether the access cookie counts.
    pub accept_cookie: bool,
    /// Whether a bearer token counts.
    pub accept_bearer: bool,
    /// How revocation is looked up.
    pub revocation: RevocationMode,
    /// What the upstream is told.
    pub identity: IdentityHeaders,
    /// Whether our bearer token goes on to the upstream.
    pub forward_token: bool,
    /// Whether `Upgrade` (WebSocket and others) is passed on.
    pub websocket: bool,
    /// Whether unsafe requests that lean on a cookie must prove their origin.
    pub csrf: bool,
    /// Whether the client's own `Host` goes on (the default) or the server's name is put in its place.
    pub preserve_host: bool,
    /// Octets of a request body, when other than the server's limit.
    pub body_size: Option<u64>,
    /// Which other origins' pages may call it.
    pub cors: Option<Cors>,
    /// Path spellings let through that are refused elsewhere: `;` in a segment.
    pub allow_semicolon: bool,
    /// Path spellings let through that are refused elsewhere: `%2F`.
    pub allow_encoded_slash: bool,
}

impl Route {
    /// Whether its list of roles lets somebody with these pass; an empty list asks for none.
    pub fn is_for(&self, roles: &[Role]) -> bool {
        self.roles.is_empty() || self.roles.iter().any(|role| roles.contains(role))
    }
}

/// Hosts of a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// Any host.
    Any,
    /// Exactly this host, lower case, no port.
    Exact(String),
    /// One label or more before this: `*.example.com` is kept as `example.com`.
    Wildcard(String),
}

/// What stands behind a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `[upstreams.NAME]`
    Upstream(String),
    /// `builtin:whoami`
    Whoami,
}

/// Who may pass a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody; nobody is identified.
    Public,
    /// Everybody; who shows a good token is identified.
    Optional,
    /// Whoever shows a good token.
    Required,
}

/// For whom refusals on a route are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// People in browsers.
    Web,
    /// Programs.
    Api,
    /// Judged from each request.
    Auto,
}

/// How a route looks up revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationMode {
    /// In memory, kept true by the feed.
    Cached,
    /// In the store, each time.
    Strict,
    /// Not at all.
    Off,
}

/// Identity headers of a route, resolved: preset and `headers` are one list here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityHeaders {
    /// Header and the claim whose value it carries.
    pub headers: Vec<(HeaderName, Claim)>,
    /// Whether `X-Gateward-Assertion` is sent.
    pub assertion: bool,
}

/// What a header can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// `sub`
    Subject,
    /// `email`
    Email,
    /// `roles`, comma-joined
    Roles,
    /// `sid`
    Session,
    /// `jti`
    Token,
    /// `auth_time`, seconds
    AuthTime,
    /// `amr`, comma-joined
    Amr,
}
