//! A way to a server that can go silent: what is said on it arrives nowhere, whoever connects is accepted and hears nothing. Released, it carries new
//! connections; those that spoke into the silence stay dead, as they would behind a router that forgot them.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// It ends, with all its connections, when dropped.
pub struct Line {
    /// Where it is entered.
    pub port: u16,
    silent: watch::Sender<bool>,
    _accepting: JoinSet<()>,
}

impl Line {
    /// A way to a port of this machine.
    pub async fn to(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (silent, heard) = watch::channel(false);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, target, heard));
        Self {
            port,
            silent,
            _accepting: accepting,
        }
    }

    /// It goes silent.
    pub fn stall(&self) {
        self.silent.send_replace(true);
    }

    /// It carries new connections again.
    pub fn release(&self) {
        self.silent.send_replace(false);
    }
}

async fn accept(listener: TcpListener, target: u16, silent: watch::Receiver<bool>) {
    let mut carried = JoinSet::new();
    loop {
        let Ok((near, _)) = listener.accept().await else { return };
        carried.spawn(carry(near, target, silent.clone()));
    }
}

async fn carry(near: TcpStream, target: u16, silent: watch::Receiver<bool>) {
    if *silent.borrow() {
        return hold(near).await;
    }
    let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else {
        return;
    };
    for stream in [&near, &far] {
        let _ = stream.set_nodelay(true);
    }
    let (near, far) = (near.into_split(), far.into_split());
    tokio::select! {
        () = pump(near.0, far.1, silent.clone()) => {}
        () = pump(far.0, near.1, silent) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, silent: watch::Receiver<bool>) {
    let mut piece = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        if *silent.borrow() {
            return std::future::pending().await;
        }
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}

/// Keeps a connection open without a word.
async fn hold(connection: TcpStream) {
    std::future::pending::<()>().await;
    drop(connection);
}
