//! The file exactly as it is written: every table, every key, its type and its default, in one place.
//!
//! Whoever wants to know what can be configured reads this list; `gateway.toml` in the root shows the same keys with a comment each, and a test holds
//! the two together. A default is text as the environment would give it; `absent` means that the key may be left out and its absence says something;
//! `required` that it may not.

use http::{HeaderName, Method};
use ipnet::IpNet;

use super::address::{Address, Origin, ReturnHost};
use super::mail::Sender;
use super::place::Place;
use super::read::{Count, Field, Holds, Key, Table, Version, Written};
use super::section::{Map, Named, Section, nested};
use super::values::{
    BasePath, FilePath, Filter, Issuer, MailAt, Name, Plain, Positive, ProviderId, RoutePath, SharedWith, SiteName,
    Size, Span, StoreAt, SupportLink,
};
use super::words::{CredentialKind, PathException, Preset, Registration, Requirement, TokenClaim, UserClaim};
use super::{
    Access, Algorithm, Claim, Color, HostPattern, LogTarget, OnReuse, Rate, RevocationMode, RouteKind, Target,
};
use crate::model::user::Role;

type List<T> = Written<Vec<Written<T>>>;
type Maybe<T> = Option<Written<T>>;

macro_rules! table {
    ($($(#[$about:meta])* $table:ident { $($key:ident: $type:ty = $default:tt,)* })*) => {$(
        $(#[$about])*
        #[derive(Debug)]
        pub(super) struct $table {
            #[allow(dead_code, reason = "every table knows its place, whether or not a mistake of it needs one")]
            pub(super) at: Place,
            $(pub(super) $key: $type,)*
        }

        impl Table for $table {
            const KEYS: &'static [Key] = &[$(Key {
                name: stringify!($key),
                default: default!($default),
                required: required!($default),
                holds: <$type as Field>::HOLDS,
            }),*];

            fn read(section: &mut Section<'_, '_>) -> Option<Self> {
                let mut keys = Self::KEYS.iter();
                Some(Self {
                    at: section.place.clone(),
                    $($key: <$type as Field>::take(section, keys.next()?)?,)*
                })
            }
        }

        impl Field for $table {
            const HOLDS: Holds = Holds::Table(<Self as Table>::KEYS);

            fn take(section: &mut Section<'_, '_>, key: &'static Key) -> Option<Self> {
                nested(section, key)
            }
        }
    )*};
}

macro_rules! default {
    ($text:literal) => {
        Some($text)
    };
    ($word:ident) => {
        None
    };
}

macro_rules! required {
    (required) => {
        true
    };
    ($other:tt) => {
        false
    };
}

