//! Ending sessions.
