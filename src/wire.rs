//! HTTP vocabulary without business: bodies, replies, cookies, where a request comes from, who made it, and whether it is well-formed.

pub mod body;
pub mod cookie;
pub mod cors;
pub mod hygiene;
pub mod navigation;
pub mod origin;
pub mod patience;
pub mod reply;
pub mod site;
pub mod step_up;
pub mod trust;

pub use body::{Body, Permission};
