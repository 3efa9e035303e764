//! A TCP balancer as one stands before gateways: it asks each for its health and sends connections to those that are well, in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::world::World;

/// How often it asks.
const EVERY: Duration = Duration::from_millis(50);

/// A balancer, gone when dropped.
pub struct Balancer {
    port: u16,
    gateways: Arc<[Gateway]>,
    _tasks: JoinSet<()>,
}

struct Gateway {
    https: u16,
    admin: u16,
    is_well: AtomicBool,
    served: AtomicUsize,
}

impl Balancer {
    /// One before gateways that are well now.
    pub async fn before(worlds: &[&World]) -> Self {
        let gateway = |world: &&World| Gateway {
            https: world.https_port(),
            admin: world.admin_port(),
            is_well: AtomicBool::new(true),
            served: AtomicUsize::new(0),
        };
        let gateways: Arc<[Gateway]> = worlds.iter().map(gateway).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut tasks = JoinSet::new();
        for n in 0..gateways.len() {
            tasks.spawn(watch(Arc::clone(&gateways), n));
        }
        tasks.spawn(balance(listener, Arc::clone(&gateways)));
        Self {
            port,
            gateways,
            _tasks: tasks,
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether every gateway had its share.
    pub fn each_served(&self) -> bool {
        self.gateways
            .iter()
            .all(|gateway| gateway.served.load(Ordering::SeqCst) > 50)
    }
}

async fn watch(gateways: Arc<[Gateway]>, n: usize) {
    loop {
        let is_well = is_ready(gateways[n].admin).await.unwrap_or(false);
        gateways[n].is_well.store(is_well, Ordering::SeqCst);
        tokio::time::sleep(EVERY).await;
    }
}

async fn is_ready(admin: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", admin)).await?;
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}

async fn balance(listener: TcpListener, gateways: Arc<[Gateway]>) {
    for turn in 0.. {
        let (mut client, _) = listener.accept().await.unwrap();
        let gateways = Arc::clone(&gateways);
        tokio::spawn(async move {
            let well = gateways.iter().filter(|gateway| gateway.is_well.load(Ordering::SeqCst));
            let well: Vec<&Gateway> = well.collect();
            let Some(gateway) = well.get(turn % well.len().max(1)) else {
                return;
            };
            let Ok(mut stream) = TcpStream::connect(("127.0.0.1", gateway.https)).await else {
                return;
            };
            gateway.served.fetch_add(1, Ordering::SeqCst);
            // How it ends is for the two ends to judge.
            let _ = copy_bidirectional(&mut client, &mut stream).await;
        });
    }
}
