//! What the gateway says of itself: log set-up, the access and audit logs, every metric's name.

pub mod access;
pub mod audit;
pub mod log;
pub mod metrics;
mod moment;
mod writer;

use std::sync::Arc;

pub use access::AccessLog;
pub use audit::Audit;
pub use metrics::Metrics;

/// What is given to whoever has something to tell.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// Where it is counted.
    pub metrics: Arc<Metrics>,
    /// Where security events go.
    pub audit: Arc<Audit>,
}
