//! Links that prove an address: what a letter carries and nobody else has.
//!
//! A token is 256 random bits. The store keeps what it is good for under the token's hash, sealed, until it is used or its time is over; of any number that
//! use it one gets it (`EphemeralStore::take`). Beside it stands which link of that kind was given out last, so that asking again ends the older ones.
//! What a link is good for names the account as it was then: a link is of no use once the password, the address or the epoch is another.
//! A link is kept with the sessions: a store that loses its data loses it, and its owner asks again.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::AuthError;
use crate::model::clock::{Clock, Timestamp};
use crate::model::credential::{Account, PasswordHash};
use crate::model::seal::Seal;
use crate::model::secret::{self, NoEntropy, Secret};
use crate::model::user::{Email, Epoch, UserId};
use crate::store::StoreError;
use crate::store::ephemeral::EphemeralStore;

/// How long an address may take to be confirmed.
pub(super) const CONFIRM_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a new password may take to be set…
pub(super) const RESET_WITHIN: Duration = Duration::from_secs(30 * 60);
/// … and the first one of an account that an operator made.
pub(super) const INVITED_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Where a link is used. One for another place is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Where addresses are confirmed.
    Confirm,
    /// Where passwords are set.
    Reset,
}

/// What a link is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Errand {
    /// To make the account of an address, with the password that was chosen for it.
    Register {
        /// The address.
        email: Email,
        /// The password's hash.
        password: String,
    },
    /// To set a password.
    Reset(Holder),
    /// To give an account another address.
    Move {
        /// Whose.
        holder: Holder,
        /// Which.
        to: Email,
    },
    /// Nothing: kept so that an answer takes the same work.
    Nothing,
}

/// An account as it was when a link was made for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    user: UserId,
    email: Email,
    epoch: Epoch,
    password: [u8; 32],
}

impl Holder {
    pub(super) fn of(account: &Account) -> Self {
        Self {
            user: account.user.id,
            email: account.user.email.clone(),
            epoch: account.user.epoch,
            password: fingerprint(&account.password),
        }
    }

    /// One of an account that there is not. A link for it leads nowhere, and is as long as any.
    pub(super) fn nobody(email: &Email, now: Timestamp) -> Result<Self, NoEntropy> {
        Ok(Self {
            user: UserId(secret::uuid_v7(now)?),
            email: email.clone(),
            epoch: Epoch::default(),
            password: secret::random()?,
        })
    }

    pub(super) fn user(&self) -> UserId {
        self.user
    }

    /// Whether the account is still as it was, and may be used.
    pub(super) fn is(&self, account: &Account) -> bool {
        *self == Self::of(account) && account.user.disabled_at.is_none()
    }
}

fn fingerprint(password: &PasswordHash) -> [u8; 32] {
    sha256(password.as_str().as_bytes())
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().unwrap_or_default()
}

/// What the store keeps.
#[derive(Serialize, Deserialize)]
struct Kept {
    errand: Errand,
    /// Under which name it stands which link was given out last.
    latest: String,
}

/// All links of an installation.
#[derive(Clone, Debug)]
pub struct Links {
    seal: Arc<Seal>,
    store: Arc<dyn EphemeralStore>,
    clock: Arc<dyn Clock>,
}

impl Links {
    /// Links under the installation's secret, the same at every gateway.
    pub fn new(secret: &Secret, store: Arc<dyn EphemeralStore>, clock: Arc<dyn Clock>) -> Result<Self, NoEntropy> {
        let seal = Arc::new(Seal::new(secret, "links")?);
        Ok(Self { seal, store, clock })
    }

    /// Makes a link and ends the older ones for the same; what comes back is its token.
    pub(super) async fn issue(&self, errand: Errand, good_for: Duration) -> Result<String, AuthError> {
        let token = URL_SAFE_NO_PAD.encode(secret::random::<32>()?);
        let name = name(errand.place(), &token);
        let latest = match errand.subject() {
            Some(subject) => format!("link:latest:{subject}"),
            None => format!("{name}:nothing"),
        };
        let kept = Kept { errand, latest };
        let text = serde_json::to_vec(&kept).map_err(|error| AuthError::Internal(error.to_string()))?;
        let until = self.clock.now().plus(good_for);
        self.store
            .keep(&name, &self.seal.seal(name.as_bytes(), &text)?, until)
            .await?;
        self.store.keep(&kept.latest, name.as_bytes(), until).await?;
        Ok(token)
    }

