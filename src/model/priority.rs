//! Who goes first when there is not CPU enough for everybody: requests on their way through, then what the gateway answers itself, then passwords.
//!
//! Threads of the data plane keep the priority that the process was started with; the others step back behind them, which needs no privilege. Nobody
//! starves by it: on a core that is fully busy with requests the control plane still has a tenth of it, and each hashing thread a thirtieth. Less of a step
//! would not do: with half of it, a data thread that wakes up was often left waiting until the others had used up their turn.

/// A kind of thread that steps back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// The control plane, and the threads that it starts: its stores'.
    Control,
    /// Password hashing.
    Hashing,
}

impl Priority {
    /// By how much (`nice`, setpriority(2)).
    const fn niceness(self) -> i32 {
        match self {
            Self::Control => 10,
            Self::Hashing => 15,
        }
    }

    /// Gives the calling thread this priority. On Linux the call without an id concerns the calling thread alone; elsewhere it would lower the whole
    /// process. Best effort: a sandbox may forbid it, and everything works without.
    #[cfg(target_os = "linux")]
    pub fn take(self) {
        let _ = rustix::process::setpriority_process(None, self.niceness());
    }

    /// Nothing here, where priorities are the whole process's.
    #[cfg(not(target_os = "linux"))]
    pub fn take(self) {
        let _ = self.niceness();
    }
}
