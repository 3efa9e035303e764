//! Wiring: builds the rooms from the ground up, starts the planes, stops them.
//!
//! Both faces of the program come through here: `serve`, and the commands that work on the same stores from a process of their own (`Rooms`).

pub mod rooms;

mod files;
mod greeting;
mod restart;
pub mod secret_file;
mod upkeep;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{self, Certificate, Mistakes, Settings};
use crate::gateway::{Shared, Snapshot};
use crate::mail::courier::{self, Courier};
use crate::mail::post::PostError;
use crate::model::clock::Clock;
use crate::model::secret::NoEntropy;
use crate::proxy::ProxyConfigError;
use crate::server::admin::{self, Readiness};
use crate::server::reload::{Cause, Watch};
use crate::server::tls::certificates::Certificates;
use crate::server::tls::{self, TlsError, self_signed};
use crate::server::{Server, ServerError};
use crate::store::StoreError;
use crate::telemetry::AccessLog;
use crate::telemetry::log::{self, LogError};
use crate::token::{TokenError, Tokens};
use crate::wire::trust::TrustError;
use rooms::{Rooms, Use};

/// The gateway cannot start, or a command cannot work.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration has mistakes.
    #[error(transparent)]
    Config(#[from] Mistakes),
    /// The log cannot be set up.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A file is missing, or cannot be made.
    #[error("{what} {file}: {source}")]
    File {
        /// What was tried.
        what: &'static str,
        /// Which file.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The secret file is of no use.
    #[error("{0}")]
    Secret(String),
    /// The system refused something that every process needs.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// A store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys cannot be loaded.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Letters cannot be handed over.
    #[error(transparent)]
    Post(#[from] PostError),
    /// The routes cannot be built.
    #[error(transparent)]
    Proxy(#[from] ProxyConfigError),
    /// There is nobody to vouch for a provider.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every request finished, or `shutdown_grace` was over.
    Drained,
    /// A second signal came.
    Cut,
}

/// An `AppError` for what the system refused.
fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> AppError {
    move |source| AppError::System { what, source }
}

/// A gateway at work.
struct App {
    file: PathBuf,
    /// What it was started with; what cannot be changed at run time is as it is here.
    started: Arc<Settings>,
    rooms: Rooms,
    access: Arc<AccessLog>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    certificates: Option<Arc<Certificates>>,
    courier: Option<courier::Running>,
}

/// Runs the gateway until it is told to end. The calling runtime is the control plane.
///
/// # Errors
/// When it cannot start; once it has started, nothing but a signal ends it.
pub async fn serve(file: &Path) -> Result<Ending, AppError> {
    files::raise_limit();
    let mut watch = Watch::begin(file).map_err(system("cannot catch SIGHUP"))?;
    let settings = Arc::new(config::load(file)?);
    log::init(&settings.log.level)?;
    let mut signals = Signals::catch()?;
    let readiness = Arc::new(Readiness::default());
    let (mut app, server) = App::start(file, settings, &readiness).await?;
    let ending = loop {
        tokio::select! {
            cause = watch.next() => app.reload(cause, &watch),
            () = signals.next() => break app.stop(server, &readiness, &mut signals).await,
        }
    };
    Ok(ending)
}

impl App {
    async fn start(
        file: &Path,
        settings: Arc<Settings>,
        readiness: &Arc<Readiness>,
    ) -> Result<(Self, Server), AppError> {
        let rooms = Rooms::open(&settings, Use::Serving).await?;
        let access = AccessLog::open(&settings.log.access, &rooms.telemetry.metrics);
        let access = Arc::new(access.map_err(system("cannot open log.access"))?);
        let certificates = certificates(&settings, &rooms)?;
        let acceptor = certificates.clone().map(tls::listener).transpose()?;
        let courier = rooms.courier(&settings)?;
        let snapshot = rooms.snapshot(&settings, &rooms.tokens)?;
        let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
        rooms.telemetry.metrics.config_reload(true);
        upkeep::look(&rooms, readiness).await;
        let shared = Shared {
            snapshot: Arc::clone(&snapshot),
            control: Handle::current(),
            clock: Arc::clone(&rooms.clock),
            metrics: Arc::clone(&rooms.telemetry.metrics),
            access_log: Arc::clone(&access),
        };
        let server = Server::start(&settings.server, acceptor, &shared)?;
        let admin = settings
            .server
            .admin
            .map(|address| admin::start(address, Arc::clone(&rooms.telemetry.metrics), Arc::clone(readiness)))
            .transpose()?;
        let courier = courier.map(Courier::start);
        upkeep::start(&rooms, readiness, certificates.as_ref(), &settings);
        greeting::print(&settings, server.addresses(), admin, &rooms).await;
        let tokens = Arc::clone(&rooms.tokens);
        tokio::spawn(async move { tokens.maintain().await });
        let app = Self {
            file: file.to_owned(),
            started: settings,
            rooms,
            access,
            snapshot,
            certificates,
            courier,
        };
        Ok((app, server))
    }

    /// Reads the file again. A file with mistakes changes nothing.
    fn reload(&mut self, cause: Cause, watch: &Watch) {
        if cause == Cause::Signal {
            self.access.reopen();
            self.rooms.telemetry.audit.reopen();
        }
        let settings = config::load(&self.file);
        if watch.has_moved() {
            // The watch brings us here again.
            return;
        }
        let reloaded = settings
            .map_err(AppError::from)
            .and_then(|settings| self.apply(Arc::new(settings)));
        self.rooms.telemetry.metrics.config_reload(reloaded.is_ok());
        match reloaded {
            Ok(()) => tracing::info!("configuration reloaded"),
            Err(AppError::Config(mistakes)) => {
                for mistake in &mistakes.list {
                    tracing::error!(config.key = %mistake.key, config.line = mistake.line, "{}", mistake.message);
                }
                tracing::error!(
                    config.mistakes = mistakes.list.len(),
                    "the configuration stays as it was"
                );
            }
            Err(error) => tracing::error!(error = %error, "the configuration stays as it was"),
        }
    }

    /// Builds everything that can fail before it changes anything.
    fn apply(&mut self, settings: Arc<Settings>) -> Result<(), AppError> {
        let tokens = self.rooms.tokens.reconfigured(&settings.tokens, &settings.store);
        if let Err(error) = self.put_to_work(&settings, &tokens) {
            // Key rotation goes by what was said last.
            let old = Arc::clone(&self.snapshot.load().settings);
            self.rooms.tokens.reconfigured(&old.tokens, &old.store);
            return Err(error);
        }
        self.rooms.tokens = tokens;
        for key in restart::needed(&self.started, &settings) {
            tracing::warn!(
                config.key = key,
                "the change of this key takes effect at the next start"
            );
        }
        Ok(())
    }

    fn put_to_work(&self, settings: &Arc<Settings>, tokens: &Arc<Tokens>) -> Result<(), AppError> {
        let snapshot = self.rooms.snapshot(settings, tokens)?;
        if let Some(certificates) = &self.certificates {
            certificates.replace(&pairs(settings, self.rooms.clock.as_ref())?)?;
        }
        self.snapshot.store(Arc::new(snapshot));
        Ok(())
    }

    async fn stop(self, server: Server, readiness: &Readiness, signals: &mut Signals) -> Ending {
        let settings = Arc::clone(&self.snapshot.load().settings);
        let (delay, grace) = (settings.server.shutdown_delay, settings.server.shutdown_grace);
        tracing::info!(
            delay_seconds = delay.as_secs(),
            grace_seconds = grace.as_secs(),
            "draining"
        );
        readiness.drain();
        let drained = async {
            // A balancer goes on sending connections until its next look at us.
            tokio::time::sleep(delay).await;
            tokio::join!(server.drain(grace), courier::finish(self.courier, grace)).0
        };
        let ending = tokio::select! {
            finished = drained => {
                tracing::info!(finished, "stopped");
                Ending::Drained
            }
            () = signals.next() => Ending::Cut,
        };
        self.access.flush();
        self.rooms.telemetry.audit.flush();
        ending
    }
}

/// The certificates of the `https` listener, if there is one.
fn certificates(settings: &Settings, rooms: &Rooms) -> Result<Option<Arc<Certificates>>, AppError> {
    if settings.server.https.is_none() {
        return Ok(None);
    }
    let pairs = pairs(settings, rooms.clock.as_ref())?;
    Ok(Some(Certificates::load(&pairs, Arc::clone(&rooms.telemetry.metrics))?))
}

/// The configured pairs, then the self-signed one: who names a known host never gets it.
fn pairs(settings: &Settings, clock: &dyn Clock) -> Result<Vec<Certificate>, AppError> {
    let mut pairs = settings.tls.certificates.clone();
    if settings.tls.self_signed {
        pairs.push(self_signed_pair(settings, clock)?);
    }
    Ok(pairs)
}

fn self_signed_pair(settings: &Settings, clock: &dyn Clock) -> Result<Certificate, TlsError> {
    let host = settings.server.public_url.host().unwrap_or_default();
    self_signed::ensure(&settings.tls.self_signed_dir, host, clock.now())
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn catch() -> Result<Self, AppError> {
        let catch = |kind| signal(kind).map_err(system("cannot catch signals"));
        Ok(Self {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
