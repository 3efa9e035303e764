//! The threads that hash: a bounded number of low priority, each with one Argon2 memory block of its own, so that a flood of logins costs a fixed share.
//!
//! Memory is threads × m, and beyond it that of one stored hash that asks for more: such hashes, made by other settings or another system, take turns. At most `queue` jobs wait; one that has waited two seconds, or a sign-in whose client has left, is dropped without being
//! hashed. Jobs are taken in order, so when the oldest is dropped the next is looked at at once: nobody waits much longer than those two seconds.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::Block;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::HashError;
use super::recipe::Recipe;
use crate::model::credential::Password;
use crate::model::presence::Presence;
use crate::model::priority::Priority;
use crate::telemetry::Metrics;

/// How long a job may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(2);

struct Job {
    password: Password,
    recipe: Recipe,
    /// Done as well, and for nothing: so that an account whose hash is cheap takes no less time than nobody's.
    besides: Option<Recipe>,
    since: Instant,
    asker: Presence,
    reply: oneshot::Sender<Result<Vec<u8>, HashError>>,
}

impl Job {
    /// Nobody waits for it any more: neither whoever asked nor the task that serves them.
    fn is_abandoned(&self) -> bool {
        self.asker.is_over() || self.reply.is_closed()
    }

    /// Turns it away. Its task may go on without its client, and is told like any other.
    fn refuse(self) {
        let _ = self.reply.send(Err(overloaded()));
    }
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// Jobs that wait, and whoever works them off.
pub(super) struct Pool {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    queue: usize,
    /// Octets of memory that each thread may take at any time.
    share: u64,
    /// Held by whoever takes more.
    beyond: Mutex<()>,
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
    /// A pool that nobody works for yet.
    pub(super) fn new(queue: usize, share: u64, metrics: Arc<Metrics>) -> Self {
        Self {
            waiting: Mutex::default(),
            wake: Condvar::new(),
            queue: queue.max(1),
            share,
            beyond: Mutex::default(),
            hashed: AtomicU64::new(0),
            metrics,
        }
    }

    /// Has a tag made, when its turn comes.
    pub(super) async fn hash(
        &self,
        asker: &Presence,
        password: Password,
        recipe: Recipe,
        besides: Option<Recipe>,
    ) -> Result<Vec<u8>, HashError> {
        let (reply, answer) = oneshot::channel();
        self.push(Job {
            password,
            recipe,
            besides,
            since: Instant::now(),
            asker: asker.clone(),
            reply,
        })?;
        answer
            .await
            .map_err(|_| HashError::Failed("a hashing thread stopped"))?
    }

    /// Sends its threads home once nothing waits any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    /// How many hashes were made since the start.
    pub(super) fn hashed(&self) -> u64 {
        self.hashed.load(Ordering::Relaxed)
    }

    /// Refuses when there is no room for one more job, who has left not counted.
    pub(super) fn room(&self) -> Result<(), HashError> {
        self.room_in(&mut self.lock())
    }

    fn room_in(&self, waiting: &mut Waiting) -> Result<(), HashError> {
        if waiting.jobs.len() >= self.queue {
            let (abandoned, awaited) = waiting.jobs.drain(..).partition(Job::is_abandoned);
            waiting.jobs = awaited;
            VecDeque::into_iter(abandoned).for_each(Job::refuse);
        }
        if waiting.jobs.len() >= self.queue {
            return Err(overloaded());
        }
        Ok(())
    }

    fn push(&self, job: Job) -> Result<(), HashError> {
        let mut waiting = self.lock();
        self.room_in(&mut waiting)?;
        waiting.jobs.push_back(job);
        self.metrics.hash_queue_depth(waiting.jobs.len());
        drop(waiting);
        self.wake.notify_one();
        Ok(())
    }

    /// One thread's life.
    pub(super) fn work(&self) {
        Priority::Hashing.take();
        let mut memory = Vec::new();
        while let Some(job) = self.next() {
            let waited = job.since.elapsed();
            self.metrics.hash_wait(waited);
            if job.is_abandoned() {
                job.refuse();
                continue;
            }
            let outcome = if waited >= PATIENCE {
                Err(overloaded())
            } else {
                self.hashed.fetch_add(1, Ordering::Relaxed);
                catch_unwind(AssertUnwindSafe(|| self.make(&job, &mut memory)))
                    .unwrap_or(Err(HashError::Failed("a hashing thread panicked")))
            };
            // The caller may have gone in the meantime; then nobody wants to know.
            let _ = job.reply.send(outcome);
        }
    }

    fn make(&self, job: &Job, memory: &mut Vec<Block>) -> Result<Vec<u8>, HashError> {
        let password = job.password.expose().as_bytes();
        let beyond = job.recipe.memory() > self.share;
        let alone = beyond.then(|| self.beyond.lock().unwrap_or_else(PoisonError::into_inner));
        let tag = job.recipe.tag(password, memory)?;
        if alone.is_some() {
            // Given back before another takes as much.
            *memory = Vec::new();
        }
        drop(alone);
        if let Some(besides) = &job.besides {
            self.hashed.fetch_add(1, Ordering::Relaxed);
            std::hint::black_box(besides.tag(password, memory)?);
        }
        Ok(tag)
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

fn overloaded() -> HashError {
    HashError::Overloaded { retry_after: PATIENCE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::hashing::Hasher;
    use crate::auth::hashing::stored::{SALT_LEN, TAG_LEN};
    use crate::auth::hashing::tests::{password, rules};
    use crate::model::presence::Wait;

    /// A pool whose threads never come.
    fn asleep() -> Hasher {
        Hasher::without_threads(&rules(8, 1), Arc::new(Metrics::new())).unwrap()
    }

    type Answer = oneshot::Receiver<Result<Vec<u8>, HashError>>;

    fn job(hasher: &Hasher, age: Duration) -> (Job, Answer) {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            password: password(),
            recipe: Recipe::ours(&hasher.params, vec![0; SALT_LEN], TAG_LEN),
            besides: None,
            since: Instant::now().checked_sub(age).unwrap(),
            asker: Presence::default(),
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
        assert_eq!(hasher.room(), Err(overloaded()));
        drop(answers);
        assert_eq!(hasher.room(), Ok(()));
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
        let wait = Wait::default();
        let (mut unattended, refused) = job(&hasher, Duration::ZERO);
        unattended.asker = wait.presence();
        hasher.pool.push(unattended).unwrap();
        drop(wait);
        wake(&hasher);
        assert_eq!(told.await.unwrap(), Err(overloaded()));
        assert_eq!(
            refused.await.unwrap(),
            Err(overloaded()),
            "the task that served it goes on"
        );
        assert_eq!(hasher.hashed(), 0);
    }

    #[test]
    fn hashes_that_take_more_than_their_share_take_turns() {
        let hasher = asleep();
        let make = |memory_kib| {
            let params = argon2::Params::new(memory_kib, 1, 1, None).unwrap();
            let (mut job, _answer) = job(&hasher, Duration::ZERO);
            job.recipe = Recipe::ours(&params, vec![0; SALT_LEN], TAG_LEN);
            hasher.pool.make(&job, &mut Vec::new()).is_ok()
        };
        let turn = hasher.pool.beyond.lock().unwrap();
        assert!(make(8), "within its share nobody waits");
        std::thread::scope(|scope| {
            let (done, told) = std::sync::mpsc::channel();
            scope.spawn(move || done.send(make(16)));
            told.recv_timeout(Duration::from_millis(200)).unwrap_err();
            drop(turn);
            assert!(told.recv().unwrap());
        });
    }
}
