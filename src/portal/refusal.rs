//! Refusals: `AuthError` becomes a status and public words, in one match.
