//! `builtin:whoami`: shows what an upstream is told.
