//! The gateway as people in browsers meet it: a real Chromium, driven through WebDriver, one promise a test.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod appearance;
mod cors;
mod driver;
mod forgery;
mod journey;
mod kept;
mod letters;
mod passkeys;
mod provider;
mod return_to;
mod second_factor;
mod site;
#[path = "../it"]
#[allow(
    dead_code,
    reason = "world and servers belong to the black-box tests; only a part of it is needed here"
)]
mod it {
    pub mod servers;
    pub mod world;
}

use it::world;
