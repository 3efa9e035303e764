//! A connection lent to one call. Only what came to its end goes back to the pool.
//!
//! A call that ran into its limit leaves a connection in the middle of something. The pool would ask it whether it is still good, without any limit, and
//! keep its place taken meanwhile: a server that went silent would have them all. So such a connection is closed instead.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres};

/// The connection, until it is given back or dropped.
pub(super) struct Loan {
    connection: PoolConnection<Postgres>,
    is_done: bool,
}

impl Loan {
    pub(super) fn of(connection: PoolConnection<Postgres>) -> Self {
        let is_done = false;
        Self { connection, is_done }
    }

    /// Nothing is under way on it any more.
    pub(super) fn give_back(mut self) {
        self.is_done = true;
    }
}

impl Deref for Loan {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if !self.is_done {
            self.connection.close_on_drop();
        }
    }
}
