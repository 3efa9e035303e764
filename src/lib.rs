//! Gateward: a gateway that stands in front of existing backends, signs people in and tells upstreams who is calling.
//!
//! | room | what it is | may import |
//! |---|---|---|
//! | [`model`] | plain values | nothing of ours |
//! | [`config`] | `gateway.toml`, checked | model |
//! | [`telemetry`] | logs and metrics | model, config |
//! | [`wire`] | HTTP vocabulary without business | model, config |
//! | [`store`] | the promises stores make, and who keeps them | model, config, telemetry |
//! | [`mail`] | letters to people, and who carries them | model, config, telemetry, store |
//! | [`token`] | issue, verify, revoke | model, config, telemetry, store |
//! | [`auth`] | the rules of accounts and sign-in | model, config, telemetry, store, mail, token |
//! | [`provider`] | other people's sign-in, asked over OpenID Connect | model, config, wire, token |
//! | [`portal`] | our own site | model, config, telemetry, wire, token, auth, provider |
//! | [`proxy`] | other people's sites | model, config, telemetry, wire, token |
//! | [`gateway`] | one request, from arrival to answer: read this first | model, config, telemetry, wire, portal, proxy |
//! | [`server`] | listen, accept, serve, drain | model, config, telemetry, wire, gateway |
//! | [`app`] | wiring | every room above |
//! | [`cli`] | the commands | app, and what commands speak in: model, config, telemetry, store, mail, token, auth |
//!
//! `tests/layers.rs` holds this table and fails on any other import.

pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod gateway;
pub mod mail;
pub mod model;
pub mod portal;
pub mod provider;
pub mod proxy;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod token;
pub mod wire;
