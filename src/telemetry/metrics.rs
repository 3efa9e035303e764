//! Every metric, by name. Labels are routes, methods, codes and words of ours: never a user, a path or an address.

use std::time::Duration;

/// The registry and the handles into it.
#[derive(Debug)]
pub struct Metrics {}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Self {
        todo!()
    }

    /// The exposition in Prometheus text format.
    pub fn render(&self) -> String {
        todo!()
    }

    /// `gateward_http_requests_total{route,method,code}` and `gateward_http_request_duration_seconds{route}`, once for every answer.
    pub fn request(&self, route: &str, method: &http::Method, code: http::StatusCode, took: Duration) {
        let _ = (route, method, code, took);
    }

    /// `gateward_auth_decisions_total{route,outcome,reason}`; outcome `allowed` or `refused`.
    pub fn auth_decision(&self, route: &str, outcome: &'static str, reason: &'static str) {
        let _ = (route, outcome, reason);
    }

    /// `gateward_login_total{outcome}`
    pub fn login(&self, outcome: &'static str) {
        let _ = outcome;
    }

    /// `gateward_refresh_total{outcome}`
    pub fn refresh(&self, outcome: &'static str) {
        let _ = outcome;
    }

    /// `gateward_revocations_total{kind}`
    pub fn revocation(&self, kind: &'static str) {
        let _ = kind;
    }

    /// `gateward_hash_queue_depth`
    pub fn hash_queue_depth(&self, depth: usize) {
        let _ = depth;
    }

    /// `gateward_hash_wait_seconds`
    pub fn hash_wait(&self, waited: Duration) {
        let _ = waited;
    }

    /// `gateward_store_up{store}`
    pub fn store_up(&self, store: &'static str, up: bool) {
        let _ = (store, up);
    }

    /// `gateward_store_errors_total{store,kind}`
    pub fn store_error(&self, store: &'static str, kind: &'static str) {
        let _ = (store, kind);
    }

    /// `gateward_revocation_feed_up`
    pub fn revocation_feed_up(&self, up: bool) {
        let _ = up;
    }

    /// `gateward_keys{state}`
    pub fn keys(&self, state: &'static str, count: usize) {
        let _ = (state, count);
    }

    /// `gateward_config_last_reload_success`
    pub fn config_reload(&self, succeeded: bool) {
        let _ = succeeded;
    }

    /// `gateward_cert_not_after_seconds{name}`, seconds since the epoch.
    pub fn cert_not_after(&self, name: &str, seconds: i64) {
        let _ = (name, seconds);
    }

    /// `gateward_upstream_errors_total{upstream,kind}`
    pub fn upstream_error(&self, upstream: &str, kind: &'static str) {
        let _ = (upstream, kind);
    }

    /// `gateward_upstream_connections_total{upstream}`: connections made.
    pub fn upstream_connection(&self, upstream: &str) {
        let _ = upstream;
    }
}
