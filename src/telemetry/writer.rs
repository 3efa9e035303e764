//! Lines on their way to a file, written by a thread of their own.
//!
//! Whoever logs appends to a buffer in memory and goes on; the thread takes the whole buffer at once, so a busy gateway makes one write for many
//! requests, and a request never wakes anybody but for the first line after a pause. A buffer has an upper limit: what does not fit is dropped and
//! counted, because waiting for a stuck disk would stop the gateway. A careful writer keeps what a full or failing disk refused and tries again;
//! a plain one drops it.

mod output;

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::watch;

use crate::config::LogTarget;
use output::Output;

/// How long lines are gathered before they are written.
const GATHER: Duration = Duration::from_millis(20);
/// How long to wait before a write that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long somebody waits at most for a line to be written.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How long the end of the process waits at most: a target that hangs must not keep a gateway from ending, and its successor from the port.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// What becomes of lines that the target refuses, and how many may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    /// 4 MiB may wait; lines that could not be written are dropped.
    Plain,
    /// 64 MiB may wait; lines that could not be written are kept and tried again.
    Careful,
}

impl Care {
    const fn capacity(self) -> usize {
        match self {
            Self::Plain => 4 << 20,
            Self::Careful => 64 << 20,
        }
    }
}

/// A background writer; `None` inside means that lines go nowhere.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Option<Arc<Shared>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    written: Condvar,
    /// How far writing has come, for those who wait without a thread of their own.
    progress: watch::Sender<Progress>,
    lost: Counter,
    capacity: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    done: u64,
    failing: bool,
}

#[derive(Debug, Default)]
struct State {
    buffer: Vec<u8>,
    lines: u64,
    asleep: bool,
    hurry: bool,
    reopen: bool,
    closing: bool,
    failing: bool,
    /// The thread has come to its end, or is not waited for any more.
    ended: bool,
    /// Bytes accepted and bytes done with, both counted from the start.
    accepted: u64,
    done: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has what waits written without gathering more, and says how far writing must come; `None` when it is there already, or the target refuses.
    fn hurry(&self) -> Option<u64> {
        let mut state = self.lock();
        if state.done >= state.accepted || state.failing {
            return None;
        }
        state.hurry = true;
        state.asleep = false;
        let goal = state.accepted;
        drop(state);
        self.wake.notify_one();
        Some(goal)
    }
}

impl Writer {
    /// A writer that drops every line.
    pub(super) const fn off() -> Self {
        Self { shared: None }
    }

    /// Opens `target` for appending; lines that are lost count in `lost`.
    pub(super) fn open(target: &LogTarget, care: Care, lost: Counter) -> io::Result<Self> {
        let Some(output) = Output::open(target)? else {
            return Ok(Self::off());
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State::default()),
            wake: Condvar::new(),
            written: Condvar::new(),
            progress: watch::Sender::default(),
            lost,
            capacity: care.capacity(),
        });
        let job = Job {
            shared: Arc::clone(&shared),
            output,
            care,
            spare: Vec::new(),
        };
        thread::Builder::new()
            .name("gateward-log".to_owned())
            .spawn(move || job.run())?;
        Ok(Self { shared: Some(shared) })
    }

    /// Whether lines go anywhere at all.
    pub(super) const fn is_on(&self) -> bool {
        self.shared.is_some()
    }

    /// Hands over one line, its end included; never waits for the disk.
    pub(super) fn append(&self, line: &[u8]) {
        let Some(shared) = &self.shared else { return };
        let mut state = shared.lock();
        if state.buffer.len().saturating_add(line.len()) > shared.capacity {
            drop(state);
            shared.lost.inc();
            return;
        }
        state.buffer.extend_from_slice(line);
        state.lines += 1;
        state.accepted += line.len() as u64;
        let asleep = std::mem::take(&mut state.asleep);
        drop(state);
        if asleep {
            shared.wake.notify_one();
        }
    }

    /// Waits until everything handed over so far is with the system, where the end of this process cannot take it back. A target that refuses, or does
    /// nothing for `LONGEST_WAIT`, is not waited for: lines then stay in memory, as `Care` says.
    pub(super) async fn written(&self) {
        let Some(shared) = &self.shared else { return };
        let Some(goal) = shared.hurry() else { return };
        let mut progress = shared.progress.subscribe();
        let there = progress.wait_for(|now| now.done >= goal || now.failing);
        // Late or not, whoever waits goes on.
        let _ = tokio::time::timeout(LONGEST_WAIT, there).await;
    }

    /// Opens the file anew before the next line, after another program has moved it away.
    pub(super) fn reopen(&self) {
        let Some(shared) = &self.shared else { return };
        let mut state = shared.lock();
        state.reopen = true;
        state.hurry = true;
        state.asleep = false;
        drop(state);
        shared.wake.notify_one();
    }

    /// Waits until everything handed over so far is written, or could not be, or the target has hung for `LAST_WAIT`.
    pub(super) fn flush(&self) {
        let Some(shared) = &self.shared else { return };
        let mut state = shared.lock();
        let goal = state.accepted;
        state.hurry = true;
        state.asleep = false;
        shared.wake.notify_one();
        let is_open = |state: &mut State| state.done < goal && !state.failing;
        let waited = shared.written.wait_timeout_while(state, LAST_WAIT, is_open);
        let (mut state, wait) = waited.unwrap_or_else(PoisonError::into_inner);
        state.ended |= wait.timed_out();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let Some(shared) = &self.shared else { return };
        let mut state = shared.lock();
        state.closing = true;
        shared.wake.notify_one();
        // A thread that hangs in a write cannot be joined; it ends with the process.
        let _ = shared
            .written
            .wait_timeout_while(state, LAST_WAIT, |state| !state.ended);
    }
}

