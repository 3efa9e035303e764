//! The names that a client may not say, by the reason why. Each stands for all that fold to it.

/// Fields that belong to one connection (RFC 9110 §7.6.1), and `Expect`, which is answered here.
pub const HOP_BY_HOP: [&str; 11] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "http2-settings",
];

/// Managed names that stand alone.
pub const MANAGED: [&str; 7] = [
    "forwarded",
    // No field of HTTP at all, but CGI hands it on as `HTTP_PROXY`, and programs believe that (CVE-2016-5385).
    "proxy",
    "remote-email",
    "remote-groups",
    "remote-name",
    "x-real-ip",
    "x-request-id",
];

/// By which servers, frameworks and gateways let a request say what is really asked for, or of whom: routes judge the host and the path that they see.
/// `SCRIPT_NAME` and `PATH_INFO` are CGI's words, which gunicorn takes from fields of that name.
pub const REROUTING: [&str; 25] = [
    "daphne-root-path",
    "path-info",
    "proxy-host",
    "script-name",
    "x-envoy-original-host",
    "x-envoy-original-path",
    "x-host",
    "x-http-destinationurl",
    "x-http-host-override",
    "x-http-path-override",
    "x-middleware-subrequest",
    "x-ms-original-url",
    "x-original-host",
    "x-original-path",
    "x-original-uri",
    "x-original-url",
    "x-outside-url",
    "x-override-url",
    "x-path-info",
    "x-rewrite-uri",
    "x-rewrite-url",
    "x-root-path",
    "x-script-name",
    "x-vhm-host",
    "x-vhm-root",
];

/// By which some let it say what is really meant. Routes that name methods judge the method that they see.
pub const OVERRIDES: [&str; 4] = [
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
];

/// What only a proxy may say: where its client is, how it came there, and how `Rack::Sendfile` is to serve files. One that is trusted may, since it may be
/// the only one to know. WebSphere's names begin with a dollar sign (`$WSSN`), which folds like any other.
pub const OF_PROXIES: [&str; 40] = [
    "-wsat",
    "-wscc",
    "-wscs",
    "-wsis",
    "-wspr",
    "-wsra",
    "-wsrh",
    "-wsru",
    "-wssc",
    "-wssn",
    "-wssp",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "client-ip",
    "cluster-client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "forwarded-for",
    "front-end-https",
    "http-client-ip",
    "http-x-forwarded-for",
    "proxy-auth-cert",
    "proxy-client-ip",
    "true-client-ip",
    "x-accel-mapping",
    "x-arr-clientcert",
    "x-arr-ssl",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-original-for",
    "x-original-forwarded-for",
    "x-originating-ip",
    "x-proxied-https",
    "x-scheme",
    "x-sendfile-type",
    "x-url-scheme",
    "x-verified-client-ip",
];

/// The same for whole families: who its client is, by a certificate (RFC 9440 §2.4 has these taken off) or by a sign-in at another gateway.
pub const FAMILIES_OF_PROXIES: [&str; 25] = [
    "cf-access",
    "cf-client-cert",
    "client-cert",
    "ssl-client",
    "tailscale-user",
    "wl-proxy",
    "x-amzn-mtls",
    "x-amzn-oidc",
    "x-auth-couchdb",
    "x-authenticated",
    "x-authentik",
    "x-client-cert",
    "x-consumer",
    "x-goog-authenticated-user",
    "x-goog-iap",
    "x-ms-client-principal",
    "x-pomerium",
    "x-proxy-remote-user",
    "x-proxy-roles",
    "x-proxy-user",
    "x-remote",
    "x-ssl",
    "x-sso-user",
    "x-vouch",
    "x-webauth",
];

/// Managed names and all that begin with them and a separator.
pub const FAMILIES: [&str; 4] = ["remote-user", "x-auth-request", "x-forwarded", "x-gateward"];
