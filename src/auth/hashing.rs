//! The hashing pool: a bounded number of low-priority threads, each with one Argon2 memory block of its own, so that a flood of logins costs a fixed share.

/// The pool. Its memory is threads × m, whatever comes.
#[derive(Debug)]
pub struct Hasher {}
