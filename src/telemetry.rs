//! What the gateway says of itself: log set-up, the access and audit logs, every metric's name.

pub mod access;
pub mod audit;
pub mod log;
pub mod metrics;
mod moment;
mod writer;

pub use access::AccessLog;
pub use audit::Audit;
pub use metrics::Metrics;
