//! Connections to upstreams, one worker's own.

/// One worker's connection pools; they outlive a reload.
#[derive(Debug, Default)]
pub struct Pools {}