    /// What a link is good for, as long as it is.
    pub(super) async fn read(&self, place: Place, token: &str) -> Result<Errand, AuthError> {
        let name = name(place, token);
        let kept = self.store.peek(&name, self.clock.now()).await?;
        self.open(&name, kept).await
    }

    /// The same, for one who asks and for nobody after.
    pub(super) async fn redeem(&self, place: Place, token: &str) -> Result<Errand, AuthError> {
        let name = name(place, token);
        let kept = self.store.take(&name, self.clock.now()).await?;
        self.open(&name, kept).await
    }

    /// What the link was good for that was given out last for an address to be registered. Making another ends it, so nothing need be taken away here:
    /// that would be a change, and take longer than finding nothing does.
    pub(super) async fn recall(&self, email: &Email) -> Result<Errand, AuthError> {
        let latest = format!("link:latest:{}", subject_of(email));
        let now = self.clock.now();
        let stands = self.store.peek(&latest, now).await?;
        let name = stands.and_then(|name| String::from_utf8(name).ok());
        // As many look-ups where there is none.
        let name = name.unwrap_or_else(|| format!("{latest}:nothing"));
        let kept = self.store.peek(&name, now).await?;
        match self.open(&name, kept).await {
            Err(AuthError::LinkOver) => Ok(Errand::Nothing),
            other => other,
        }
    }

    async fn open(&self, name: &str, kept: Option<Vec<u8>>) -> Result<Errand, AuthError> {
        let opened = kept.and_then(|sealed| self.seal.open(name.as_bytes(), &sealed).ok());
        let kept: Option<Kept> = opened.and_then(|text| serde_json::from_slice(&text).ok());
        // One look-up, also where there is nothing to look up.
        let latest = kept.as_ref().map_or(name, |kept| &kept.latest);
        let is_latest = self.is_latest(name, latest).await?;
        let errand = kept.map(|kept| kept.errand);
        errand
            .filter(|errand| is_latest && *errand != Errand::Nothing)
            .ok_or(AuthError::LinkOver)
    }

    async fn is_latest(&self, name: &str, latest: &str) -> Result<bool, StoreError> {
        let stands = self.store.peek(latest, self.clock.now()).await?;
        Ok(stands.is_some_and(|stands| stands == name.as_bytes()))
    }
}

impl Errand {
    fn place(&self) -> Place {
        match self {
            Self::Register { .. } | Self::Move { .. } => Place::Confirm,
            Self::Reset(_) | Self::Nothing => Place::Reset,
        }
    }

    /// What there is one link at a time for.
    fn subject(&self) -> Option<String> {
        match self {
            Self::Register { email, .. } => Some(subject_of(email)),
            Self::Reset(holder) => Some(format!("reset:{}", holder.user)),
            Self::Move { holder, .. } => Some(format!("move:{}", holder.user)),
            Self::Nothing => None,
        }
    }
}

/// A hash, so that the store's names hold no addresses.
fn subject_of(email: &Email) -> String {
    format!("register:{}", URL_SAFE_NO_PAD.encode(sha256(email.as_str().as_bytes())))
}

