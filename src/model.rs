//! Ground floor: plain values that every room speaks in. No I/O, no async, no HTTP.
//!
//! A value that could be mistaken for another has a type of its own, and past the edge it is valid by
//! construction: there is `Email`, never `&str`.

pub mod caller;
pub mod clock;
pub mod credential;
pub mod factor;
pub mod identity;
pub mod presence;
pub mod priority;
pub mod proof;
pub mod seal;
pub mod secret;
pub mod session;
pub mod user;
pub mod vouched;
