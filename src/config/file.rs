//! The file exactly as it is written.
