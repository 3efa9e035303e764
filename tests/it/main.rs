//! The gateway from outside: the real binary, real sockets, one promise a file.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod audit;
mod command_line;
mod config;
mod early_refusal;
mod failure;
mod federation;
mod hashing;
mod header_boundary;
mod hostile;
mod importing;
mod letters;
mod moving;
mod openapi;
mod outliving;
mod passkeys;
mod proxy_protocol;
mod readme;
mod refresh;
mod renewal;
mod rest;
mod revocation;
mod second_factor;
mod secrets;
mod security_table;
mod server;
mod servers;
mod shared;
mod sign_in;
mod staying;
mod store_contract;
mod tokens;
mod two_gateways;
mod upstream;
mod world;
