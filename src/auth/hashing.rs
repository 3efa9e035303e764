//! The hashing pool: a bounded number of low-priority threads, each with one Argon2 memory block of its own, so that a flood of logins costs a fixed share.
//!
//! Memory is threads × m, whatever comes. At most `queue` jobs wait; one that has waited two seconds, or whose caller has gone, is dropped without being
//! hashed. Jobs are taken in order, so when the oldest is dropped the next is looked at at once: nobody waits much longer than those two seconds.
//! A hash with no account behind it is made all the same: whoever asks cannot tell the difference by the time it takes.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use argon2::password_hash::phc::{self, Output, ParamsString, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::config::PasswordRules;
use crate::model::credential::{Password, PasswordHash};
use crate::model::secret::{self, NoEntropy};
use crate::telemetry::Metrics;

/// How long a job may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much lower than the rest of the process the threads run (`nice`): about a tenth of a fully busy core each.
const NICENESS: i32 = 10;
/// The most memory that a stored hash may ask for, in KiB, when the settings do not ask for more: a damaged record must not take the machine down.
const MEMORY_CAP_KIB: u32 = 1024 * 1024;
/// The most passes that a stored hash may ask for, likewise.
const ITERATIONS_CAP: u32 = 64;
/// Octets of a salt and of a tag (RFC 9106 §3.1 and §4).
const SALT_LEN: usize = 16;
const TAG_LEN: usize = 32;

/// Why there is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// The queue is full, or the job waited too long.
    #[error("the hashing queue is full")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// The stored hash is not an Argon2id PHC string, or asks for more than is sane. The work was done all the same.
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
    /// The hash was made with less memory or fewer passes than are asked for now: make a new one while the password is at hand.
    pub outdated: bool,
}

/// The pool. Its memory is threads × m, whatever comes.
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

    fn without_threads(rules: &PasswordRules, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let params = Params::new(rules.memory_kib, rules.iterations, rules.lanes, Some(TAG_LEN))
            .map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidInput, e.to_string()))?;
        let pool = Arc::new(Pool {
            waiting: Mutex::default(),
            wake: Condvar::new(),
            queue: rules.queue.max(1),
            hashed: AtomicU64::new(0),
            metrics,
        });
        Ok(Self { pool, params })
    }

    /// Hashes a new password with a salt of its own.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, HashError> {
        let salt = new_salt()?;
        let tag = self.run(password, salt.to_vec(), self.params.clone(), TAG_LEN).await?;
        Ok(PasswordHash::new(self.phc(&salt, &tag)?))
    }

    /// Compares a password with a stored hash, by the parameters the hash was made with. `None`: there is none; the work is done and nothing matches.
    pub async fn verify(&self, password: Password, stored: Option<&PasswordHash>) -> Result<Verdict, HashError> {
        let Some(known) = stored.and_then(|stored| self.read(stored)) else {
            self.run(password, new_salt()?.to_vec(), self.params.clone(), TAG_LEN)
                .await?;
            return if stored.is_some() {
                Err(HashError::Damaged)
            } else {
                Ok(Verdict::default())
            };
        };
        let outdated = known.params.m_cost() < self.params.m_cost() || known.params.t_cost() < self.params.t_cost();
        let tag = self.run(password, known.salt, known.params, known.tag.len()).await?;
        let matches = bool::from(known.tag.ct_eq(&tag));
        Ok(Verdict { matches, outdated })
    }

    /// How many hashes were made since the start.
    pub fn hashed(&self) -> u64 {
        self.pool.hashed.load(Ordering::Relaxed)
    }

    async fn run(
        &self,
        password: Password,
        salt: Vec<u8>,
        params: Params,
        tag_len: usize,
    ) -> Result<Vec<u8>, HashError> {
        let (reply, answer) = oneshot::channel();
        self.pool.push(Job {
            password,
            salt,
            params,
            tag_len,
            since: Instant::now(),
            reply,
        })?;
        answer
            .await
            .map_err(|_| HashError::Failed("a hashing thread stopped"))?
    }

    fn read(&self, stored: &PasswordHash) -> Option<Stored> {
        let phc = phc::PasswordHash::new(stored.as_str()).ok()?;
        let known = phc.algorithm == ARGON2ID_IDENT && phc.version == Some(Version::V0x13.into());
        let (salt, tag) = (phc.salt?.to_vec(), phc.hash?.as_bytes().to_vec());
        let asked = Params::try_from(&phc.params).ok()?;
        let params = Params::new(asked.m_cost(), asked.t_cost(), asked.p_cost(), Some(tag.len())).ok()?;
        let sane = params.m_cost() <= MEMORY_CAP_KIB.max(self.params.m_cost())
            && params.t_cost() <= ITERATIONS_CAP.max(self.params.t_cost())
            && tag.len() >= SALT_LEN;
        (known && sane).then_some(Stored { salt, params, tag })
    }

    fn phc(&self, salt: &[u8], tag: &[u8]) -> Result<String, HashError> {
        let failed = |_| HashError::Failed("no PHC string can be made");
        let phc = phc::PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&self.params).map_err(|_| HashError::Failed("no PHC parameters"))?,
            salt: Some(Salt::new(salt).map_err(failed)?),
            hash: Some(Output::new(tag).map_err(failed)?),
        };
        Ok(phc.to_string())
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.pool.lock().closed = true;
        self.pool.wake.notify_all();
    }
}

