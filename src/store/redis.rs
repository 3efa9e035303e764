//! Sessions and passing facts in Redis (6.2 and later) or Valkey, as one server, behind Sentinel, or as a Cluster.
//!
//! Each promise is one command or one script on keys of one slot. A session is found by its id alone; the index of its user is kept beside it, and may
//! name sessions that are gone but never lacks one that is there. Revocations share one hash tag, so that several of them become true together and
//! every follower sees one order.
//!
//! Every key ends by itself, a margin after the moment that is judged, since clocks differ: memory is bounded, and nothing ends early. Only what tells
//! one stream of revocations from another stays.

mod ephemeral;
mod link;
mod record;
mod sessions;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, Script};

use super::StoreError;
use crate::config::{self, servers};
use link::{Ask, Fault, Link};

/// How far the clocks of gateways and of the server may lie apart.
const MARGIN: Duration = Duration::from_secs(60);

/// Redis, opened.
#[derive(Clone, Debug)]
pub(super) struct Redis {
    link: Arc<Link>,
    scripts: Arc<Scripts>,
    store: &'static str,
}

impl Redis {
    /// Connects for the store called `store`. `patient`: a server that cannot be reached is none the less good; a later call connects.
    pub(super) async fn open(
        server: &servers::Redis,
        settings: &config::Store,
        store: &'static str,
        patient: bool,
    ) -> Result<Self, StoreError> {
        let link = Link::new(server, settings).map_err(|error| failed(store, error))?;
        let redis = Self {
            link: Arc::new(link),
            scripts: Arc::new(Scripts::new()),
            store,
        };
        match redis.touch().await {
            Err(error) if patient && !is_our_fault(&error) => {
                tracing::warn!(%error, "the server does not answer; it is tried again until it does");
            }
            outcome => outcome?,
        }
        Ok(redis)
    }

    /// Asks something that may be asked again when the connection turns out to be dead.
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.send(Ask::Command(command), true).await
    }

    /// Asks something that would be answered differently the second time.
    async fn ask_once<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.send(Ask::Command(command), false).await
    }

    async fn send<T: FromRedisValue>(&self, ask: Ask<'_>, again: bool) -> Result<T, StoreError> {
        self.link.send(ask, again).await.map_err(|fault| self.fault(fault))
    }

    async fn touch(&self) -> Result<(), StoreError> {
        // A question about a key, so that in a cluster it reaches a node that holds data.
        self.ask::<u32>(redis::cmd("EXISTS").arg(ephemeral::STREAM_NAME))
            .await
            .map(|_| ())
    }

    fn fault(&self, fault: Fault) -> StoreError {
        match fault {
            Fault::Unanswered => StoreError::Unanswered { store: self.store },
            Fault::Refused(error) => failed(self.store, error),
            Fault::LeftAlone => StoreError::Unavailable {
                store: self.store,
                source: None,
            },
        }
    }

    fn damaged(&self, what: &str) -> StoreError {
        StoreError::Damaged {
            store: self.store,
            what: what.to_owned(),
        }
    }
}

/// Whether the server answers and will not have us as we are: a wrong password, or a certificate that we do not trust.
fn is_our_fault(error: &StoreError) -> bool {
    let StoreError::Unavailable {
        source: Some(source), ..
    } = error
    else {
        return false;
    };
    let Some(error) = source.downcast_ref::<RedisError>() else {
        return true;
    };
    match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig, _) => true,
        (_, Some("NOAUTH" | "WRONGPASS" | "NOPERM")) => true,
        // The driver keeps the cause as text only.
        _ => error.to_string().contains("certificate"),
    }
}

fn failed(store: &'static str, error: RedisError) -> StoreError {
    StoreError::Unavailable {
        store,
        source: Some(Box::new(error)),
    }
}

/// The scripts, with their hashes.
#[derive(Debug)]
struct Scripts {
    rotate: Script,
    index: Script,
    epoch: Script,
    prove: Script,
    adopt: Script,
    revoke: Script,
    follow: Script,
    trim: Script,
    count: Script,
    remember: Script,
}

impl Scripts {
    fn new() -> Self {
        Self {
            rotate: Script::new(include_str!("redis/scripts/rotate.lua")),
            index: Script::new(include_str!("redis/scripts/index.lua")),
            epoch: Script::new(include_str!("redis/scripts/epoch.lua")),
            prove: Script::new(include_str!("redis/scripts/prove.lua")),
            adopt: Script::new(include_str!("redis/scripts/adopt.lua")),
            revoke: Script::new(include_str!("redis/scripts/revoke.lua")),
            follow: Script::new(include_str!("redis/scripts/follow.lua")),
            trim: Script::new(include_str!("redis/scripts/trim.lua")),
            count: Script::new(include_str!("redis/scripts/count.lua")),
            remember: Script::new(include_str!("redis/scripts/remember.lua")),
        }
    }
}

/// A span as scripts count it.
fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
