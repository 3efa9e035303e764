//! What is remembered of a provider: its metadata and its keys.
//!
//! Both are read when they are first needed, and again when they are an hour old, so that a key that was withdrawn is forgotten. A provider that failed is
//! left alone for some seconds, and a key that nobody knows makes the set be read at most once a minute: who makes things up, or comes in a crowd, makes us
//! ask nobody more often. One asks at a time, and those who waited for it take what it found.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::ProviderError;
use super::fetch::Client;
use super::metadata::{self, Metadata};
use crate::model::clock::{Clock, Timestamp};
use crate::token::foreign::ForeignKeys;

/// How long what was read counts.
const FRESH: Duration = Duration::from_secs(60 * 60);
/// How long a provider is left alone after it failed.
const PAUSE: Duration = Duration::from_secs(5);
/// How long a key set is kept though a key is missing in it.
const KEY_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Known {
    metadata: Mutex<Kept<Metadata>>,
    keys: Mutex<Kept<ForeignKeys>>,
}

/// Something read, and when it was read or could not be.
#[derive(Debug)]
struct Kept<T> {
    read: Option<(Timestamp, Arc<T>)>,
    failed: Option<Timestamp>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self {
            read: None,
            failed: None,
        }
    }
}

impl<T> Kept<T> {
    /// What was read no longer ago than `age`.
    fn younger_than(&self, age: Duration, now: Timestamp) -> Option<Arc<T>> {
        let (at, kept) = self.read.as_ref()?;
        (now.since(*at) < age).then(|| Arc::clone(kept))
    }

    /// Reads it anew, unless that has just failed. That it failed counts from when it did, not from when it was begun.
    async fn renew(
        &mut self,
        clock: &dyn Clock,
        reading: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<Arc<T>, ProviderError> {
        let now = clock.now();
        if self.failed.is_some_and(|failed| now.since(failed) < PAUSE) {
            return Err(ProviderError::Unreachable("it failed a moment ago".to_owned()));
        }
        match reading.await {
            Ok(read) => {
                let read = Arc::new(read);
                self.read = Some((now, Arc::clone(&read)));
                self.failed = None;
                Ok(read)
            }
            Err(error) => {
                self.failed = Some(clock.now());
                Err(error)
            }
        }
    }
}

impl Known {
    pub(super) async fn metadata(
        &self,
        client: &Client,
        issuer: &str,
        clock: &dyn Clock,
    ) -> Result<Arc<Metadata>, ProviderError> {
        let mut kept = self.metadata.lock().await;
        if let Some(known) = kept.younger_than(FRESH, clock.now()) {
            return Ok(known);
        }
        let reading = async {
            let text = client.get(&metadata::address(issuer)?, None).await?;
            Metadata::read(&text, issuer)
        };
        kept.renew(clock, reading).await
    }

    pub(super) async fn keys(
        &self,
        client: &Client,
        metadata: &Metadata,
        clock: &dyn Clock,
    ) -> Result<Arc<ForeignKeys>, ProviderError> {
        let mut kept = self.keys.lock().await;
        if let Some(known) = kept.younger_than(FRESH, clock.now()) {
            return Ok(known);
        }
        kept.renew(clock, read_keys(client, metadata)).await
    }

    /// Keys that are newer than those that lacked one; `None`: they were read a moment ago.
    pub(super) async fn newer_keys(
        &self,
        client: &Client,
        metadata: &Metadata,
        clock: &dyn Clock,
    ) -> Result<Option<Arc<ForeignKeys>>, ProviderError> {
        let mut kept = self.keys.lock().await;
        if kept.younger_than(KEY_PAUSE, clock.now()).is_some() {
            return Ok(None);
        }
        kept.renew(clock, read_keys(client, metadata)).await.map(Some)
    }
}

async fn read_keys(client: &Client, metadata: &Metadata) -> Result<ForeignKeys, ProviderError> {
    let text = client.get(&metadata.keys, None).await?;
    let text = std::str::from_utf8(&text).map_err(|_| ProviderError::Unreachable("its keys are no text".to_owned()))?;
    ForeignKeys::read(text).map_err(|error| ProviderError::Unreachable(error.to_string()))
}
