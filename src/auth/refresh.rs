//! A refresh token becomes its successor.
