//! Every metric, by name. Labels are routes, methods, codes and words of ours: never a user, a path or an address.
//!
//! The registry belongs to this struct; there is no global one. What the request path counts is kept apart in `RouteMetrics`, which costs a request a
//! few atomic additions; whoever answers for a route asks for its handle once, when the route is made.

mod exposition;
mod route;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use exposition::as_prometheus;
use route::Routes;
pub use route::{Decision, RouteMetrics};

type Word = [(&'static str, &'static str); 1];
type Words = [(&'static str, &'static str); 2];
type Name = [(&'static str, String); 1];
type NameAndWord = (Name, Word);

/// The registry and the handles into it.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    routes: Arc<Routes>,
    logins: Family<Word, Counter>,
    refreshes: Family<Word, Counter>,
    revocations: Family<Word, Counter>,
    hash_queue_depth: Gauge,
    hash_wait: Histogram,
    store_up: Family<Word, Gauge>,
    store_errors: Family<Words, Counter>,
    revocation_feed_up: Gauge,
    revocation_lag: Gauge<f64, AtomicU64>,
    config_reload: Gauge,
    cert_not_after: Family<Name, Gauge>,
    keys: Family<Word, Gauge>,
    upstream_errors: Family<NameAndWord, Counter>,
    upstream_connections: Family<Name, Counter>,
    connections_open: Family<Word, Gauge>,
    mail: Family<Word, Counter>,
    mail_waiting: Gauge,
    lost_lines: Family<Word, Counter>,
}

impl Metrics {
    /// The media type of what `render` writes.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// All metrics at zero.
    pub fn new() -> Self {
        let mut at = Registration(Registry::with_prefix("gateward"));
        let routes = Arc::new(Routes::default());
        at.0.register_collector(Box::new(Arc::clone(&routes)));
        at.build_info();
        Self {
            routes,
            logins: at.add("login", "Sign-ins tried, by outcome"),
            refreshes: at.outcomes("refresh", "Refresh tokens presented, by outcome", &REFRESH_OUTCOMES),
            revocations: at.outcomes("revocations", "Revocations made, by what they name", &REVOCATION_KINDS),
            hash_queue_depth: at.add("hash_queue_depth", "Password hashes waiting for a thread"),
            hash_wait: at.add_made(
                "hash_wait_seconds",
                "How long a password hash waited for a thread",
                Histogram::new(HASH_WAIT_BOUNDS),
            ),
            store_up: at.add("store_up", "Whether the store answered its last call"),
            store_errors: at.add("store_errors", "Store calls that failed, by kind"),
            revocation_feed_up: at.add("revocation_feed_up", "Whether revocations made elsewhere arrive"),
            revocation_lag: at.add(
                "revocation_lag_seconds",
                "For how long revocations made elsewhere may have gone unheard; while the feed is up each is heard within a second",
            ),
            config_reload: at.add_made(
                "config_last_reload_success",
                "Whether the last configuration read was taken over",
                gauge_at(1),
            ),
            cert_not_after: at.add(
                "cert_not_after_seconds",
                "When the certificate expires, in seconds since 1970",
            ),
            keys: at.add("keys", "Signing keys, by state"),
            upstream_errors: at.add("upstream_errors", "Requests that an upstream failed, by kind"),
            upstream_connections: at.add("upstream_connections", "Connections made to an upstream"),
            connections_open: at.add("connections_open", "Client connections open, by listener"),
            mail: at.outcomes("mail", "Letters dealt with, by outcome", &MAIL_OUTCOMES),
            mail_waiting: at.add("mail_waiting", "Letters that wait to be sent"),
            lost_lines: at.outcomes(
                "log_lines_lost",
                "Lines that could not be written, by log",
                &[[("log", "access")], [("log", "audit")]],
            ),
            registry: at.0,
        }
    }

    /// The exposition in Prometheus text format 0.0.4.
    pub fn render(&self) -> String {
        let mut open_metrics = String::new();
        // Writing to a string cannot fail.
        let _ = text::encode_registry(&mut open_metrics, &self.registry);
        as_prometheus(&open_metrics)
    }

    /// The counters of one route; the same ones for the same name, across reloads too.
    pub fn route(&self, name: &str) -> RouteMetrics {
        self.routes.of(name)
    }

    /// `gateward_http_requests_total{route,method,code}` and `gateward_http_request_duration_seconds{route}`, once for every answer.
    /// Looks the route up each time: on the request path hold a `RouteMetrics` instead.
    pub fn request(&self, route: &str, method: &http::Method, code: http::StatusCode, took: Duration) {
        self.route(route).request(method, code, took);
    }

    /// `gateward_auth_decisions_total{route,outcome,reason}`; outcome `allowed`, `refused` or `ended`.
    /// Looks the route up each time: on the request path hold a `RouteMetrics` instead.
    pub fn auth_decision(&self, route: &str, outcome: &'static str, reason: &'static str) {
        self.route(route).auth_decision(outcome, reason);
    }

    /// `gateward_login_total{outcome}`
    pub fn login(&self, outcome: &'static str) {
        self.logins.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// `gateward_refresh_total{outcome}`
    pub fn refresh(&self, outcome: &'static str) {
        self.refreshes.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// `gateward_revocations_total{kind}`
    pub fn revocation(&self, kind: &'static str) {
        self.revocations.get_or_create(&[("kind", kind)]).inc();
    }

    /// `gateward_hash_queue_depth`
    pub fn hash_queue_depth(&self, depth: usize) {
        self.hash_queue_depth.set(signed(depth));
    }

    /// `gateward_hash_wait_seconds`
    pub fn hash_wait(&self, waited: Duration) {
        self.hash_wait.observe(waited.as_secs_f64());
    }

    /// `gateward_store_up{store}`
    pub fn store_up(&self, store: &'static str, up: bool) {
        self.store_up.get_or_create(&[("store", store)]).set(i64::from(up));
    }

    /// `gateward_store_errors_total{store,kind}`
    pub fn store_error(&self, store: &'static str, kind: &'static str) {
        self.store_errors
            .get_or_create(&[("store", store), ("kind", kind)])
            .inc();
    }

    /// `gateward_revocation_feed_up`
    pub fn revocation_feed_up(&self, up: bool) {
        self.revocation_feed_up.set(i64::from(up));
    }

    /// `gateward_revocation_lag_seconds`
    pub fn revocation_lag(&self, lag: Duration) {
        self.revocation_lag.set(lag.as_secs_f64());
    }

    /// `gateward_keys{state}`
    pub fn keys(&self, state: &'static str, count: usize) {
        self.keys.get_or_create(&[("state", state)]).set(signed(count));
    }

    /// `gateward_config_last_reload_success`
    pub fn config_reload(&self, succeeded: bool) {
        self.config_reload.set(i64::from(succeeded));
    }

    /// `gateward_cert_not_after_seconds{name}`, seconds since the epoch.
    pub fn cert_not_after(&self, name: &str, seconds: i64) {
        self.cert_not_after
            .get_or_create(&[("name", name.to_owned())])
            .set(seconds);
    }

    /// Forgets every certificate, before the ones of a reload are told.
    pub fn certs_cleared(&self) {
        self.cert_not_after.clear();
    }

    /// `gateward_upstream_errors_total{upstream,kind}`
    pub fn upstream_error(&self, upstream: &str, kind: &'static str) {
        let labels = ([("upstream", upstream.to_owned())], [("kind", kind)]);
        self.upstream_errors.get_or_create(&labels).inc();
    }

    /// `gateward_upstream_connections_total{upstream}`: connections made.
    pub fn upstream_connection(&self, upstream: &str) {
        self.upstream_connections
            .get_or_create(&[("upstream", upstream.to_owned())])
            .inc();
    }

    /// `gateward_connections_open{listener}`: a gauge to move up and down; kept by the listener, so that counting needs no look-up.
    pub fn connections_open(&self, listener: &'static str) -> Gauge {
        self.connections_open.get_or_create_owned(&[("listener", listener)])
    }

    /// `gateward_mail_total{outcome}`: `sent`; `failed`, to be tried again; `given_up`; `expired`, not sent since its link was of no use any more.
    pub fn mail(&self, outcome: &'static str) {
        self.mail.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// `gateward_mail_waiting`
    pub fn mail_waiting(&self, count: u64) {
        self.mail_waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// `gateward_log_lines_lost_total{log}`
    pub(super) fn lost_lines(&self, log: &'static str) -> Counter {
        self.lost_lines.get_or_create_owned(&[("log", log)])
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

const REFRESH_OUTCOMES: [Word; 6] = [
    [("outcome", "rotated")],
    [("outcome", "repeated")],
    [("outcome", "replaced")],
    [("outcome", "reused")],
    [("outcome", "unknown")],
    [("outcome", "expired")],
];
const MAIL_OUTCOMES: [Word; 4] = [
    [("outcome", "sent")],
    [("outcome", "failed")],
    [("outcome", "given_up")],
    [("outcome", "expired")],
];
const REVOCATION_KINDS: [Word; 3] = [[("kind", "token")], [("kind", "session")], [("kind", "user")]];
const HASH_WAIT_BOUNDS: [f64; 10] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0];

struct Registration(Registry);

impl Registration {
    fn add<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        self.add_made(name, help, M::default())
    }

    fn add_made<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    /// A family whose members are there from the start: a rate over a counter that appears with its first event misses that event.
    fn outcomes<L>(&mut self, name: &str, help: &str, known: &[L]) -> Family<L, Counter>
    where
        L: EncodeLabelSet + Clone + Eq + std::hash::Hash + std::fmt::Debug + Send + Sync + 'static,
    {
        let family: Family<L, Counter> = self.add(name, help);
        for labels in known {
            drop(family.get_or_create(labels));
        }
        family
    }

    fn build_info(&mut self) {
        let family: Family<Word, Gauge> = self.add("build_info", "Which version runs; always 1");
        family.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
    }
}

fn gauge_at(value: i64) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(value);
    gauge
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Shared by name: the map is locked for reading only, but for the first sight of a name.
type ByName<T> = RwLock<BTreeMap<Box<str>, T>>;

fn of_name<T: Clone>(map: &ByName<T>, name: &str, make: impl FnOnce() -> T) -> T {
    let known = map.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
    known.unwrap_or_else(|| {
        let mut map = map.write().unwrap_or_else(PoisonError::into_inner);
        map.entry(name.into()).or_insert_with(make).clone()
    })
}

fn zeros<const N: usize>() -> [AtomicU64; N] {
    std::array::from_fn(|_| AtomicU64::new(0))
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};

    use super::*;

    #[test]
    fn every_promised_name_is_exposed_with_its_labels() {
        let metrics = Metrics::new();
        metrics.request("app", &Method::GET, StatusCode::OK, Duration::from_millis(3));
        metrics.auth_decision("app", "refused", "no_token");
        metrics.login("succeeded");
        metrics.refresh("rotated");
        metrics.revocation("session");
        metrics.hash_queue_depth(3);
        metrics.hash_wait(Duration::from_millis(20));
        metrics.store_up("sessions", true);
        metrics.store_error("sessions", "timeout");
        metrics.revocation_feed_up(true);
        metrics.revocation_lag(Duration::from_millis(1500));
        metrics.keys("active", 1);
        metrics.cert_not_after("localhost", 1_900_000_000);
        metrics.upstream_error("app", "connect");
        metrics.upstream_connection("app");
        metrics.connections_open("https").inc();
        metrics.mail_waiting(2);
        let text = metrics.render();
        for line in [
            "gateward_http_requests_total{route=\"app\",method=\"GET\",code=\"200\"} 1",
            "gateward_http_request_duration_seconds_count{route=\"app\"} 1",
            "gateward_http_request_duration_seconds_bucket{le=\"0.005\",route=\"app\"} 1",
            "gateward_http_request_duration_seconds_bucket{le=\"+Inf\",route=\"app\"} 1",
            "gateward_auth_decisions_total{route=\"app\",outcome=\"refused\",reason=\"no_token\"} 1",
            "gateward_login_total{outcome=\"succeeded\"} 1",
            "gateward_refresh_total{outcome=\"rotated\"} 1",
            "gateward_refresh_total{outcome=\"reused\"} 0",
            "gateward_revocations_total{kind=\"session\"} 1",
            "gateward_hash_queue_depth 3",
            "gateward_hash_wait_seconds_count 1",
            "gateward_store_up{store=\"sessions\"} 1",
            "gateward_store_errors_total{store=\"sessions\",kind=\"timeout\"} 1",
            "gateward_revocation_feed_up 1",
            "gateward_revocation_lag_seconds 1.5",
            "gateward_config_last_reload_success 1",
            "gateward_cert_not_after_seconds{name=\"localhost\"} 1900000000",
            "gateward_keys{state=\"active\"} 1",
            "gateward_upstream_errors_total{upstream=\"app\",kind=\"connect\"} 1",
            "gateward_upstream_connections_total{upstream=\"app\"} 1",
            "gateward_connections_open{listener=\"https\"} 1",
            "gateward_mail_total{outcome=\"sent\"} 0",
            "gateward_mail_waiting 2",
            "gateward_log_lines_lost_total{log=\"access\"} 0",
            concat!("gateward_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn the_text_format_names_a_counters_family_like_its_samples() {
        let text = Metrics::new().render();
        assert!(text.contains("# TYPE gateward_refresh_total counter\n"));
        assert!(text.contains("# HELP gateward_refresh_total Refresh tokens"));
        assert!(text.contains("# TYPE gateward_hash_queue_depth gauge\n"));
        assert!(!text.contains("# EOF"));
    }

    #[test]
    fn a_made_up_method_cannot_make_a_label() {
        let metrics = Metrics::new();
        let odd = Method::from_bytes(b"X-EVIL").unwrap();
        metrics.request("app", &odd, StatusCode::NOT_FOUND, Duration::ZERO);
        let text = metrics.render();
        assert!(text.contains("method=\"other\",code=\"404\"} 1"));
        assert!(!text.contains("EVIL"));
    }

    #[test]
    fn a_handle_counts_into_the_same_series_as_the_registry() {
        let metrics = Metrics::new();
        let handle = metrics.route("app");
        handle.request(&Method::GET, StatusCode::OK, Duration::ZERO);
        metrics.request("app", &Method::GET, StatusCode::OK, Duration::ZERO);
        assert!(metrics.render().contains("code=\"200\"} 2"));
    }
}
