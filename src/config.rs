//! `gateway.toml`, checked: the settings that every room gets its slice of.
//!
//! There are two types on purpose. `file` reads the file exactly as it is written and knows where each word stands; `check` turns it into `Settings`
//! and collects every mistake on the way. Whoever holds a `Settings` need not doubt it. Nothing here opens a socket, makes a file or changes
//! anything: `gateward check` is this room and nothing more.

mod address;
pub mod check;
pub mod cors;
mod file;
pub mod gaps;
pub mod mail;
mod nearest;
mod passkeys;
mod place;
pub mod portal;
pub mod provider;
mod read;
pub mod route;
mod section;
pub mod servers;
mod units;
pub mod unproven;
mod values;
mod words;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;
use ipnet::IpNet;

use crate::model::user::Role;
pub use check::{Mistake, Mistakes};
pub use cors::Cors;
pub use mail::Mail;
pub use passkeys::Passkeys;
pub use portal::{Color, Logo, Portal};
pub use provider::Provider;
pub use route::{Access, Claim, HostPattern, IdentityHeaders, RevocationMode, Route, RouteKind, Target};

/// Reads and checks a file, environment overrides (`GATEWARD__SECTION__KEY`) included.
///
/// # Errors
/// Every mistake of the file at once, each with its line.
pub fn load(path: &Path) -> Result<Settings, Mistakes> {
    // A variable that is not UTF-8 is none of ours, and must not stop the gateway.
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    check::load(path, &variables.collect())
}

/// A whole configuration without mistakes.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `[server]`
    pub server: Server,
    /// `[tls]`
    pub tls: Tls,
    /// `[store]`
    pub store: Store,
    /// `[tokens]`
    pub tokens: Tokens,
    /// `[auth]`
    pub auth: Auth,
    /// `[portal]`
    pub portal: Portal,
    /// `[mail]`; `None`: nobody is written to.
    pub mail: Option<Mail>,
    /// `[log]`
    pub log: Log,
    /// `[upstreams.*]`, by name.
    pub upstreams: BTreeMap<String, Upstream>,
    /// `[[routes]]`, in the order of the file.
    pub routes: Vec<Route>,
}

impl Settings {
    /// Where our own pages stand, for browsers and for others: `public_url` with `base_path`.
    pub fn site(&self) -> String {
        let url = self.server.public_url.to_string();
        format!("{}{}", url.trim_end_matches('/'), self.auth.base_path)
    }
}

/// Where the gateway listens and how much it bears.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// The TLS listener; without it `http` serves.
    pub https: Option<SocketAddr>,
    /// The cleartext listener: redirects to `https` when there is one.
    pub http: Option<SocketAddr>,
    /// Probes and metrics; `None` switches them off.
    pub admin: Option<SocketAddr>,
    /// Whether `admin` may be on an address others can reach.
    pub admin_public: bool,
    /// How browsers reach the gateway: scheme and authority, no path.
    pub public_url: Uri,
    /// Peers whose `X-Forwarded-*` and `Forwarded` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether those peers begin each connection with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// Data-plane threads; never 0 here (0 in the file means one per core).
    pub workers: usize,
    /// How long after SIGTERM connections are still taken while `/readyz` says no.
    pub shutdown_delay: Duration,
    /// How long requests in flight may take after that.
    pub shutdown_grace: Duration,
    /// Time and count limits.
    pub limits: Limits,
}

/// What one client may cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Until the TLS handshake is done.
    pub handshake_timeout: Duration,
    /// From the first byte of a connection, or of a request on it, to the end of its header block.
    pub header_timeout: Duration,
    /// Between two pieces of a request body.
    pub body_timeout: Duration,
    /// Between two requests on a connection.
    pub idle_timeout: Duration,
    /// Octets of request line and header block together.
    pub header_size: usize,
    /// Octets of a request body, unless the route says otherwise.
    pub body_size: u64,
    /// Connections open at once.
    pub connections: usize,
    /// HTTP/2 streams open at once on a connection.
    pub streams: u32,
}

/// Certificates and transport security.
#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    /// Make and keep a self-signed certificate for `public_url`'s host, `localhost` and the loopback addresses.
    pub self_signed: bool,
    /// Where the self-signed pair is kept: beside the store's secret file.
    pub self_signed_dir: PathBuf,
    /// Certificate chains with their keys, PEM; the first serves clients that name no known host.
    pub certificates: Vec<Certificate>,
    /// `max-age` of `Strict-Transport-Security` (RFC 6797); zero sends none.
    pub hsts: Duration,
}

/// One certificate chain and its private key, both PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Certificate {
    /// The chain, leaf first.
    pub cert_file: PathBuf,
    /// The key of the leaf.
    pub key_file: PathBuf,
}