/// Under which name a link's errand is kept: by the hash of its token, so that a store that leaks holds no link.
fn name(place: Place, token: &str) -> String {
    let place = match place {
        Place::Confirm => "confirm",
        Place::Reset => "reset",
    };
    format!("link:{place}:{}", URL_SAFE_NO_PAD.encode(sha256(token.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::world::World;

    const MINUTE: Duration = Duration::from_secs(60);

    fn register(password: &str) -> Errand {
        Errand::Register {
            email: "ada@example.com".parse().unwrap(),
            password: password.to_owned(),
        }
    }

    async fn links() -> (World, Links) {
        let world = World::new().await;
        let links = world.links();
        (world, links)
    }

    #[track_caller]
    fn is_over<T: std::fmt::Debug>(outcome: Result<T, AuthError>) {
        assert!(matches!(outcome, Err(AuthError::LinkOver)), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_link_is_good_at_its_place_for_its_time_and_once() {
        let (world, links) = links().await;
        let token = links.issue(register("x"), MINUTE).await.unwrap();
        is_over(links.read(Place::Reset, &token).await);
        is_over(links.redeem(Place::Reset, &token).await);
        assert_eq!(links.read(Place::Confirm, &token).await.unwrap(), register("x"));
        assert_eq!(links.redeem(Place::Confirm, &token).await.unwrap(), register("x"));
        is_over(links.redeem(Place::Confirm, &token).await);
        let token = links.issue(register("x"), MINUTE).await.unwrap();
        world.clock.advance(MINUTE);
        is_over(links.redeem(Place::Confirm, &token).await);
        is_over(links.redeem(Place::Confirm, "").await);
    }

    #[tokio::test]
    async fn asking_again_ends_the_older_link_and_no_other() {
        let (_world, links) = links().await;
        let first = links.issue(register("first"), MINUTE).await.unwrap();
        let other = Errand::Register {
            email: "ben@example.com".parse().unwrap(),
            password: String::new(),
        };
        let other = links.issue(other, MINUTE).await.unwrap();
        let second = links.issue(register("second"), MINUTE).await.unwrap();
        is_over(links.read(Place::Confirm, &first).await);
        is_over(links.redeem(Place::Confirm, &first).await);
        assert_eq!(links.redeem(Place::Confirm, &second).await.unwrap(), register("second"));
        links.redeem(Place::Confirm, &other).await.unwrap();
    }

    #[tokio::test]
    async fn of_twenty_that_redeem_at_once_one_does() {
        let (_world, links) = links().await;
        let token = links.issue(register("x"), MINUTE).await.unwrap();
        let racers = (0..20).map(|_| links.redeem(Place::Confirm, &token));
        let outcomes = futures_util::future::join_all(racers).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    }

    #[tokio::test]
    async fn the_store_sees_neither_a_token_nor_an_address_nor_a_hash() {
        let (world, links) = links().await;
        let token = links.issue(register("$argon2id$hash"), MINUTE).await.unwrap();
        let name = name(Place::Confirm, &token);
        let kept = world
            .stores
            .ephemeral
            .peek(&name, world.clock.now())
            .await
            .unwrap()
            .unwrap();
        let seen = format!("{name}{}", String::from_utf8_lossy(&kept));
        assert!(
            !seen.contains(&token) && !seen.contains("ada") && !seen.contains("argon2"),
            "{seen}"
        );
        // What stands under another link's name opens nothing, whoever put it there.
        let other = links.issue(register("other"), MINUTE).await.unwrap();
        let until = world.clock.now().plus(MINUTE);
        let place = super::name(Place::Confirm, &other);
        world.stores.ephemeral.keep(&place, &kept, until).await.unwrap();
        is_over(links.redeem(Place::Confirm, &other).await);
    }

    #[tokio::test]
    async fn a_link_recalled_is_given_out_anew_and_one_to_nothing_is_none() {
        let (_world, links) = links().await;
        let email = "ada@example.com".parse().unwrap();
        assert_eq!(links.recall(&email).await.unwrap(), Errand::Nothing);
        let first = links.issue(register("x"), MINUTE).await.unwrap();
        assert_eq!(links.recall(&email).await.unwrap(), register("x"));
        let second = links.issue(register("x"), MINUTE).await.unwrap();
        is_over(links.redeem(Place::Confirm, &first).await);
        links.redeem(Place::Confirm, &second).await.unwrap();
        assert_eq!(links.recall(&email).await.unwrap(), Errand::Nothing);
        let nothing = links.issue(Errand::Nothing, MINUTE).await.unwrap();
        is_over(links.redeem(Place::Reset, &nothing).await);
    }
}
