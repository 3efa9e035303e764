//! The header boundary.
