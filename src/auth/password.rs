//! What a password must be like, and how it is changed.
