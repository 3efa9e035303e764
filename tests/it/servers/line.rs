//! A way to a server that can go silent: what is said on it arrives nowhere, whoever connects is accepted and hears nothing. Released, it carries new
//! connections; those from before stay dead, as they would behind a router that forgot them.

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
    age: watch::Sender<Age>,
    _accepting: JoinSet<()>,
}

/// How often it has changed: odd while it is silent. A connection is carried as long as it is of the present age.
type Age = u64;

impl Line {
    /// A way to a port of this machine.
    pub async fn to(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (age, seen) = watch::channel(0);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, target, seen));
        Self {
            port,
            age,
            _accepting: accepting,
        }
    }

    /// It goes silent.
    pub fn stall(&self) {
        self.age.send_modify(|age| *age += 1);
    }

    /// It carries new connections again.
    pub fn release(&self) {
        self.age.send_modify(|age| *age += 1);
    }
}

async fn accept(listener: TcpListener, target: u16, age: watch::Receiver<Age>) {
    let mut carried = JoinSet::new();
    loop {
        let Ok((near, _)) = listener.accept().await else { return };
        carried.spawn(carry(near, target, age.clone()));
    }
}

async fn carry(near: TcpStream, target: u16, age: watch::Receiver<Age>) {
    let born = *age.borrow();
    if born % 2 == 1 {
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
        () = pump(near.0, far.1, born, age.clone()) => {}
        () = pump(far.0, near.1, born, age) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, born: Age, age: watch::Receiver<Age>) {
    let mut piece = [0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        if *age.borrow() != born {
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
