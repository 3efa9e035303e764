//! What the request path counts, a handle for each route.
//!
//! Families of a metrics library look their members up in a locked map by all labels together; at two look-ups a proxied request that is a cost. Here
//! a count is an atomic in a page found by method and status class, made when it is first used, and a duration is two additions. The collector
//! reads them when a scraper asks.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::{ByName, of_name, zeros};

/// The methods that have a label of their own (RFC 9110 §9, RFC 5789); the last stands for every other.
const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "other",
];

/// Upper bounds of the duration histogram in nanoseconds; one more bucket takes the rest.
const BOUNDS: [u64; 15] = [
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
];

/// Different outcome and reason pairs a route can have; the last counts what finds no place.
const DECISIONS: usize = 32;

/// A decision's outcome and reason, both words of ours.
pub type Decision = (&'static str, &'static str);

/// The counters of one route. Cheap to clone, made to be kept.
#[derive(Clone)]
pub struct RouteMetrics(Arc<Counts>);

impl RouteMetrics {
    /// Counts an answer and how long it took.
    pub fn request(&self, method: &Method, code: StatusCode, took: Duration) {
        self.0.answers(method, code).fetch_add(1, Ordering::Relaxed);
        self.0.took(took);
    }

    /// Counts a decision: outcome `allowed`, `refused` or `ended`, and why.
    pub fn auth_decision(&self, outcome: &'static str, reason: &'static str) {
        self.0.decided((outcome, reason));
    }
}

impl fmt::Debug for RouteMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RouteMetrics")
    }
}

/// A hundred codes of one class.
type Class = OnceLock<Box<[AtomicU64; 100]>>;
/// The five classes of one method.
type PerMethod = OnceLock<Box<[Class; 5]>>;

struct Counts {
    methods: [PerMethod; METHODS.len()],
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
    decisions: [OnceLock<(Decision, AtomicU64)>; DECISIONS],
    beyond: AtomicU64,
}

impl Counts {
    fn new() -> Self {
        Self {
            methods: Default::default(),
            buckets: zeros(),
            nanos: AtomicU64::new(0),
            decisions: [const { OnceLock::new() }; DECISIONS],
            beyond: AtomicU64::new(0),
        }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "each index is taken modulo, or clamped to, the length"
    )]
    fn answers(&self, method: &Method, code: StatusCode) -> &AtomicU64 {
        let code = usize::from(code.as_u16());
        let class = (code / 100).clamp(1, 5) - 1;
        let per_method = &self.methods[method_index(method)];
        let per_class = &per_method.get_or_init(Box::default)[class];
        &per_class.get_or_init(|| Box::new(zeros()))[code % 100]
    }

    fn took(&self, span: Duration) {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < nanos);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    fn decided(&self, decision: Decision) {
        let places = self.decisions.iter();
        let mut taken = places.map(|place| place.get_or_init(|| (decision, AtomicU64::new(0))));
        let count = taken.find(|(known, _)| *known == decision);
        let count = count.map_or(&self.beyond, |(_, count)| count);
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Every method and code that was counted, with its count.
    fn seen(&self) -> impl Iterator<Item = (&'static str, usize, u64)> {
        let methods = METHODS.iter().zip(&self.methods);
        let methods = methods.filter_map(|(name, page)| Some((*name, page.get()?)));
        let classes = methods.flat_map(|(name, page)| page.iter().enumerate().map(move |(n, class)| (name, n, class)));
        let classes = classes.filter_map(|(name, n, class)| Some((name, (n + 1) * 100, class.get()?)));
        let codes = classes.flat_map(|(name, first, class)| {
            let counts = class.iter().enumerate();
            counts.map(move |(n, count)| (name, first + n, count.load(Ordering::Relaxed)))
        });
        codes.filter(|(_, _, count)| *count > 0)
    }

    fn decisions(&self) -> impl Iterator<Item = (Decision, u64)> {
        let places = self.decisions.iter().filter_map(OnceLock::get);
        let counted = places.map(|(decision, count)| (*decision, count.load(Ordering::Relaxed)));
        let beyond = (("other", "other"), self.beyond.load(Ordering::Relaxed));
        counted.chain(Some(beyond).filter(|(_, count)| *count > 0))
    }

    fn encode_durations(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = BOUNDS.iter().map(|nanos| seconds(*nanos)).chain([f64::INFINITY]);
        let counts = self.buckets.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let all = buckets.iter().map(|(_, count)| count).sum();
        let sum = seconds(self.nanos.load(Ordering::Relaxed));
        encoder.encode_histogram::<NoLabelSet>(sum, all, &buckets, None)
    }
}

