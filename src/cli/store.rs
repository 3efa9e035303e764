//! `store …`: moving an installation to other stores, say from the embedded file to PostgreSQL and Redis.
//!
//! The stores are named by configuration files, which also say what opens them: passwords, authorities, the secret. The secret must be the same on both
//! sides, since refresh tokens are computed with it and keys sealed with it; another one would make the copy worthless, so that is refused.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;

use super::progress::Progress;
use super::{CliError, runtime};
use crate::app::secret_file;
use crate::config::{self, Settings, StoreUrl};
use crate::model::clock::{Clock, SystemClock};
use crate::model::user::Email;
use crate::store::Stores;
use crate::store::moving::{Count, Move, MoveError, Part, Watcher};
use crate::telemetry::Metrics;

/// Beyond the life of a key's last token: as far as clocks may lie apart.
const LEEWAY: Duration = Duration::from_secs(60);

/// How long a store may take for a call.
const PATIENCE: Duration = Duration::from_secs(30);

/// What can be done to stores.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Copy accounts, signing keys, live sessions and revocations to the stores of another configuration
    ///
    /// Stop the gateways of --from first: what happens there meanwhile is not taken along. Both files must name secret files of the same content.
    /// Run it again to complete one that was cut off, before gateways start on --to; or later: it sets nothing back there.
    Copy {
        /// Configuration of the stores to copy from, which stay as they are
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// Configuration of the stores to copy to
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
}

/// Does it.
pub fn run(command: Command) -> Result<(), CliError> {
    let Command::Copy { from, to } = command;
    let (from, to) = (super::settings(&from)?, super::settings(&to)?);
    is_worth_while(&from, &to)?;
    let metrics = Arc::new(Metrics::new());
    let runtime = runtime()?;
    runtime.block_on(async {
        let (here, there) = (patient(&from.store), patient(&to.store));
        let here = Stores::open(&here, &metrics).await.map_err(MoveError::From)?;
        let there = Stores::open(&there, &metrics).await.map_err(MoveError::To)?;
        let plan = Move {
            from: &here,
            to: &there,
            accounts: from.store.accounts != to.store.accounts,
            sessions: from.store.sessions != to.store.sessions,
            now: SystemClock.now(),
            afterlife: from.tokens.access_ttl.max(to.tokens.access_ttl) + LEEWAY,
        };
        plan.run(&mut Teller::default()).await
    })?;
    say_what_was_left(&from, &to);
    Ok(())
}

/// Nobody's request waits for a copy or an import, so it may wait for a busy store.
pub(super) fn patient(store: &config::Store) -> config::Store {
    config::Store {
        connect_timeout: store.connect_timeout.max(PATIENCE),
        timeout: store.timeout.max(PATIENCE),
        ..store.clone()
    }
}

fn is_worth_while(from: &Settings, to: &Settings) -> Result<(), CliError> {
    let refused = |why: String| Err(CliError::Refused(why));
    if from.store.accounts == to.store.accounts && from.store.sessions == to.store.sessions {
        return refused("both files name the same stores; there is nothing to copy".to_owned());
    }
    for store in [&from.store.accounts, &from.store.sessions] {
        if let StoreUrl::Sqlite(file) = store
            && !file.exists()
        {
            return refused(format!("there is no {}, so there is nothing to copy", file.display()));
        }
    }
    let (here, there) = (secret_file::existing(&from.store)?, secret_file::existing(&to.store)?);
    if here.expose() != there.expose() {
        return refused(format!(
            "{} and {} hold different secrets; sessions and keys are of no use under another: copy the first file over the second",
            from.store.secret_file.display(),
            to.store.secret_file.display()
        ));
    }
    if let Some(address) = from.server.admin
        && super::healthcheck::is_answered(address)
    {
        return refused(format!(
            "a gateway answers at {address}, the server.admin of --from: stop it first, or what happens there meanwhile is lost; if it is the \
             one on the stores of --to, give it or --from another address"
        ));
    }
    Ok(())
}

fn say_what_was_left(from: &Settings, to: &Settings) {
    if from.store.sessions != to.store.sessions {
        println!("left behind: sessions that are over, counters of attempts (limits begin anew), remembered sources");
    }
    if from.tokens.issuer != to.tokens.issuer || from.tokens.audience != to.tokens.audience {
        println!(
            "tokens.issuer or tokens.audience differs: access tokens made until now are refused, sessions renew them"
        );
    }
}

/// Shows a move.
#[derive(Default)]
struct Teller {
    part: Option<(Part, Progress)>,
}

impl Watcher for Teller {
    fn begins(&mut self, part: Part, of: Option<u64>) {
        self.part = Some((part, Progress::begin(word(part), of)));
    }

    fn advances(&mut self, by: u64) {
        if let Some((_, progress)) = &mut self.part {
            progress.advance(by);
        }
    }

    fn ends(&mut self, count: &Count) {
        if let Some((part, progress)) = self.part.take() {
            progress.end(&line(part, count));
        }
    }
}

fn word(part: Part) -> &'static str {
    match part {
        Part::Accounts => "accounts",
        Part::Revocations => "revocations",
        Part::Keys => "keys",
        Part::Sessions => "sessions",
    }
}

fn line(part: Part, count: &Count) -> String {
    let mut line = format!("{:<12} {} new", word(part), count.new);
    for (number, what) in [
        (count.renewed, "brought up to date"),
        (count.there, "there already"),
        (count.over, "over, left"),
        (count.only_there, "only at the target"),
        (count.gone, "taken away at the target since, left"),
    ] {
        if number > 0 {
            let _ = write!(line, ", {number} {what}");
        }
    }
    if count.differing > 0 {
        let some: Vec<&str> = count.some_differing.iter().map(Email::as_str).collect();
        let more = if count.differing > 5 { ", …" } else { "" };
        let _ = write!(
            line,
            ", {} differ and stay as the target has them ({}{more})",
            count.differing,
            some.join(", ")
        );
    }
    line
}
