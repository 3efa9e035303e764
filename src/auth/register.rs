//! Making an account.
