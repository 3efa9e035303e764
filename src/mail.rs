//! Letters to people: what they say, where they wait, and who carries them.
//!
//! Whoever has something to tell writes a letter, which waits sealed in the accounts store (`store::outbox`), since it may hold a link that lets somebody
//! in. The courier of any gateway takes it from there. So nothing that answers a request ever waits for a mail server, and no letter is lost by a crash.
//! Links are made from `server.public_url` and `auth.base_path` alone: nothing that a request says of hosts gets into a letter.
//!
//! Where nobody is to be written to, because an address has no account, `Says::Nothing` is written all the same: the answer takes the same work.

pub mod courier;
pub mod letter;
pub mod post;
mod template;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::config::Settings;
use crate::model::clock::{Clock, Timestamp};
use crate::model::seal::Seal;
use crate::model::secret::{self, NoEntropy, Secret};
use crate::model::user::Email;
use crate::store::StoreError;
use crate::store::outbox::{Letter as Waiting, Outbox};
use letter::{Letter, Says};

/// What letters are sealed for.
const PURPOSE: &str = "letters";

/// A letter could not be written.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It could not be sealed.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// Something that should not happen.
    #[error("a letter cannot be put into words: {0}")]
    Unwritable(#[from] serde_json::Error),
}

/// Letters under one secret, to be written and to be opened again.
#[derive(Clone, Debug)]
pub struct Letters {
    seal: Arc<Seal>,
    outbox: Arc<dyn Outbox>,
    clock: Arc<dyn Clock>,
}

impl Letters {
    /// Those of an installation.
    pub fn new(secret: &Secret, outbox: Arc<dyn Outbox>, clock: Arc<dyn Clock>) -> Result<Self, NoEntropy> {
        let seal = Arc::new(Seal::new(secret, PURPOSE)?);
        Ok(Self { seal, outbox, clock })
    }

    async fn post(&self, letter: &Letter) -> Result<(), MailError> {
        let now = self.clock.now();
        let id = secret::uuid_v7(now)?;
        let sealed = self.seal.seal(id.as_bytes(), &serde_json::to_vec(letter)?)?;
        let waiting = Waiting {
            id,
            sealed,
            created_at: now,
            due_at: now,
            attempts: 0,
        };
        Ok(self.outbox.post(&waiting).await?)
    }

    /// `None`: sealed by another secret, or by a later version that says what this one does not know.
    fn open(&self, id: Uuid, sealed: &[u8]) -> Option<Letter> {
        let opened = self.seal.open(id.as_bytes(), sealed).ok()?;
        serde_json::from_slice(&opened).ok()
    }
}

/// Writes letters for the rules of accounts.
#[derive(Clone, Debug)]
pub struct Mail {
    letters: Letters,
    site: String,
    base: String,
}

/// What a letter says beside its kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// Where it sends people: what stands behind `auth.base_path`, query included.
    pub path: &'a str,
    /// How long that is of use.
    pub good_for: Option<Duration>,
    /// From where it was asked for, or was done what it tells of.
    pub origin: Option<IpAddr>,
}

impl Mail {
    /// Letters of the site that the settings describe.
    pub fn new(letters: Letters, settings: &Settings) -> Self {
        Self {
            letters,
            site: settings.portal.name.clone(),
            base: link_base(settings),
        }
    }

    /// Puts a letter on its way. Once this is done no crash loses it.
    pub async fn write(&self, to: &Email, says: Says, facts: Facts<'_>) -> Result<(), MailError> {
        let now = self.letters.clock.now();
        let letter = Letter {
            to: to.clone(),
            says,
            site: self.site.clone(),
            link: format!("{}{}", self.base, facts.path),
            written_at: now,
            good_until: facts.good_for.map(|span| now.plus(span)),
            origin: facts.origin,
        };
        self.letters.post(&letter).await
    }
}

/// Where links into our own site begin.
pub fn link_base(settings: &Settings) -> String {
    let site = settings.server.public_url.to_string();
    format!("{}{}", site.trim_end_matches('/'), settings.auth.base_path)
}

/// Whether a moment lies behind.
fn is_over(end: Option<Timestamp>, now: Timestamp) -> bool {
    end.is_some_and(|end| end <= now)
}
