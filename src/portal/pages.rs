//! The HTML face.

pub mod accent;
pub mod device;
pub mod look;
pub mod view;
