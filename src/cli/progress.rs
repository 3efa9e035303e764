//! How a long command tells how far it is: a bar on standard error while somebody looks at it, and on standard output a line for each part that is done.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How wide the bar is.
const CELLS: u64 = 30;
/// How often it is drawn.
const EVERY: Duration = Duration::from_millis(100);

/// One part of the work.
#[derive(Debug)]
pub struct Progress {
    what: &'static str,
    done: u64,
    of: Option<u64>,
    drawn_at: Option<Instant>,
    on_terminal: bool,
}

impl Progress {
    /// Nothing of it is done yet.
    pub fn begin(what: &'static str, of: Option<u64>) -> Self {
        let mut progress = Self {
            what,
            done: 0,
            of,
            drawn_at: None,
            on_terminal: io::stderr().is_terminal(),
        };
        progress.draw();
        progress
    }

    /// So much more is done.
    pub fn advance(&mut self, by: u64) {
        self.done += by;
        if self.drawn_at.is_none_or(|at| at.elapsed() >= EVERY) {
            self.draw();
        }
    }

    /// Something to be read meanwhile.
    pub fn say(&self, line: &str) {
        self.wipe();
        println!("{line}");
    }

    /// The part is done; `line` says what came of it.
    pub fn end(self, line: &str) {
        self.say(line);
    }

    fn wipe(&self) {
        if self.on_terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn draw(&mut self) {
        if !self.on_terminal {
            return;
        }
        self.drawn_at = Some(Instant::now());
        let mut out = io::stderr();
        // A terminal that is gone is no reason to stop.
        let _ = write!(out, "\r\x1b[K{}", picture(self.what, self.done, self.of));
        let _ = out.flush();
    }
}

fn picture(what: &str, done: u64, of: Option<u64>) -> String {
    let Some(of) = of else {
        return format!("{what:<12} {done}");
    };
    // More may be found than was counted at the beginning.
    let of = of.max(done);
    let filled = (CELLS * done).checked_div(of).unwrap_or(CELLS);
    let cell = |n| if n < filled { '#' } else { '.' };
    let bar: String = (0..CELLS).map(cell).collect();
    format!("{what:<12} [{bar}] {done} of {of}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_grows_with_what_is_done_and_never_beyond_its_end() {
        assert_eq!(
            picture("accounts", 50, Some(100)),
            "accounts     [###############...............] 50 of 100"
        );
        assert_eq!(
            picture("accounts", 3, Some(2)),
            "accounts     [##############################] 3 of 3"
        );
        assert_eq!(
            picture("accounts", 0, Some(0)),
            "accounts     [##############################] 0 of 0"
        );
        assert_eq!(picture("sessions", 7, None), "sessions     7");
    }
}