fn method_index(method: &Method) -> usize {
    match *method {
        Method::GET => 0,
        Method::HEAD => 1,
        Method::POST => 2,
        Method::PUT => 3,
        Method::DELETE => 4,
        Method::PATCH => 5,
        Method::OPTIONS => 6,
        Method::CONNECT => 7,
        Method::TRACE => 8,
        _ => METHODS.len() - 1,
    }
}

fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

/// All routes ever counted, by name.
#[derive(Default)]
pub(super) struct Routes(ByName<RouteMetrics>);

impl Routes {
    pub(super) fn of(&self, name: &str) -> RouteMetrics {
        of_name(&self.0, name, || RouteMetrics(Arc::new(Counts::new())))
    }

    fn all(&self) -> Vec<(Box<str>, RouteMetrics)> {
        let map = self.0.read().unwrap_or_else(PoisonError::into_inner);
        map.iter()
            .map(|(name, counts)| (name.clone(), counts.clone()))
            .collect()
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Routes")
    }
}

impl Collector for Routes {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let routes = self.all();
        let mut to = encoder.encode_descriptor(
            "http_requests",
            "Requests answered, by route, method and status.",
            None,
            MetricType::Counter,
        )?;
        for (name, route) in &routes {
            for (method, code, count) in route.0.seen() {
                let labels = ([("route", &**name), ("method", method)], [("code", code)]);
                count_of(&mut to, &labels, count)?;
            }
        }
        let mut to = encoder.encode_descriptor(
            "auth_decisions",
            "Requests let through or refused, and connections ended that had been let through, by route and reason.",
            None,
            MetricType::Counter,
        )?;
        for (name, route) in &routes {
            for ((outcome, reason), count) in route.0.decisions() {
                let labels = [("route", &**name), ("outcome", outcome), ("reason", reason)];
                count_of(&mut to, &labels, count)?;
            }
        }
        let mut to = encoder.encode_descriptor(
            "http_request_duration_seconds",
            "From a request's arrival to the end of its answer, by route.",
            None,
            MetricType::Histogram,
        )?;
        for (name, route) in &routes {
            route.0.encode_durations(to.encode_family(&[("route", &**name)])?)?;
        }
        Ok(())
    }
}

fn count_of(to: &mut MetricEncoder<'_>, labels: &impl EncodeLabelSet, count: u64) -> fmt::Result {
    to.encode_family(labels)?
        .encode_counter::<NoLabelSet, u64, f64>(&count, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_made_from_many_threads_add_up() {
        let counts = Counts::new();
        std::thread::scope(|scope| {
            for n in 0..4_usize {
                let counts = &counts;
                scope.spawn(move || {
                    for _ in 0..1000 {
                        counts
                            .answers(&Method::GET, StatusCode::OK)
                            .fetch_add(1, Ordering::Relaxed);
                        counts.decided(if n % 2 == 0 {
                            ("allowed", "token")
                        } else {
                            ("refused", "no_token")
                        });
                    }
                });
            }
        });
        assert_eq!(counts.seen().collect::<Vec<_>>(), [("GET", 200, 4000)]);
        let mut decisions: Vec<_> = counts.decisions().collect();
        decisions.sort_unstable();
        assert_eq!(
            decisions,
            [(("allowed", "token"), 2000), (("refused", "no_token"), 2000)]
        );
    }

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        let counts = Counts::new();
        for millis in [0, 1, 2, 60_000] {
            counts.took(Duration::from_millis(millis));
        }
        let filled: Vec<u64> = counts
            .buckets
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        assert_eq!((filled[0], filled[1], filled[2], filled[BOUNDS.len()]), (1, 1, 1, 1));
    }
}
