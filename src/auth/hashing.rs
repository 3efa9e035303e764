//! Hashing passwords (Argon2id): new ones with a salt of their own, stored ones by the recipe they were made with, which may be another system's.
//!
//! A hash with no account behind it is made all the same: whoever asks cannot tell the difference by the time it takes. A stored hash that is not made as
//! today's are costs its own work and that of one of today's, right password or wrong: its account never answers sooner than an address without one.

mod foreign;
mod pool;
mod recipe;
mod stored;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use argon2::Params;
use subtle::ConstantTimeEq;

use crate::config::PasswordRules;
use crate::model::credential::{Password, PasswordHash};
use crate::model::presence::Presence;
use crate::model::secret::{self, NoEntropy};
use crate::telemetry::Metrics;
use pool::Pool;
use recipe::Recipe;
use stored::{SALT_LEN, TAG_LEN};

pub use stored::Unusable;

/// Why there is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// The queue is full, or the job waited too long.
    #[error("the hashing queue is full")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// The stored hash is of no known form, or asks for more than is sane. The work was done all the same.
    #[error("the stored password hash cannot be read")]
    Damaged,
    /// Something that should not happen.
    #[error("hashing failed: {0}")]
    Failed(&'static str),
}

/// How a password compares with a hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// It is the one.
    pub matches: bool,
    /// The hash was not made as today's are: make a new one while the password is at hand.
    pub outdated: bool,
}

/// Makes hashes on threads of its own.
#[derive(Debug)]
pub struct Hasher {
    pool: Arc<Pool>,
    params: Params,
}

impl Hasher {
    /// Starts the threads. They end when the `Hasher` is dropped.
    ///
    /// # Errors
    /// The system has no thread to give, or the parameters are none that Argon2 knows.
    pub fn new(rules: &PasswordRules, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let hasher = Self::without_threads(rules, metrics)?;
        for number in 0..rules.threads.max(1) {
            let pool = Arc::clone(&hasher.pool);
            thread::Builder::new()
                .name(format!("hash-{number}"))
                .spawn(move || pool.work())?;
        }
        Ok(hasher)
    }

    /// With nobody to do the work.
    pub(super) fn without_threads(rules: &PasswordRules, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let params = Params::new(rules.memory_kib, rules.iterations, rules.lanes, Some(TAG_LEN))
            .map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidInput, e.to_string()))?;
        let share = u64::from(rules.memory_kib) * 1024;
        let pool = Arc::new(Pool::new(rules.queue, share, metrics));
        Ok(Self { pool, params })
    }

    /// Refuses when there would be no room for one more hash.
    pub fn room(&self) -> Result<(), HashError> {
        self.pool.room()
    }

    /// Hashes a new password with a salt of its own.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, HashError> {
        let salt = new_salt()?;
        let recipe = Recipe::ours(&self.params, salt.to_vec(), TAG_LEN);
        let tag = self.pool.hash(&Presence::default(), password, recipe, None).await?;
        stored::write(&self.params, &salt, &tag)
    }

    /// Takes over a hash that another system made, if it is of a known form and costs no more than a sign-in may.
    pub fn accept(&self, text: &str) -> Result<PasswordHash, Unusable> {
        stored::accept(text, &self.params)
    }

    /// Compares a password with a stored hash, by the recipe the hash was made with. `None`: there is none; the work is done and nothing matches.
    pub async fn verify(&self, password: Password, stored: Option<&PasswordHash>) -> Result<Verdict, HashError> {
        self.verify_for(&Presence::default(), password, stored).await
    }

    /// The same, as long as whoever asks has not left before its turn comes.
    pub async fn verify_for(
        &self,
        asker: &Presence,
        password: Password,
        stored: Option<&PasswordHash>,
    ) -> Result<Verdict, HashError> {
        // An account without a password compares like none at all.
        let stored = stored.filter(|stored| !stored.is_none());
        let todays = Recipe::ours(&self.params, new_salt()?.to_vec(), TAG_LEN);
        let Some(known) = stored.and_then(|stored| stored::read(stored, &self.params)) else {
            self.pool.hash(asker, password, todays, None).await?;
            return if stored.is_some() {
                Err(HashError::Damaged)
            } else {
                Ok(Verdict::default())
            };
        };
        let outdated = !known.recipe.is_like(&self.params);
        let besides = outdated.then_some(todays);
        let tag = self.pool.hash(asker, password, known.recipe, besides).await?;
        let matches = bool::from(known.tag.ct_eq(&tag));
        Ok(Verdict { matches, outdated })
    }

    /// How many hashes were made since the start.
    pub fn hashed(&self) -> u64 {
        self.pool.hashed()
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.pool.close();
    }
}

