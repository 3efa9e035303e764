//! Listen, accept, serve, drain.
//!
//! The data plane is one thread per worker with a runtime, listener sockets and upstream pools of its own; the kernel spreads connections over them
//! (`SO_REUSEPORT`), and they share nothing hot. Every connection has a seat on its worker's roster, from which the sweep keeps all time limits. The control
//! plane (admin listener, reload) is whoever called, on its own runtime.

pub mod admin;
pub mod framing;
pub mod reload;
pub mod tls;

mod answers;
mod connection;
mod linger;
mod listen;
mod outbox;
mod proxy_header;
mod pulse;
mod redirect;
mod rest;
mod roster;
mod stamp;
mod tap;
mod worker;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::sync::watch;

use crate::config;
use crate::gateway::Shared;
use listen::{Kind, Sockets};
use roster::Seats;
use worker::{Stage, Thread};

/// The server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}{}", listen::advice(source))]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A thread or its runtime cannot be made.
    #[error("cannot start a worker: {0}")]
    Thread(std::io::Error),
}

/// The running data plane.
#[derive(Debug)]
pub struct Server {
    stage: watch::Sender<Stage>,
    threads: Vec<Thread>,
    addresses: Addresses,
}

/// Where the server listens, with the ports that the system chose where the configuration says 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// TLS.
    pub https: Option<SocketAddr>,
    /// Cleartext.
    pub http: Option<SocketAddr>,
}

impl Server {
    /// Listens on every address before it starts the first worker, so that a taken port is an error and not a half-started gateway. `tls` is for the `https`
    /// listener; every worker answers from what is `shared`.
    ///
    /// # Errors
    /// When an address cannot be listened on or a thread not be started.
    pub fn start(
        settings: &config::Server,
        tls: Option<Arc<ServerConfig>>,
        shared: &Shared,
    ) -> Result<Self, ServerError> {
        let (stage, stages) = watch::channel(Stage::Serving);
        let seats = Seats::new(settings.limits.connections);
        let (sockets, addresses) = Self::listen(settings)?;
        let mut threads = Vec::with_capacity(sockets.len());
        for (number, sockets) in sockets.into_iter().enumerate() {
            let bench = worker::Bench {
                shared: shared.clone(),
                sockets,
                tls: tls.clone(),
                seats: Arc::clone(&seats),
                stages: stages.clone(),
            };
            threads.push(Thread::spawn(number, bench).map_err(ServerError::Thread)?);
        }
        Ok(Self {
            stage,
            threads,
            addresses,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Stops accepting, lets requests in flight finish for at most `grace`, then closes what is left. Returns whether everything finished.
    pub async fn drain(self, grace: Duration) -> bool {
        self.stage.send_replace(Stage::Draining);
        let threads = self.threads;
        let finished = tokio::time::timeout(grace, worker::finished(&threads)).await.is_ok();
        self.stage.send_replace(Stage::Closing);
        worker::finished(&threads).await;
        finished
    }

    fn listen(settings: &config::Server) -> Result<(Vec<Sockets>, Addresses), ServerError> {
        let plain = if settings.https.is_some() {
            Kind::Redirecting
        } else {
            Kind::Plain
        };
        let mut sockets: Vec<Sockets> = (0..settings.workers.max(1)).map(|_| Sockets::default()).collect();
        let mut addresses = Addresses::default();
        for (address, kind, chosen) in [
            (settings.https, Kind::Tls, &mut addresses.https),
            (settings.http, plain, &mut addresses.http),
        ] {
            let Some(address) = address else { continue };
            let (bound, each) =
                listen::bind(address, sockets.len()).map_err(|source| ServerError::Listen { address, source })?;
            *chosen = Some(bound);
            for (sockets, socket) in sockets.iter_mut().zip(each) {
                sockets.push((kind, socket));
            }
        }
        Ok((sockets, addresses))
    }
}
