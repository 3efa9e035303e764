//! The rooms below the data plane, built from the ground up: logs, secret, stores, tokens, hashing, rules.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::{AppError, secret_file, system};
use crate::auth::Auth;
use crate::auth::hashing::Hasher;
use crate::config::{LogTarget, Settings};
use crate::gateway::Snapshot;
use crate::mail::courier::Courier;
use crate::mail::post::Post;
use crate::mail::{Letters, Mail};
use crate::model::clock::{Clock, SystemClock};
use crate::model::secret::Secret;
use crate::portal::Portal;
use crate::provider::Providers;
use crate::proxy::Proxy;
use crate::store::Stores;
use crate::telemetry::{Audit, Metrics, Telemetry};
use crate::token::Tokens;

/// What the rooms are opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// A running gateway.
    Serving,
    /// One command: standard output is the answer's, so audit events go to a file or nowhere.
    Command,
}

/// Everything that the two planes and the commands share.
#[derive(Debug)]
pub struct Rooms {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where what happens is told.
    pub telemetry: Telemetry,
    /// What is kept.
    pub stores: Stores,
    /// Keys, tokens, revocations.
    pub tokens: Arc<Tokens>,
    /// The hashing pool.
    pub hasher: Arc<Hasher>,
    /// Letters, where the gateway was started with a way for them.
    pub letters: Option<Letters>,
    /// What keys of one purpose are derived from.
    pub secret: Secret,
}

impl Rooms {
    /// Opens them; the calling runtime is the control plane.
    ///
    /// # Errors
    /// When a file, a store or a key is not as it must be.
    pub async fn open(settings: &Settings, purpose: Use) -> Result<Self, AppError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let metrics = Arc::new(Metrics::new());
        let target = audit_target(&settings.log.audit, purpose);
        let audit = Audit::open_counted(&target, &metrics).map_err(system("cannot open log.audit"))?;
        let telemetry = Telemetry {
            metrics: Arc::clone(&metrics),
            audit: Arc::new(audit),
        };
        let secret = secret_file::open(&settings.store)?;
        let stores = match purpose {
            Use::Serving => Stores::open_patiently(&settings.store, &metrics).await?,
            Use::Command => Stores::open(&settings.store, &metrics).await?,
        };
        let tokens = Tokens::open(
            &settings.tokens,
            &settings.store,
            &secret,
            &stores,
            Arc::clone(&clock),
            Handle::current(),
            telemetry.clone(),
        )
        .await?;
        let hasher = Hasher::new(&settings.auth.password, metrics);
        let hasher = hasher.map_err(system("cannot start the hashing threads"))?;
        let letters = settings.mail.as_ref().map(|_| {
            let outbox = Arc::clone(&stores.outbox);
            Letters::new(&secret, outbox, Arc::clone(&clock))
        });
        Ok(Self {
            letters: letters.transpose()?,
            clock,
            telemetry,
            stores,
            tokens,
            hasher: Arc::new(hasher),
            secret,
        })
    }

    /// The rules of accounts under the given settings.
    ///
    /// # Errors
    /// When no keys can be derived from the secret.
    pub fn auth(&self, settings: &Settings, tokens: &Arc<Tokens>) -> Result<Auth, AppError> {
        let mail = self.letters.clone().map(|letters| Mail::new(letters, settings));
        let auth = Auth::new(
            &settings.auth,
            &settings.tokens,
            &self.secret,
            &self.stores,
            mail,
            Arc::clone(tokens),
            Arc::clone(&self.hasher),
            Arc::clone(&self.clock),
            self.telemetry.clone(),
        )?;
        Ok(auth)
    }

    /// Who carries letters, where the settings have a way for them.
    ///
    /// # Errors
    /// When the way cannot be opened.
    pub fn courier(&self, settings: &Settings) -> Result<Option<Courier>, AppError> {
        let (Some(mail), Some(letters)) = (&settings.mail, &self.letters) else {
            return Ok(None);
        };
        let host = settings.server.public_url.host().unwrap_or("localhost");
        let post = Post::open(mail, host)?;
        let (letters, metrics) = (letters.clone(), Arc::clone(&self.telemetry.metrics));
        Ok(Some(Courier::new(letters, post, mail.templates.clone(), metrics)))
    }

    /// A configuration ready to be put to work.
    ///
    /// # Errors
    /// When its routes cannot be built.
    pub fn snapshot(&self, settings: &Arc<Settings>, tokens: &Arc<Tokens>) -> Result<Snapshot, AppError> {
        let auth = Arc::new(self.auth(settings, tokens)?);
        let providers = Providers::new(&settings.auth.providers, &settings.site(), &self.clock)?;
        let portal = Portal::new(
            settings,
            auth,
            Arc::new(providers),
            Arc::clone(tokens),
            &self.secret,
            Arc::clone(&self.clock),
        )?;
        let proxy = Proxy::new(settings, Arc::clone(tokens), Arc::clone(&self.telemetry.metrics))?;
        Ok(Snapshot::new(Arc::clone(settings), Arc::new(portal), proxy))
    }
}

fn audit_target(target: &LogTarget, purpose: Use) -> LogTarget {
    match (target, purpose) {
        (LogTarget::Stdout, Use::Command) => LogTarget::Off,
        _ => target.clone(),
    }
}
