//! Sends a request on and streams the answer back.