/// What the thread owns.
struct Job {
    shared: Arc<Shared>,
    output: Output,
    care: Care,
    spare: Vec<u8>,
}

impl Job {
    fn run(mut self) {
        while let Some(batch) = self.next() {
            self.write(batch);
        }
        self.shared.lock().ended = true;
        self.shared.written.notify_all();
    }

    /// The lines gathered since the last time; `None` when all is written and no more will come.
    fn next(&mut self) -> Option<Batch> {
        let mut state = self.shared.lock();
        while state.buffer.is_empty() && !state.closing && !state.reopen {
            state.asleep = true;
            state = self.shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.asleep = false;
        if !state.closing && !state.hurry {
            let pause = if state.failing { RETRY } else { GATHER };
            let paused = self.shared.wake.wait_timeout(state, pause);
            state = paused.unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.closing && state.buffer.is_empty() {
            return None;
        }
        state.hurry = false;
        let lines = std::mem::take(&mut state.lines);
        let bytes = std::mem::replace(&mut state.buffer, std::mem::take(&mut self.spare));
        let reopen = std::mem::take(&mut state.reopen);
        Some(Batch { bytes, lines, reopen })
    }

    fn write(&mut self, mut batch: Batch) {
        if batch.reopen {
            self.output.reopen();
        }
        let mut from = 0;
        let failed = self.output.write(&batch.bytes, &mut from).err();
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        let first_failure = failed.is_some() && !state.failing;
        state.failing = failed.is_some();
        if failed.is_some() && self.care == Care::Careful && !state.closing {
            batch.bytes.drain(..from);
            batch.bytes.extend_from_slice(&state.buffer);
            state.buffer = std::mem::take(&mut batch.bytes);
            state.lines += batch.lines;
            state.done += from as u64;
        } else {
            state.done += batch.bytes.len() as u64;
            batch.bytes.clear();
            self.spare = batch.bytes;
            if failed.is_some() {
                shared.lost.inc_by(batch.lines);
            }
        }
        shared.written.notify_all();
        shared.progress.send_replace(Progress {
            done: state.done,
            failing: state.failing,
        });
        drop(state);
        if let Some(error) = failed.filter(|_| first_failure) {
            tracing::error!(log.target = %self.output.name(), %error, "log lines cannot be written; see that the disk has room");
        }
    }
}

struct Batch {
    bytes: Vec<u8>,
    lines: u64,
    reopen: bool,
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn open(path: &Path, care: Care) -> Writer {
        Writer::open(&LogTarget::File(path.to_owned()), care, Counter::default()).unwrap()
    }

    #[test]
    fn every_line_is_in_the_file_after_a_flush_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log/access.log");
        let writer = open(&path, Care::Plain);
        let mut expected = String::new();
        for n in 0..1000 {
            let line = format!("{n}\n");
            writer.append(line.as_bytes());
            expected += &line;
        }
        writer.flush();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    }

    #[tokio::test]
    async fn a_line_that_was_waited_for_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let writer = open(&path, Care::Careful);
        let mut expected = String::new();
        for n in 0..100 {
            let line = format!("{n}\n");
            writer.append(line.as_bytes());
            expected += &line;
            writer.written().await;
            assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn a_target_that_refuses_keeps_nobody_waiting() {
        let writer = open(Path::new("/dev/full"), Care::Careful);
        let lines = async {
            for _ in 0..100 {
                writer.append(b"never to be seen\n");
                writer.written().await;
            }
        };
        let ended = tokio::time::timeout(20 * LONGEST_WAIT, lines).await;
        assert!(ended.is_ok(), "every line was waited for");
    }

    #[test]
    fn dropping_the_writer_writes_what_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let writer = open(&path, Care::Careful);
        writer.append(b"last words\n");
        drop(writer);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "last words\n");
    }

    #[test]
    fn a_target_that_hangs_keeps_no_process_from_ending() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        // Somebody who holds it open and never reads.
        let _reader = std::fs::File::options().read(true).write(true).open(&path).unwrap();
        let writer = open(&path, Care::Careful);
        writer.append(&vec![b'x'; 1 << 20]);
        let (done, ended) = std::sync::mpsc::channel();
        thread::spawn(move || {
            writer.flush();
            drop(writer);
            done.send(()).unwrap();
        });
        ended.recv_timeout(6 * LAST_WAIT).expect("it ended");
    }

    #[test]
    fn a_file_that_was_moved_away_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
        let writer = open(&path, Care::Careful);
        writer.append(b"old\n");
        writer.flush();
        std::fs::rename(&path, &moved).unwrap();
        writer.reopen();
        writer.append(b"new\n");
        writer.flush();
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "old\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new\n");
    }

    #[test]
    fn a_full_disk_neither_blocks_nor_hides_what_was_lost() {
        let lost = Counter::default();
        let target = LogTarget::File(PathBuf::from("/dev/full"));
        let writer = Writer::open(&target, Care::Plain, lost.clone()).unwrap();
        writer.append(b"never to be seen\n");
        writer.flush();
        drop(writer);
        assert_eq!(lost.get(), 1);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let lost = Counter::default();
        let target = LogTarget::File(PathBuf::from("/dev/null"));
        let writer = Writer::open(&target, Care::Plain, lost.clone()).unwrap();
        writer.append(&vec![b'x'; Care::Plain.capacity() + 1]);
        assert_eq!(lost.get(), 1);
    }

    #[test]
    fn a_log_file_is_not_for_everybody_to_read() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        drop(open(&path, Care::Careful));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o007, 0);
    }
}
