//! The binary under test as a process: started, listened to, ended.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;

/// A running gateway.
pub struct Process {
    child: Child,
    /// Standard output and standard error: a file, so that what was written before an answer is here to be read when the answer is.
    output: File,
}

impl Process {
    /// `gateward --config FILE serve`, with some more in its environment.
    #[track_caller]
    pub fn serve(config: &Path, environment: &[(&str, OsString)]) -> Self {
        let output = tempfile::tempfile().expect("a file for the output");
        // Both share one place to write at: neither overwrites the other.
        let end = || output.try_clone().expect("another handle to the output");
        let child = command(config, &["serve"])
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("the binary starts");
        Self { child, output }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, once it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the process can be asked")
    }

    /// SIGKILL, and wait.
    pub fn kill(&mut self) {
        // It may have ended by itself: that is for the test to judge.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends a signal by name.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let signal = match name {
            "HUP" => rustix::process::Signal::HUP,
            "TERM" => rustix::process::Signal::TERM,
            "STOP" => rustix::process::Signal::STOP,
            "CONT" => rustix::process::Signal::CONT,
            _ => panic!("no signal {name} here"),
        };
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.expect("a process id"), signal).expect("the signal can be sent");
    }

    /// Everything it wrote so far.
    pub fn output(&self) -> String {
        let length = self.output.metadata().expect("the output has a length").len();
        let mut bytes = vec![0; usize::try_from(length).expect("no more than memory")];
        // At a place, because reading on would move where the process writes.
        self.output
            .read_exact_at(&mut bytes, 0)
            .expect("the output is readable");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What came of a command.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Outcome {
    /// Fails unless the command succeeded.
    #[track_caller]
    pub fn done(self) -> Self {
        assert_eq!(self.code, 0, "the command failed: {self:?}");
        self
    }

    /// Fails unless the command was refused with one line that says why.
    #[track_caller]
    pub fn refused(self) -> Self {
        assert_eq!(self.code, 1, "the command was not refused: {self:?}");
        assert_eq!(self.err.trim().lines().count(), 1, "not one line of reason: {self:?}");
        self
    }

    /// Fails when the command succeeded.
    #[track_caller]
    pub fn code_is_not_0(self) -> Self {
        assert!(matches!(self.code, 1 | 2), "the command was not refused: {self:?}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("not JSON ({e}): {self:?}"))
    }
}

/// Runs a command to its end.
#[track_caller]
pub fn run(config: &Path, arguments: &[&str], input: &str) -> Outcome {
    let mut child = command(config, arguments)
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("standard input");
    // The command may end without having read it.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("the command ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    Outcome {
        code: output.status.code().unwrap_or(-1),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// The binary without anything of this machine's environment that could change what it does.
pub fn command(config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateward"));
    command.arg("--config").arg(config).args(arguments);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GATEWARD") || name == "RUST_LOG") {
        command.env_remove(name);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