/// Where things are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// Accounts and signing keys.
    pub accounts: StoreUrl,
    /// Sessions, revocations, counters.
    pub sessions: StoreUrl,
    /// 32 bytes, base64: seals keys, signs refresh tokens.
    pub secret_file: PathBuf,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long a call may take in all.
    pub timeout: Duration,
    /// How long a token that is new to this node is let through after the revocation feed broke.
    pub max_staleness: Duration,
}

/// Which store, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// `sqlite://path`, relative to the configuration file.
    Sqlite(PathBuf),
    /// `postgres://…`: accounts and signing keys only.
    Postgres(servers::Postgres),
    /// `redis://…` and its relatives: sessions, revocations and counters only.
    Redis(servers::Redis),
}

/// Access and refresh tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Tokens {
    /// `iss`
    pub issuer: String,
    /// `aud`; a token must name at least one of them.
    pub audience: Vec<String>,
    /// What new signing keys are made for.
    pub algorithm: Algorithm,
    /// Life of an access token.
    pub access_ttl: Duration,
    /// A session ends when unused this long.
    pub refresh_idle: Duration,
    /// A session's longest life.
    pub refresh_absolute: Duration,
    /// How long a rotated refresh token is answered with the same successor.
    pub reuse_window: Duration,
    /// What ends when a refresh token is used again.
    pub on_reuse: OnReuse,
    /// A signing key signs this long.
    pub rotate_every: Duration,
    /// A signing key is in the JWKS this long before it signs.
    pub publish_before: Duration,
    /// Put `email` into access tokens.
    pub claim_email: bool,
    /// Put `roles` into access tokens.
    pub claim_roles: bool,
}

/// A JWS algorithm (RFC 7518 §3.1, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, 2048 bits.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// The `alg` of RFC 7518.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of such a name; any other is none of ours.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Rs256, Self::Es256, Self::EdDsa]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }
}

/// How far the reuse of a refresh token reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReuse {
    /// The session it belongs to ends.
    Family,
    /// Every session of the user ends.
    User,
}

/// Accounts and sign-in.
#[derive(Clone, Debug, PartialEq)]
pub struct Auth {
    /// Where our own endpoints stand, without a slash at the end (`/auth`).
    pub base_path: String,
    /// Whether strangers may register.
    pub registration: bool,
    /// What a new account may do.
    pub default_roles: Vec<Role>,
    /// Password rules and hashing.
    pub password: PasswordRules,
    /// How often one may try.
    pub limits: AuthLimits,
    /// Hosts beside `public_url`'s own that one may be sent back to after signing in.
    pub return_to_hosts: Vec<String>,
    /// Whose sign-in counts here beside our own.
    pub providers: Vec<Provider>,
    /// Passkeys; `None` switches them off.
    pub passkeys: Option<Passkeys>,
}

/// Password rules and hashing costs.
#[derive(Clone, Debug, PartialEq)]
pub struct PasswordRules {
    /// Characters at least.
    pub min_length: usize,
    /// Characters at most.
    pub max_length: usize,
    /// Argon2id memory in KiB.
    pub memory_kib: u32,
    /// Argon2id passes.
    pub iterations: u32,
    /// Argon2id lanes.
    pub lanes: u32,
    /// Hashing threads.
    pub threads: usize,
    /// Hashes that may wait.
    pub queue: usize,
}

/// How often one may try to sign in.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthLimits {
    /// From one source (IPv4 /32, IPv6 /64).
    pub per_ip: Rate,
    /// For one account from one source.
    pub per_account_ip: Rate,
    /// For one account from all sources that have not signed in to it before.
    pub per_account: Rate,
    /// Codes of second steps, for one account.
    pub per_account_code: Rate,
}

/// So many in such a span, written `"20/1m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In what span.
    pub per: Duration,
}

/// Where log lines go.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// `tracing` filter directives for everything but access and audit (`info`, `gateward=debug`).
    pub level: String,
    /// One JSON object for each request.
    pub access: LogTarget,
    /// One JSON object for each security event.
    pub audit: LogTarget,
}

/// A place for log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// Appended to a file.
    File(PathBuf),
}

/// Servers that do the same job.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// Scheme and authority of each server, `http` or `https`; taken in turn.
    pub servers: Vec<Uri>,
    /// To make a connection, TLS included.
    pub connect_timeout: Duration,
    /// From the end of the request to the header block of the answer.
    pub response_timeout: Duration,
    /// Between two pieces of an answer's body, and for an unused connection in the pool.
    pub idle_timeout: Duration,
    /// PEM certificates that vouch for `https` servers instead of the system's roots.
    pub ca_file: Option<PathBuf>,
}

#[cfg(test)]
mod tests;
