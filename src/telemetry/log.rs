//! The gateway's own log: what it does and what fails, on standard error.
//!
//! The `tracing` subscriber is the one thing in the crate that is global, because that is how `tracing` works; `app` sets it, once, and nothing else
//! does. People get compact text, collectors get one JSON object a line.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::util::SubscriberInitExt;

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is not a list of filter directives.
    #[error("log.level is not a filter: {0}")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// A subscriber is already there.
    #[error("the log is set up already")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Libraries that warn of what a client says: an address for a server name (rustls), a ping's answer that nobody asked for (h2). Whoever may
/// connect could fill the disk with it.
const PROTOCOLS: [&str; 3] = ["rustls", "h2", "hyper"];

/// Sends log lines of `level` (`info`, `info,gateward=debug`) and above to standard error: text for a terminal, JSON otherwise.
///
/// # Errors
/// A level that is no filter, and a second call in one process.
pub fn init(level: &str) -> Result<(), LogError> {
    let filter = filter(level)?;
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr);
    if io::stderr().is_terminal() {
        lines.compact().finish().try_init()?;
    } else {
        lines.json().flatten_event(true).finish().try_init()?;
    }
    Ok(())
}

/// `level`, under which protocol libraries are heard when they fail, or when they are named.
fn filter(level: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    let mut directives = level.to_owned();
    let is_named = |library| level.split(',').any(|directive| target(directive) == library);
    for library in PROTOCOLS {
        if level != "off" && !is_named(library) {
            directives.push_str(&format!(",{library}=error"));
        }
    }
    EnvFilter::try_new(directives)
}

/// Whom a directive is about: `hyper` in `hyper=debug` and `hyper[span]=debug`. `hyper_util` is another one.
fn target(directive: &str) -> &str {
    directive.split(['=', '[']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directives(level: &str) -> Vec<String> {
        let text = filter(level).unwrap().to_string();
        text.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn protocol_libraries_are_heard_when_they_fail_or_are_named() {
        for level in ["info", "info,hyper_util=debug", "info,hyper::proto=debug"] {
            let told = directives(level);
            for library in PROTOCOLS {
                assert!(told.contains(&format!("{library}=error")), "{level}: {told:?}");
            }
        }
        for level in ["info,hyper=debug", "hyper[request]=debug,hyper=debug"] {
            let told = directives(level);
            assert!(told.contains(&"hyper=debug".to_owned()), "{told:?}");
            assert!(!told.contains(&"hyper=error".to_owned()), "{told:?}");
            assert!(told.contains(&"h2=error".to_owned()), "{told:?}");
        }
        assert_eq!(directives("off"), ["off"]);
    }
}
