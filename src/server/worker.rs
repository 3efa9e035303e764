//! One data-plane thread: its runtime, its accept loops, its sweep, its end.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio_rustls::TlsAcceptor;

use super::connection::{Door, Newcomer};
use super::listen::{self, Kind, Sockets};
use super::roster::{Roster, STEP, Seats};
use crate::gateway::{Shared, Worker};

/// How far the server's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Accepts.
    Serving,
    /// Accepts no more; finishes what has begun.
    Draining,
    /// Closes whatever is left.
    Closing,
}

/// Everything that a thread takes with it.
#[derive(Debug)]
pub struct Bench {
    pub shared: Shared,
    pub sockets: Sockets,
    pub tls: Option<Arc<ServerConfig>>,
    pub seats: Arc<Seats>,
    pub stages: watch::Receiver<Stage>,
}

/// A worker's thread, seen from outside.
#[derive(Debug)]
pub struct Thread {
    running: watch::Receiver<bool>,
}

impl Thread {
    /// Starts one.
    ///
    /// # Errors
    /// When the system gives no thread or no event queue.
    pub fn spawn(number: usize, bench: Bench) -> io::Result<Self> {
        let (alive, running) = watch::channel(true);
        let (started, start) = std::sync::mpsc::sync_channel(1);
        std::thread::Builder::new()
            .name(format!("gateward-data-{number}"))
            .spawn(move || {
                run(bench, &started);
                drop(alive);
            })?;
        start.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))?;
        Ok(Self { running })
    }
}

/// Waits until all of them have ended.
pub async fn finished(threads: &[Thread]) {
    for thread in threads {
        let mut running = thread.running.clone();
        while running.changed().await.is_ok() {}
    }
}

/// The thread's whole life. Whether it could begin is said through `started`.
fn run(bench: Bench, started: &std::sync::mpsc::SyncSender<io::Result<()>>) {
    let runtime = match Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    runtime.block_on(async {
        match adopt(bench.sockets) {
            Ok(listeners) => {
                let _ = started.send(Ok(()));
                let roster = Roster::sharing(bench.seats);
                let doors = doors(&bench.shared, bench.tls, listeners);
                serve(doors, &roster, bench.stages).await;
            }
            Err(error) => {
                let _ = started.send(Err(error));
            }
        }
    });
    // Connections that are still open end here, with the tasks that hold them.
    runtime.shutdown_background();
}

fn adopt(sockets: Sockets) -> io::Result<Vec<(Kind, TcpListener)>> {
    let adopt = |(kind, socket)| Ok((kind, TcpListener::from_std(socket)?));
    sockets.into_iter().map(adopt).collect()
}

/// One worker behind as many doors as there are listeners; its upstream pools are made here, on its own thread.
fn doors(
    shared: &Shared,
    tls: Option<Arc<ServerConfig>>,
    listeners: Vec<(Kind, TcpListener)>,
) -> Vec<(Rc<Door>, TcpListener)> {
    let worker = Rc::new(Worker::new(shared.clone()));
    let door = |(kind, listener)| {
        let door = Door {
            worker: Rc::clone(&worker),
            kind,
            tls: tls.clone().map(TlsAcceptor::from),
            metrics: Arc::clone(&shared.metrics),
            clock: Arc::clone(&shared.clock),
            complained_at: Cell::default(),
        };
        (Rc::new(door), listener)
    };
    listeners.into_iter().map(door).collect()
}

async fn serve(doors: Vec<(Rc<Door>, TcpListener)>, roster: &Arc<Roster>, mut stages: watch::Receiver<Stage>) {
    if let Some((door, _)) = doors.first() {
        spawn_local(sweep(Rc::clone(&door.worker), Arc::clone(roster)));
    }
    let mut accepting = Vec::new();
    for (door, listener) in doors {
        accepting.push(spawn_local(accept(door, listener, Arc::clone(roster))));
    }
    let _ = stages.wait_for(|stage| *stage > Stage::Serving).await;
    for task in accepting {
        task.abort();
    }
    roster.leave();
    tokio::select! {
        () = roster.empty() => {}
        _ = stages.wait_for(|stage| *stage > Stage::Draining) => {}
    }
}

/// Takes connections from one listener. While no seat is free it takes none: see `roster`.
async fn accept(door: Rc<Door>, listener: TcpListener, roster: Arc<Roster>) {
    let open = door.metrics.connections_open(door.kind.name());
    loop {
        let (stream, peer) = listen::accept(&listener).await;
        let Some(seat) = roster.sit(&open).await else { return };
        let newcomer = Newcomer { stream, peer, seat };
        spawn_local(Rc::clone(&door).serve(newcomer));
    }
}

async fn sweep(worker: Rc<Worker>, roster: Arc<Roster>) {
    let mut steps = tokio::time::interval(STEP);
    // After the thread was held up, limits must not all run out at once.
    steps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        steps.tick().await;
        let snapshot = worker.snapshot();
        roster.sweep(&snapshot.settings.server.limits);
    }
}
