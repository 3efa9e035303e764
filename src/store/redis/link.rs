//! The way to the server: connections that are made when needed, limits on everything, and a breaker.
//!
//! All calls share one connection, which pipelines them. A connection that broke or went silent is thrown away and the next call makes a new one, which
//! is all that recovery takes; behind Sentinel that also finds a new master. After a failure the server is left alone for a moment, and then one call
//! tries while the others are refused at once: nothing waits for a dead store. In a Cluster each node mends by itself and has a breaker of its own
//! (`nodes`), so a dead node stops only the calls that need it.

mod nodes;
mod way;

use std::sync::{Mutex as BriefLock, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{Arg, Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ScriptInvocation, ServerErrorKind, Value};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::config::{self, servers};
use nodes::Nodes;
use way::{Line, Way};

/// For so long a server that failed is left alone.
const PAUSE: Duration = Duration::from_millis(500);

/// What is asked.
#[derive(Clone, Copy)]
pub(super) enum Ask<'a> {
    /// Its key is its first argument.
    Command(&'a Cmd),
    /// With one of its keys; all of them lie in one slot.
    Script(&'a ScriptInvocation<'a>, &'a str),
}

impl<'a> Ask<'a> {
    fn key(self) -> &'a [u8] {
        match self {
            Self::Command(command) => match command.args_iter().nth(1) {
                Some(Arg::Simple(key)) => key,
                _ => &[],
            },
            Self::Script(_, key) => key.as_bytes(),
        }
    }
}

/// Why there is no answer.
pub(super) enum Fault {
    /// None came in time, or the connection broke: it may have been done.
    Unanswered,
    /// It was not done.
    Refused(RedisError),
    /// It was not even asked, since the server failed a moment ago.
    LeftAlone,
}

impl Fault {
    /// Whether it says that a node of a cluster is not there, rather than what it answered.
    fn is_of_the_node(&self) -> bool {
        match self {
            Self::Unanswered => true,
            Self::Refused(error) => matches!(
                error.kind(),
                ErrorKind::ClusterConnectionNotFound
                    | ErrorKind::Server(
                        ServerErrorKind::ClusterDown | ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading
                    )
            ),
            Self::LeftAlone => false,
        }
    }
}

/// The way to one server, or to several that act as one.
pub(super) struct Link {
    way: Way,
    connect_limit: Duration,
    answer_limit: Duration,
    state: BriefLock<State>,
    connecting: Mutex<()>,
    watchers: BriefLock<Vec<Watcher>>,
    nodes: Nodes,
}

#[derive(Default)]
struct State {
    /// The connection in use, and its number.
    line: Option<(u64, Line)>,
    connections: u64,
    quiet_until: Option<Instant>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link(…)")
    }
}

impl Link {
    /// Connects to nothing yet.
    pub(super) fn new(server: &servers::Redis, settings: &config::Store) -> RedisResult<Self> {
        Ok(Self {
            way: Way::to(server, settings)?,
            connect_limit: settings.connect_timeout,
            // Shorter than a whole call, so that silence is noticed as such before the caller is gone.
            answer_limit: settings.timeout.saturating_mul(3) / 4,
            state: BriefLock::default(),
            connecting: Mutex::default(),
            watchers: BriefLock::default(),
            nodes: Nodes::default(),
        })
    }

    /// How long an answer may take.
    pub(super) fn answer_limit(&self) -> Duration {
        self.answer_limit
    }

    /// Asks, and asks `again` when the connection turns out to be dead.
    pub(super) async fn send<T: FromRedisValue>(&self, ask: Ask<'_>, again: bool) -> Result<T, Fault> {
        let Some(breaker) = self.nodes.breaker_of(ask.key()) else {
            return self.send_now(ask, again).await;
        };
        let pass = breaker.enter().ok_or(Fault::LeftAlone)?;
        // The driver tries a node several times, which may take longer than the caller waits.
        let sent = timeout(self.answer_limit, self.send_now(ask, again)).await;
        let outcome = sent.unwrap_or(Err(Fault::Unanswered));
        let failed = outcome.as_ref().is_err_and(Fault::is_of_the_node);
        pass.came_of_it(!failed);
        if let (true, Ok(Some((_, line)))) = (failed, self.kept()) {
            self.nodes.ask_anew(line, self.answer_limit);
        }
        outcome
    }

    async fn send_now<T: FromRedisValue>(&self, ask: Ask<'_>, again: bool) -> Result<T, Fault> {
        let (number, mut line) = self.line().await?;
        match line.ask(ask).await {
            Ok(answer) => Ok(answer),
            Err(error) if again && error.is_connection_dropped() => {
                self.let_go(number, None);
                let (number, mut line) = self.line().await?;
                line.ask(ask).await.map_err(|error| self.fault(number, error))
            }
            Err(error) => Err(self.fault(number, error)),
        }
    }

