//! What is no longer good: memory in front of the store.
