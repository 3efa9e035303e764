//! The page to read first: one request, from arrival to answer.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{Request, Response};
use hyper::body::Incoming;

use crate::config::Settings;
use crate::portal::Portal;
use crate::proxy::Proxy;
use crate::proxy::upstream::Pools;
use crate::wire::Body;
use crate::wire::origin::Peer;

/// A configuration at work, swapped whole at a reload; a request keeps the one that it began with.
#[derive(Debug)]
pub struct Snapshot {
    /// What was loaded.
    pub settings: Arc<Settings>,
    /// Our own site.
    pub portal: Arc<Portal>,
    /// Other people's.
    pub proxy: Proxy,
}

/// What one data-plane worker answers requests with.
#[derive(Debug)]
pub struct Worker {
    snapshot: Arc<ArcSwap<Snapshot>>,
    pools: Pools,
    control: tokio::runtime::Handle,
}

impl Worker {
    /// A worker with pools of its own.
    pub fn new(snapshot: Arc<ArcSwap<Snapshot>>, control: tokio::runtime::Handle) -> Self {
        Self {
            snapshot,
            pools: Pools::default(),
            control,
        }
    }

    /// The configuration of this moment.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// One request, from arrival to answer. Every outcome is an answer.
    pub async fn handle(&self, peer: &Peer, request: Request<Incoming>) -> Response<Body> {
        let _ = (peer, request, &self.pools, &self.control);
        todo!()
    }
}