    /// Asks the node that holds a slot about all its keys.
    pub(super) async fn ask_node<T: FromRedisValue>(&self, slot: u16, command: &Cmd) -> Result<T, Fault> {
        let (number, mut line) = self.line().await?;
        let answer = line.ask_node(slot, command).await;
        answer.map_err(|error| self.fault(number, error))
    }

    /// Whether slots are spread over nodes.
    pub(super) fn is_cluster(&self) -> bool {
        self.way.mends_itself()
    }

    /// A connection for one follower alone, whose waiting would keep everybody behind it in the queue.
    pub(super) async fn watcher(&self, slice: Duration) -> Result<Watcher, Fault> {
        if let Some(watcher) = brief(&self.watchers).pop() {
            return Ok(watcher);
        }
        if self.is_quiet() {
            return Err(Fault::LeftAlone);
        }
        let line = self.connect(slice + self.answer_limit).await?;
        Ok(Watcher { line })
    }

    /// Waits with a question that may take its time. A watcher that failed is not kept.
    pub(super) async fn wait(&self, watcher: &mut Watcher, question: &Cmd) -> Result<(), Fault> {
        let answer: RedisResult<Value> = watcher.line.ask(Ask::Command(question)).await;
        answer.map(|_| ()).map_err(kind_of_fault)
    }

    /// Keeps a watcher for the next follower.
    pub(super) fn keep_watcher(&self, watcher: Watcher) {
        brief(&self.watchers).push(watcher);
    }

    async fn line(&self) -> Result<(u64, Line), Fault> {
        if let Some(line) = self.kept()? {
            return Ok(line);
        }
        let _turn = if brief(&self.state).quiet_until.is_some() {
            self.connecting.try_lock().map_err(|_| Fault::LeftAlone)?
        } else {
            self.connecting.lock().await
        };
        if let Some(line) = self.kept()? {
            return Ok(line);
        }
        let made = self.connect(self.answer_limit).await;
        let mut state = brief(&self.state);
        match made {
            Ok(line) => {
                if self.way.mends_itself() {
                    self.nodes.ask_anew(line.clone(), self.answer_limit);
                }
                state.quiet_until = None;
                state.connections += 1;
                let line = (state.connections, line);
                state.line = Some(line.clone());
                Ok(line)
            }
            Err(fault) => {
                state.quiet_until = Some(Instant::now() + PAUSE);
                Err(fault)
            }
        }
    }

    fn kept(&self) -> Result<Option<(u64, Line)>, Fault> {
        let state = brief(&self.state);
        match &state.line {
            Some(line) => Ok(Some(line.clone())),
            None if state.quiet_until.is_some_and(|until| Instant::now() < until) => Err(Fault::LeftAlone),
            None => Ok(None),
        }
    }

    fn is_quiet(&self) -> bool {
        brief(&self.state)
            .quiet_until
            .is_some_and(|until| Instant::now() < until)
    }

    async fn connect(&self, answer_limit: Duration) -> Result<Line, Fault> {
        let limit = self.connect_limit.saturating_mul(self.way.steps());
        let made = timeout(limit, self.way.connect(self.connect_limit, answer_limit)).await;
        match made {
            Ok(line) => line.map_err(Fault::Refused),
            Err(late) => Err(Fault::Refused(std::io::Error::from(late).into())),
        }
    }

    /// What an error says about the connection it came over.
    fn fault(&self, number: u64, error: RedisError) -> Fault {
        let is_dead = match error.kind() {
            _ if self.way.mends_itself() => error.kind() == ErrorKind::ClusterConnectionNotFound,
            // Somebody else became the master.
            ErrorKind::Server(ServerErrorKind::ReadOnly) => true,
            _ => error.is_timeout() || error.is_unrecoverable_error(),
        };
        if is_dead {
            let pause = (!error.is_connection_dropped()).then_some(PAUSE);
            self.let_go(number, pause);
        }
        kind_of_fault(error)
    }

    /// Lets go of a connection, unless another one has taken its place already.
    fn let_go(&self, number: u64, pause: Option<Duration>) {
        let mut state = brief(&self.state);
        if state.line.as_ref().is_some_and(|(current, _)| *current == number) {
            state.line = None;
            state.quiet_until = pause.map(|pause| Instant::now() + pause);
        }
    }
}

fn kind_of_fault(error: RedisError) -> Fault {
    match error.kind() {
        ErrorKind::Io => Fault::Unanswered,
        _ => Fault::Refused(error),
    }
}

fn brief<T>(lock: &BriefLock<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A follower's own connection.
pub(super) struct Watcher {
    line: Line,
}
