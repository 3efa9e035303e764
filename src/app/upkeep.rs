//! What happens by itself on the control plane: stores are asked whether they answer, expired rows are taken away, certificates are looked at.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior};

use super::rooms::Rooms;
use crate::config::Settings;
use crate::model::clock::Clock;
use crate::server::admin::Readiness;
use crate::server::tls::certificates::Certificates;
use crate::store::{StoreError, Stores};
use crate::telemetry::Metrics;
use crate::token::keys::KeyState;
use crate::token::{TokenError, Tokens};

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The same while something is amiss, so that its end is told soon.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(500);
const PURGE_EVERY: Duration = Duration::from_secs(60);
const CERTIFICATES_EVERY: Duration = Duration::from_secs(1);
const RENEW_EVERY: Duration = Duration::from_secs(60 * 60);

/// Begins all of it; it ends with the runtime.
pub fn start(
    rooms: &Rooms,
    readiness: &Arc<Readiness>,
    certificates: Option<&Arc<Certificates>>,
    settings: &Arc<Settings>,
) {
    tokio::spawn(keep_looking(Parts::of(rooms), Arc::clone(readiness)));
    tokio::spawn(purge(rooms.stores.clone(), Arc::clone(&rooms.clock)));
    if let Some(certificates) = certificates {
        tokio::spawn(refresh(Arc::clone(certificates)));
    }
    if certificates.is_some() && settings.tls.self_signed {
        tokio::spawn(renew(Arc::clone(settings), Arc::clone(&rooms.clock)));
    }
}

/// Looks once at everything that readiness depends on.
pub async fn look(rooms: &Rooms, readiness: &Readiness) {
    // Until they were read they are no better than missing, whichever store answers first.
    readiness.set("keys", Err("not read yet".to_owned()));
    Parts::of(rooms).look(readiness).await;
}

/// What readiness depends on.
struct Parts {
    stores: Stores,
    tokens: Arc<Tokens>,
    metrics: Arc<Metrics>,
}

impl Parts {
    fn of(rooms: &Rooms) -> Self {
        Self {
            stores: rooms.stores.clone(),
            tokens: Arc::clone(&rooms.tokens),
            metrics: Arc::clone(&rooms.telemetry.metrics),
        }
    }

    async fn look(&self, readiness: &Readiness) {
        let accounts = self.stores.accounts.ping().await;
        let sessions = self.stores.sessions.ping().await;
        for (store, answer) in [("accounts", accounts), ("sessions", sessions)] {
            self.metrics.store_up(store, answer.is_ok());
            readiness.set(store, answer.map_err(|error| error.to_string()));
        }
        let feed = self.tokens.hears_revocations().then_some(());
        readiness.set(
            "feed",
            feed.ok_or_else(|| "revocations made elsewhere do not arrive".to_owned()),
        );
        match self.has_signing_key().await {
            Ok(true) => readiness.set("keys", Ok(())),
            Ok(false) => readiness.set("keys", Err(TokenError::NoSigningKey.to_string())),
            // It shows on its own line that the store does not answer; the keys in memory are as good as before.
            Err(TokenError::Store(_)) => {}
            Err(error) => readiness.set("keys", Err(error.to_string())),
        }
    }

    async fn has_signing_key(&self) -> Result<bool, TokenError> {
        let keys = self.tokens.keys().await?;
        Ok(keys.iter().any(|key| key.state == KeyState::Signing))
    }
}

async fn keep_looking(parts: Parts, readiness: Arc<Readiness>) {
    loop {
        parts.look(&readiness).await;
        let pause = if readiness.is_whole() {
            LOOK_EVERY
        } else {
            LOOK_AGAIN_AFTER
        };
        tokio::time::sleep(pause).await;
    }
}

async fn purge(stores: Stores, clock: Arc<dyn Clock>) {
    let mut ticks = every(PURGE_EVERY);
    loop {
        ticks.tick().await;
        match purge_all(&stores, clock.as_ref()).await {
            Ok(0) => {}
            Ok(rows) => tracing::debug!(rows, "expired rows taken away"),
            Err(error) => tracing::warn!(error = %error, "expired rows stay until the next try"),
        }
    }
}

/// A store takes away what it can in a moment and lets others have their turn; it is asked again until nothing is left.
async fn purge_all(stores: &Stores, clock: &dyn Clock) -> Result<u64, StoreError> {
    let now = clock.now();
    let mut all = 0;
    loop {
        let some = stores.sessions.purge(now).await? + stores.ephemeral.purge(now).await?;
        all += some;
        if some == 0 {
            return Ok(all);
        }
    }
}

async fn refresh(certificates: Arc<Certificates>) {
    let mut ticks = every(CERTIFICATES_EVERY);
    loop {
        ticks.tick().await;
        let certificates = Arc::clone(&certificates);
        let _ = tokio::task::spawn_blocking(move || certificates.refresh()).await;
    }
}

/// Makes the self-signed pair anew before it ends; `refresh` then sees the new files.
async fn renew(settings: Arc<Settings>, clock: Arc<dyn Clock>) {
    let mut ticks = every(RENEW_EVERY);
    loop {
        ticks.tick().await;
        let (settings, clock) = (Arc::clone(&settings), Arc::clone(&clock));
        let renewed = tokio::task::spawn_blocking(move || super::self_signed_pair(&settings, clock.as_ref())).await;
        if let Ok(Err(error)) = renewed {
            tracing::error!(error = %error, "the self-signed certificate cannot be renewed");
        }
    }
}

fn every(span: Duration) -> Interval {
    let mut ticks = tokio::time::interval(span);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
