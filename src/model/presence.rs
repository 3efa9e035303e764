//! Whether whoever asked still waits for the answer.
//!
//! What a request began goes on when its client leaves: half of a change would be worse than all of it. But work that is only for the answer, and has not
//! begun, need not be done.

use std::sync::{Arc, Weak};

/// Held for as long as a client waits.
#[derive(Debug, Default)]
pub struct Wait(Arc<()>);

impl Wait {
    /// For those who do the work.
    pub fn presence(&self) -> Presence {
        Presence(Some(Arc::downgrade(&self.0)))
    }
}

/// The client, as those see it who work for it. By default it stays.
#[derive(Clone, Debug, Default)]
pub struct Presence(Option<Weak<()>>);

impl Presence {
    /// Whether it has left.
    pub fn is_over(&self) -> bool {
        self.0.as_ref().is_some_and(|wait| wait.strong_count() == 0)
    }
}

/// Nobody is another for having left.
impl PartialEq for Presence {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Presence {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_there_until_its_wait_is_dropped() {
        let wait = Wait::default();
        let presence = wait.presence();
        assert!(!presence.is_over());
        drop(wait);
        assert!(presence.is_over());
        assert!(!Presence::default().is_over());
    }
}