/// A stored hash, taken apart.
struct Stored {
    salt: Vec<u8>,
    params: Params,
    tag: Vec<u8>,
}

struct Job {
    password: Password,
    salt: Vec<u8>,
    params: Params,
    tag_len: usize,
    since: Instant,
    reply: oneshot::Sender<Result<Vec<u8>, HashError>>,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closed: bool,
}

struct Pool {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    queue: usize,
    hashed: AtomicU64,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

impl Pool {
    fn push(&self, job: Job) -> Result<(), HashError> {
        let mut waiting = self.lock();
        if waiting.jobs.len() >= self.queue {
            waiting.jobs.retain(|job| !job.reply.is_closed());
        }
        if waiting.jobs.len() >= self.queue {
            return Err(overloaded());
        }
        waiting.jobs.push_back(job);
        self.metrics.hash_queue_depth(waiting.jobs.len());
        drop(waiting);
        self.wake.notify_one();
        Ok(())
    }

    /// One thread's life.
    fn work(&self) {
        be_nice();
        let mut memory = Vec::new();
        while let Some(job) = self.next() {
            let waited = job.since.elapsed();
            self.metrics.hash_wait(waited);
            if job.reply.is_closed() {
                continue;
            }
            let outcome = if waited >= PATIENCE {
                Err(overloaded())
            } else {
                self.hashed.fetch_add(1, Ordering::Relaxed);
                catch_unwind(AssertUnwindSafe(|| job.hash(&mut memory)))
                    .unwrap_or(Err(HashError::Failed("a hashing thread panicked")))
            };
            // The caller may have gone in the meantime; then nobody wants to know.
            let _ = job.reply.send(outcome);
        }
    }

