//! What goes on while a store is down: people who are signed in use the backend, over connections that stay open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::world::{Client, World};

/// Requests a second that are meant to be sent; a machine with other things to do sends fewer.
const RATE: u32 = 1000;
/// Connections that share them.
const LANES: u32 = 8;

/// Requests under way until they are tallied.
pub struct Traffic {
    over: Arc<AtomicBool>,
    lanes: JoinSet<Tally>,
    began: Instant,
}

/// What came of them.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many were answered with 200.
    pub served: usize,
    /// Every other answer, or why there was none.
    pub failed: Vec<String>,
    /// The longest that one took.
    pub worst: Duration,
    /// Those served, for each second.
    pub rate: f64,
}

impl Traffic {
    /// Begins, with these access tokens in turn.
    pub fn begin(world: &World, tokens: &[String]) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut lanes = JoinSet::new();
        for lane in 0..LANES {
            let token = tokens[lane as usize % tokens.len()].clone();
            lanes.spawn(drive(world.client(), world.authority(), token, Arc::clone(&over)));
        }
        let began = Instant::now();
        Self { over, lanes, began }
    }

    /// Ends it.
    pub async fn tally(self) -> Tally {
        self.over.store(true, Ordering::SeqCst);
        let took = self.began.elapsed();
        let mut all = Tally::default();
        for lane in self.lanes.join_all().await {
            all.served += lane.served;
            all.failed.extend(lane.failed);
            all.worst = all.worst.max(lane.worst);
        }
        #[allow(clippy::cast_precision_loss, reason = "a figure to be read")]
        let served = all.served as f64;
        all.rate = served / took.as_secs_f64();
        all
    }
}

async fn drive(client: Client, authority: String, token: String, over: Arc<AtomicBool>) -> Tally {
    let mut tally = Tally::default();
    let mut line = connect(&client).await;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) * LANES / RATE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while !over.load(Ordering::SeqCst) {
        ticks.tick().await;
        let began = Instant::now();
        match ask(&mut line, &authority, &token).await {
            Ok(200) => tally.served += 1,
            Ok(status) => tally.failed.push(status.to_string()),
            Err(error) => {
                tally.failed.push(error);
                line = connect(&client).await;
            }
        }
        tally.worst = tally.worst.max(began.elapsed());
    }
    tally
}

async fn connect(client: &Client) -> SendRequest<Empty<Bytes>> {
    let stream = client.connect().await.unwrap();
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn ask(line: &mut SendRequest<Empty<Bytes>>, authority: &str, token: &str) -> Result<u16, String> {
    let request = Request::get("/things")
        .header("host", authority)
        .header("authorization", format!("Bearer {token}"))
        .body(Empty::new())
        .unwrap();
    line.ready().await.map_err(|e| e.to_string())?;
    let answer = line.send_request(request).await.map_err(|e| e.to_string())?;
    let (head, body) = answer.into_parts();
    body.collect().await.map_err(|e| e.to_string())?;
    Ok(head.status.as_u16())
}
