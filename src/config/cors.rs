//! `routes.cors`: which other origins' pages may call a route.

use std::time::Duration;

use http::{HeaderName, Method};

/// Which other origins' pages may call a route, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Origins as browsers write them: scheme, host, port where it is not the scheme's own.
    pub origins: Vec<String>,
    /// `"*"` stands among the origins: anybody, without credentials.
    pub any_origin: bool,
    /// Methods they may use.
    pub methods: Vec<Method>,
    /// Request headers they may set.
    pub headers: Vec<HeaderName>,
    /// Whether cookies go along; never together with any origin.
    pub credentials: bool,
    /// How long a browser may remember the answer to a preflight.
    pub max_age: Duration,
}