    fn next(&self) -> Option<Job> {
        let mut waiting = self.lock();
        loop {
            if let Some(job) = waiting.jobs.pop_front() {
                self.metrics.hash_queue_depth(waiting.jobs.len());
                return Some(job);
            }
            if waiting.closed {
                return None;
            }
            waiting = self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job {
    /// The tag. The thread's memory is made at its first job and used again; a hash that needs more than usual gives the surplus back.
    fn hash(&self, memory: &mut Vec<Block>) -> Result<Vec<u8>, HashError> {
        let needed = self.params.block_count();
        if memory.len() != needed {
            memory.resize(needed, Block::new());
            memory.shrink_to_fit();
        }
        let mut tag = vec![0; self.tag_len];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone())
            .hash_password_into_with_memory(
                self.password.expose().as_bytes(),
                &self.salt,
                &mut tag,
                memory.as_mut_slice(),
            )
            .map_err(|_| HashError::Failed("Argon2 refused its input"))?;
        Ok(tag)
    }
}

fn overloaded() -> HashError {
    HashError::Overloaded { retry_after: PATIENCE }
}

fn new_salt() -> Result<[u8; SALT_LEN], HashError> {
    secret::random().map_err(|NoEntropy| HashError::Failed("no random bytes"))
}

/// Lowers this thread's priority. On Linux the call without an id concerns the calling thread alone; elsewhere it would lower the whole process.
/// Best effort: a sandbox may forbid it, and hashing works without.
#[cfg(target_os = "linux")]
fn be_nice() {
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

#[cfg(not(target_os = "linux"))]
fn be_nice() {
    let _ = NICENESS;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(memory_kib: u32, iterations: u32) -> PasswordRules {
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

    /// A pool whose threads never come.
    fn asleep() -> Hasher {
        Hasher::without_threads(&rules(8, 1), Arc::new(Metrics::new())).unwrap()
    }

    fn password() -> Password {
        Password::new("correct horse battery staple".to_owned())
    }

    type Answer = oneshot::Receiver<Result<Vec<u8>, HashError>>;

    fn job(hasher: &Hasher, age: Duration) -> (Job, Answer) {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            password: password(),
            salt: vec![0; SALT_LEN],
            params: hasher.params.clone(),
            tag_len: TAG_LEN,
            since: Instant::now().checked_sub(age).unwrap(),
            reply,
        };
        (job, answer)
    }

    /// Lets a thread do all that waits, here and now.
    fn wake(hasher: &Hasher) {
        hasher.pool.lock().closed = true;
        hasher.pool.work();
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
        use argon2::password_hash::PasswordVerifier;
        let hash = hasher(64, 2).hash(password()).await.unwrap();
        assert!(
            Argon2::default()
                .verify_password(password().expose().as_bytes(), hash.as_str())
                .is_ok()
        );
    }

    #[tokio::test]
    async fn a_hash_keeps_its_own_parameters_and_is_outdated_when_they_grew() {
        let hash = hasher(64, 1).hash(password()).await.unwrap();
        for (memory, passes, outdated) in [(64, 2, true), (128, 1, true), (32, 1, false), (64, 1, false)] {
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
            format!("$argon2i$v=19$m=64,t=1,p=1{tail}"),
            format!("$argon2id$v=16$m=64,t=1,p=1{tail}"),
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

    #[tokio::test]
    async fn the_queue_is_bounded_and_the_surplus_is_refused_at_once() {
        let hasher = asleep();
        let waiting: Vec<_> = (0..2).map(|_| job(&hasher, Duration::ZERO)).collect();
        let answers: Vec<Answer> = waiting
            .into_iter()
            .map(|(job, answer)| {
                hasher.pool.push(job).unwrap();
                answer
            })
            .collect();
        assert!(matches!(
            hasher.hash(password()).await,
            Err(HashError::Overloaded { .. })
        ));
        drop(answers);
        assert!(
            hasher.pool.push(job(&hasher, Duration::ZERO).0).is_ok(),
            "those who left make room"
        );
    }

    #[tokio::test]
    async fn a_job_that_waited_too_long_or_was_abandoned_is_not_hashed() {
        let hasher = asleep();
        let (late, told) = job(&hasher, PATIENCE);
        let (left, gone) = job(&hasher, Duration::ZERO);
        hasher.pool.push(late).unwrap();
        hasher.pool.push(left).unwrap();
        drop(gone);
        wake(&hasher);
        assert_eq!(told.await.unwrap(), Err(overloaded()));
        assert_eq!(hasher.hashed(), 0);
    }
}
