//! HTTP vocabulary without business: bodies, replies, cookies, where a request comes from and whether it is well-formed.

pub mod body;
pub mod cookie;
pub mod hygiene;
pub mod origin;
pub mod patience;
pub mod reply;

pub use body::Body;