table! {
    /// The whole file.
    File {
        version: Written<Version> = "1",
        server: Server = table,
        tls: Tls = table,
        store: Store = table,
        tokens: Tokens = table,
        auth: Auth = table,
        portal: Portal = table,
        mail: Mail = table,
        log: Log = table,
        upstreams: Named<Upstream> = tables,
        routes: Vec<Route> = tables,
    }

    /// `[server]`
    Server {
        https: Maybe<Address> = absent,
        http: Maybe<Address> = absent,
        admin: Written<Address> = "127.0.0.1:9901",
        admin_public: Written<bool> = "false",
        public_url: Maybe<Origin> = absent,
        trusted_proxies: List<IpNet> = "[]",
        proxy_protocol: Written<bool> = "false",
        workers: Written<Count<0, 1024>> = "0",
        shutdown_delay: Written<Span> = "0s",
        shutdown_grace: Written<Span> = "20s",
        limits: ServerLimits = table,
    }

    /// `server.limits`
    ServerLimits {
        handshake_timeout: Written<Positive> = "10s",
        header_timeout: Written<Positive> = "10s",
        body_timeout: Written<Positive> = "30s",
        idle_timeout: Written<Positive> = "75s",
        header_size: Written<Size> = "32KiB",
        body_size: Written<Size> = "16MiB",
        connections: Written<Count<1, 10_000_000>> = "20000",
        streams: Written<Count<1, 10_000>> = "100",
    }

    /// `[tls]`
    Tls {
        self_signed: Maybe<bool> = absent,
        certificates: Vec<Certificate> = tables,
        hsts: Written<Span> = "365d",
    }

    /// An element of `tls.certificates`
    Certificate {
        cert_file: Maybe<FilePath> = required,
        key_file: Maybe<FilePath> = required,
    }

    /// `[store]`
    Store {
        accounts: Written<StoreAt> = "sqlite://data/gateward.db",
        sessions: Written<StoreAt> = "sqlite://data/gateward.db",
        accounts_password_file: Maybe<FilePath> = absent,
        sessions_password_file: Maybe<FilePath> = absent,
        sentinel_password_file: Maybe<FilePath> = absent,
        ca_file: Maybe<FilePath> = absent,
        secret_file: Written<FilePath> = "data/secret.key",
        connect_timeout: Written<Positive> = "250ms",
        timeout: Written<Positive> = "1s",
        max_staleness: Written<Span> = "60s",
    }

    /// `[tokens]`
    Tokens {
        issuer: Maybe<Plain> = absent,
        audience: List<Plain> = "[\"gateward\"]",
        algorithm: Written<Algorithm> = "RS256",
        access_ttl: Written<Positive> = "15m",
        refresh_idle: Written<Positive> = "14d",
        refresh_absolute: Written<Positive> = "90d",
        reuse_window: Written<Span> = "20s",
        on_reuse: Written<OnReuse> = "family",
        keys: Keys = table,
        claims: List<TokenClaim> = "[\"email\", \"roles\"]",
    }

    /// `tokens.keys`
    Keys {
        rotate_every: Written<Positive> = "30d",
        publish_before: Written<Positive> = "1h",
    }

    /// `[auth]`
    Auth {
        base_path: Written<BasePath> = "/auth",
        registration: Written<Registration> = "open",
        default_roles: List<Role> = "[]",
        password: Password = table,
        limits: AuthLimits = table,
        return_to_hosts: List<ReturnHost> = "[]",
        passkeys: Passkeys = table,
        providers: Vec<Provider> = tables,
    }

    /// An element of `auth.providers`
    Provider {
        id: Maybe<ProviderId> = required,
        name: Maybe<SiteName> = absent,
        issuer: Maybe<Issuer> = required,
        client_id: Maybe<Plain> = required,
        client_secret_file: Maybe<FilePath> = absent,
        scopes: List<Plain> = "[\"openid\", \"email\", \"profile\"]",
        allowed_domains: List<ReturnHost> = "[]",
        roles_from: Maybe<Plain> = absent,
        registration: Maybe<Registration> = absent,
        ca_file: Maybe<FilePath> = absent,
    }

    /// `auth.passkeys`
    Passkeys {
        enabled: Written<bool> = "true",
        rp_id: Maybe<ReturnHost> = absent,
        related_origins: List<Origin> = "[]",
    }

    /// `auth.password`
    Password {
        min_length: Written<Count<8, 128>> = "15",
        max_length: Written<Count<64, 1024>> = "256",
        argon2: Argon2 = table,
        threads: Written<Count<1, 256>> = "1",
        queue: Written<Count<1, 100_000>> = "64",
    }

    /// `auth.password.argon2`
    Argon2 {
        memory: Written<Size> = "19MiB",
        iterations: Written<Count<1, 100>> = "2",
        lanes: Written<Count<1, 64>> = "1",
    }

    /// `auth.limits`
    AuthLimits {
        per_ip: Written<Rate> = "20/1m",
        per_account_ip: Written<Rate> = "5/5m",
        per_account: Written<Rate> = "50/1h",
        per_account_code: Written<Rate> = "20/1h",
    }

    /// `[portal]`
    Portal {
        name: Written<SiteName> = "Gateward",
        logo_file: Maybe<FilePath> = absent,
        accent: Written<Color> = "#1f5fbf",
        support: Maybe<SupportLink> = absent,
        extra_css_file: Maybe<FilePath> = absent,
    }

    /// `[mail]`
    Mail {
        url: Written<MailAt> = "off",
        password_file: Maybe<FilePath> = absent,
        ca_file: Maybe<FilePath> = absent,
        from: Maybe<Sender> = absent,
        templates: Maybe<FilePath> = absent,
    }

    /// `[log]`
    Log {
        level: Written<Filter> = "info",
        access: Written<LogTarget> = "stdout",
        audit: Written<LogTarget> = "stdout",
    }

    /// `[upstreams.NAME]`
    Upstream {
        servers: Maybe<Vec<Written<Origin>>> = required,
        timeouts: Timeouts = table,
        ca_file: Maybe<FilePath> = absent,
    }

    /// `upstreams.NAME.timeouts`
    Timeouts {
        connect: Written<Positive> = "2s",
        response: Written<Positive> = "30s",
        idle: Written<Positive> = "5m",
    }

    /// `[[routes]]`
    Route {
        name: Maybe<Name> = required,
        host: Maybe<HostPattern> = absent,
        path: Written<RoutePath> = "/",
        methods: List<Method> = "[]",
        upstream: Maybe<Target> = required,
        strip_prefix: Written<bool> = "false",
        auth: Written<Access> = "required",
        roles: List<Role> = "[]",
        require: Maybe<Requirement> = absent,
        max_age: Maybe<Positive> = absent,
        kind: Written<RouteKind> = "auto",
        credentials: List<CredentialKind> = "[\"cookie\", \"bearer\"]",
        revocation: Written<RevocationMode> = "cached",
        identity: Identity = table,
        cors: Cors = table,
        forward_token: Written<bool> = "false",
        websocket: Written<bool> = "false",
        csrf: Written<bool> = "true",
        preserve_host: Written<bool> = "true",
        body_size: Maybe<Size> = absent,
        path_exceptions: List<PathException> = "[]",
    }

    /// `cors` of a route
    Cors {
        origins: List<SharedWith> = "[]",
        methods: List<Method> = "[\"GET\", \"HEAD\", \"POST\"]",
        headers: List<HeaderName> = "[\"authorization\", \"content-type\"]",
        credentials: Written<bool> = "false",
        max_age: Written<Span> = "10m",
    }

    /// `identity` of a route
    Identity {
        preset: Written<Preset> = "x-forwarded",
        user: Written<UserClaim> = "sub",
        assertion: Written<bool> = "false",
        headers: Map<Claim> = map,
    }
}
