//! What the gateway says of itself: log set-up, the access and audit logs, every metric's name.

pub mod audit;
pub mod metrics;

pub use audit::Audit;
pub use metrics::Metrics;
