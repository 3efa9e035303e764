//! Listen, accept, serve, drain.
