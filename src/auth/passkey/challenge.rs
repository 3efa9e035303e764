//! Challenges: what an authenticator is asked to sign, good for one answer in five minutes.
//!
//! A challenge is kept under a hash of itself, of what it is for and of whom it was given to. So it is not found at all for another purpose, another person
//! or another browser, and a store that leaks has none to give away.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::CHALLENGE;
use super::client_data::sha256;
use crate::auth::AuthError;
use crate::model::clock::Clock;
use crate::model::secret;
use crate::model::session::SessionId;
use crate::store::StoreError;
use crate::store::ephemeral::EphemeralStore;

/// How long an answer may take (§15.1 recommends five minutes).
pub const LIFE: Duration = Duration::from_secs(5 * 60);

/// What an authenticator is asked to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge(pub(super) [u8; CHALLENGE]);

impl Challenge {
    /// The octets, as they go to the browser.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a challenge is for, and whose answer counts.
#[derive(Clone, Copy, Debug)]
pub(in crate::auth) enum Purpose<'a> {
    /// A passkey is added, in this session.
    Add(SessionId),
    /// Somebody signs in, in this browser; a program has none.
    SignIn(Option<&'a str>),
    /// The second step of this sign-in.
    SecondStep(&'a str),
}

impl Purpose<'_> {
    fn words(self) -> [String; 2] {
        match self {
            Self::Add(session) => ["add".to_owned(), session.to_string()],
            Self::SignIn(None) => ["program".to_owned(), String::new()],
            Self::SignIn(Some(browser)) => ["browser".to_owned(), browser.to_owned()],
            Self::SecondStep(transaction) => ["second".to_owned(), transaction.to_owned()],
        }
    }

    /// The name of a challenge of this purpose. The challenge stands first and has one size, the first word is one of ours: no two are one text.
    fn key(self, challenge: &Challenge) -> String {
        let [what, whose] = self.words();
        let hash = sha256(&[challenge.0.as_slice(), what.as_bytes(), b":", whose.as_bytes()].concat());
        format!("passkey:{}", URL_SAFE_NO_PAD.encode(hash))
    }
}

/// The challenges that wait for an answer.
#[derive(Debug)]
pub(super) struct Challenges {
    store: Arc<dyn EphemeralStore>,
    clock: Arc<dyn Clock>,
}

impl Challenges {
    pub(super) fn new(store: Arc<dyn EphemeralStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// A fresh one.
    pub(super) async fn give(&self, purpose: Purpose<'_>) -> Result<Challenge, AuthError> {
        let challenge = Challenge(secret::random()?);
        let until = self.clock.now().plus(LIFE);
        self.store.keep(&purpose.key(&challenge), &[], until).await?;
        Ok(challenge)
    }

    /// Whether one was given for this and is still good; it is not afterwards. Of any number that ask, one is told yes.
    pub(super) async fn take(&self, purpose: Purpose<'_>, answered: &[u8]) -> Result<bool, StoreError> {
        let Ok(challenge) = answered.try_into() else {
            return Ok(false);
        };
        let key = purpose.key(&Challenge(challenge));
        Ok(self.store.take(&key, self.clock.now()).await?.is_some())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::auth::world::World;

    #[tokio::test]
    async fn a_challenge_is_good_once_and_for_its_purpose_and_its_owner_only() {
        let world = World::new().await;
        let challenges = Challenges::new(world.stores.ephemeral.clone(), world.clock.clone());
        let purposes = [
            Purpose::Add(SessionId(Uuid::from_u128(1))),
            Purpose::Add(SessionId(Uuid::from_u128(2))),
            Purpose::SignIn(None),
            Purpose::SignIn(Some("")),
            Purpose::SignIn(Some("one browser")),
            Purpose::SignIn(Some("another")),
            Purpose::SecondStep("one browser"),
            Purpose::SecondStep("another"),
        ];
        for (n, purpose) in purposes.iter().enumerate() {
            let challenge = challenges.give(*purpose).await.unwrap();
            for (_, other) in purposes.iter().enumerate().filter(|(m, _)| *m != n) {
                assert!(
                    !challenges.take(*other, &challenge.0).await.unwrap(),
                    "{purpose:?} as {other:?}"
                );
            }
            assert!(challenges.take(*purpose, &challenge.0).await.unwrap());
            assert!(!challenges.take(*purpose, &challenge.0).await.unwrap(), "again");
        }
        assert!(
            !challenges.take(Purpose::SignIn(None), &[7; CHALLENGE]).await.unwrap(),
            "never given"
        );
        assert!(!challenges.take(Purpose::SignIn(None), &[]).await.unwrap());
    }

    #[tokio::test]
    async fn a_challenge_is_good_for_five_minutes() {
        let world = World::new().await;
        let challenges = Challenges::new(world.stores.ephemeral.clone(), world.clock.clone());
        let (early, late) = (
            challenges.give(Purpose::SignIn(None)).await.unwrap(),
            challenges.give(Purpose::SignIn(None)).await.unwrap(),
        );
        assert_ne!(early, late);
        world.clock.advance(LIFE - Duration::from_secs(1));
        assert!(challenges.take(Purpose::SignIn(None), &early.0).await.unwrap());
        world.clock.advance(Duration::from_secs(1));
        assert!(!challenges.take(Purpose::SignIn(None), &late.0).await.unwrap());
    }
}