fn new_salt() -> Result<[u8; SALT_LEN], HashError> {
    secret::random().map_err(|NoEntropy| HashError::Failed("no random bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn rules(memory_kib: u32, iterations: u32) -> PasswordRules {
        PasswordRules {
            min_length: 15,
            max_length: 256,
            memory_kib,
            iterations,
            lanes: 1,
            threads: 1,
            queue: 2,
        }
    }

    fn hasher(memory_kib: u32, iterations: u32) -> Hasher {
        Hasher::new(&rules(memory_kib, iterations), Arc::new(Metrics::new())).unwrap()
    }

    pub(super) fn password() -> Password {
        Password::new("correct horse battery staple".to_owned())
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let hasher = hasher(64, 1);
        let hash = hasher.hash(password()).await.unwrap();
        assert!(
            hash.as_str().starts_with("$argon2id$v=19$m=64,t=1,p=1$"),
            "{}",
            hash.as_str()
        );
        let verdict = hasher.verify(password(), Some(&hash)).await.unwrap();
        assert!(verdict.matches && !verdict.outdated);
        let other = Password::new("correct horse battery stapler".to_owned());
        assert!(!hasher.verify(other, Some(&hash)).await.unwrap().matches);
        assert_ne!(hash, hasher.hash(password()).await.unwrap(), "a salt of its own");
    }

    #[tokio::test]
    async fn an_independent_reading_agrees() {
        use argon2::Argon2;
        use argon2::password_hash::PasswordVerifier;
        let hash = hasher(64, 2).hash(password()).await.unwrap();
        assert!(
            Argon2::default()
                .verify_password(password().expose().as_bytes(), hash.as_str())
                .is_ok()
        );
    }

    #[tokio::test]
    async fn a_hash_keeps_its_own_parameters_and_is_outdated_when_others_are_asked_for() {
        let hash = hasher(64, 1).hash(password()).await.unwrap();
        for (memory, passes, outdated) in [(64, 2, true), (128, 1, true), (32, 1, true), (64, 1, false)] {
            let verdict = hasher(memory, passes).verify(password(), Some(&hash)).await.unwrap();
            assert_eq!(
                (verdict.matches, verdict.outdated),
                (true, outdated),
                "{memory} {passes}"
            );
        }
    }

    #[tokio::test]
    async fn an_unknown_account_costs_one_hash_like_a_known_one() {
        let hasher = hasher(64, 1);
        let hash = hasher.hash(password()).await.unwrap();
        hasher.verify(password(), Some(&hash)).await.unwrap();
        assert_eq!(hasher.hashed(), 2);
        assert_eq!(hasher.verify(password(), None).await.unwrap(), Verdict::default());
        assert_eq!(hasher.hashed(), 3);
    }

    #[tokio::test]
    async fn a_record_that_is_damaged_or_asks_for_too_much_costs_one_hash_and_is_told() {
        let hasher = hasher(64, 1);
        let tail = "$c29tZXNhbHRzb21lc2FsdA$b3V0cHV0b3V0cHV0b3V0cHV0b3V0cHV0b3V0cHV0b3U";
        for (done, text) in [
            String::new(),
            "nonsense".to_owned(),
            format!("$argon2x$v=19$m=64,t=1,p=1{tail}"),
            format!("$argon2id$v=17$m=64,t=1,p=1{tail}"),
            format!("$argon2i$v=19$m=140000,t=1,p=1{tail}"),
            format!("$argon2id$v=19$m=4000000000,t=1,p=1{tail}"),
            format!("$argon2id$v=19$m=64,t=100000,p=1{tail}"),
        ]
        .into_iter()
        .enumerate()
        {
            let outcome = hasher.verify(password(), Some(&PasswordHash::new(text.clone()))).await;
            assert_eq!(outcome, Err(HashError::Damaged), "{text}");
            assert_eq!(hasher.hashed(), done as u64 + 1, "{text}");
        }
    }
}
