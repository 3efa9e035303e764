//! The commands.
//!
//! Every command but `serve` and `healthcheck` works on the files and stores directly, so it needs no running gateway; running ones learn of what changed
//! through the stores. Answers go to standard output (a table for people, JSON with `--json`), complaints to standard error in one line.

mod check;
mod healthcheck;
mod import;
mod keys;
mod listing;
mod progress;
mod session;
mod store;
mod token;
mod user;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use crate::app::rooms::{Rooms, Use};
use crate::app::{self, AppError, Ending};
use crate::auth::{Auth, AuthError};
use crate::config::{self, Settings};
use crate::mail::link_base;
use crate::model::priority::Priority;
use crate::store::moving::MoveError;
use crate::token::TokenError;

/// The one-line answer to a command that was refused or failed.
#[derive(Debug, thiserror::Error)]
enum CliError {
    /// The gateway, or what it is made of.
    #[error(transparent)]
    App(#[from] AppError),
    /// The rules of accounts.
    #[error("{}", refusal(.0))]
    Auth(#[from] AuthError),
    /// Keys and tokens.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A move to other stores.
    #[error(transparent)]
    Move(#[from] MoveError),
    /// The terminal, a pipe, a file.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else, in words that say what to do.
    #[error("{0}")]
    Refused(String),
}

impl CliError {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// Puts an authentication gateway in front of existing backends.
#[derive(Debug, Parser)]
#[command(name = "gateward", version)]
struct Arguments {
    /// The configuration file
    #[arg(
        long,
        global = true,
        env = "GATEWARD_CONFIG",
        default_value = "gateway.toml",
        value_name = "FILE"
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run until SIGTERM or SIGINT; this is also what happens without a command
    Serve,
    /// Report every mistake in the configuration
    Check,
    /// Accounts
    #[command(subcommand)]
    User(user::Command),
    /// Sign-ins
    #[command(subcommand)]
    Session(session::Command),
    /// Signing keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Access tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Stores
    #[command(subcommand)]
    Store(store::Command),
    /// Ask the running gateway whether it is ready
    Healthcheck,
}

/// Reads the arguments, does what they say, and returns 0 when it is done, 1 when it was refused or failed; clap ends with 2 on wrong usage.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(arguments) {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: Arguments) -> Result<ExitCode, CliError> {
    let file = arguments.config;
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => serve(&file),
        Command::Check => check::run(&file).map(done),
        Command::Healthcheck => healthcheck::run(&file).map(done),
        Command::User(command @ user::Command::Import(_)) => {
            user::run(command, &Desk::open_patiently(&file)?).map(done)
        }
        Command::User(command) => user::run(command, &Desk::open(&file)?).map(done),
        Command::Session(command) => session::run(command, &Desk::open(&file)?).map(done),
        Command::Keys(command) => keys::run(command, &Desk::open(&file)?).map(done),
        Command::Token(command) => token::run(command, &file).map(done),
        Command::Store(command) => store::run(command).map(done),
    }
}

fn done((): ()) -> ExitCode {
    ExitCode::SUCCESS
}

fn serve(file: &std::path::Path) -> Result<ExitCode, CliError> {
    let runtime = runtime()?;
    let ending = runtime.block_on(app::serve(file))?;
    // Maintenance and probes have nothing to finish.
    runtime.shutdown_background();
    match ending {
        Ending::Drained => Ok(ExitCode::SUCCESS),
        Ending::Cut => Ok(ExitCode::FAILURE),
    }
}

/// Threads of the control plane, at most: what takes long has threads of its own.
const CONTROL_THREADS: usize = 2;

/// The control plane's threads, for `serve` and for the commands alike. On one core a second thread would only take turns with the first.
fn runtime() -> Result<Runtime, CliError> {
    let cores = available_parallelism().map_or(1, usize::from);
    Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS.min(cores))
        .thread_name("gateward-control")
        .on_thread_start(|| Priority::Control.take())
        .enable_all()
        .build()
        .map_err(CliError::io("cannot start a thread"))
}

/// What the commands work with: the same rooms as a running gateway's, without its listeners.
struct Desk {
    runtime: Runtime,
    rooms: Rooms,
    auth: Auth,
    /// Where links into our own site begin.
    site: String,
}

impl Desk {
    fn open(file: &std::path::Path) -> Result<Self, CliError> {
        Self::open_with(&settings(file)?)
    }

    /// With stores that may be busy.
    fn open_patiently(file: &std::path::Path) -> Result<Self, CliError> {
        let mut settings = settings(file)?;
        settings.store = store::patient(&settings.store);
        Self::open_with(&settings)
    }

    fn open_with(settings: &Settings) -> Result<Self, CliError> {
        let runtime = runtime()?;
        let rooms = runtime.block_on(Rooms::open(settings, Use::Command))?;
        let tokens = Arc::clone(&rooms.tokens);
        let auth = rooms.auth(settings, &tokens)?;
        let site = link_base(settings);
        Ok(Self {
            runtime,
            rooms,
            auth,
            site,
        })
    }

    /// Waits for running gateways to notice a change, so that what a command ended is over when the command returns.
    fn until_noticed(&self, spread: Duration) {
        // Inside: a timer belongs to the runtime it is made in.
        self.runtime.block_on(async { tokio::time::sleep(spread).await });
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.rooms.telemetry.audit.flush();
    }
}

fn settings(file: &std::path::Path) -> Result<Settings, CliError> {
    config::load(file).map_err(|mistakes| CliError::App(AppError::Config(mistakes)))
}

/// What an operator is told; nothing has to be hidden from them.
fn refusal(error: &AuthError) -> String {
    match error {
        AuthError::NotFound => "no such account or session; `gateward user list` shows the accounts".to_owned(),
        AuthError::EmailTaken => {
            "the address has an account already; change it with `gateward user set-roles`".to_owned()
        }
        AuthError::InvalidEmail => "not an e-mail address; write it like ada@example.com".to_owned(),
        other => other.to_string(),
    }
}

/// The error and its causes, in one line.
fn complain(error: &CliError) {
    let mut line = error.to_string();
    let mut cause = match error {
        // Said already, in words for operators.
        CliError::Auth(refused) => std::error::Error::source(refused),
        other => std::error::Error::source(other),
    };
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    eprintln!("gateward: {line}");
}
