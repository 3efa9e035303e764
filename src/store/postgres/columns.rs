//! From columns to values and back. A row that cannot be read is named by its kind and column, never by its content, and never panics.

use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row, Type};
use uuid::Uuid;

use crate::config::Algorithm;
use crate::model::clock::Timestamp;
use crate::model::credential::{Account, PasswordHash};
use crate::model::user::{Email, Epoch, Role, User, UserId};
use crate::store::accounts::StoredKey;

/// What cannot be read, without its secret parts.
pub(super) struct Unreadable(pub(super) String);

/// A value that a row holds.
pub(super) trait FromColumns: Sized + Send {
    /// Reads it.
    fn from_columns(row: &PgRow) -> Result<Self, Unreadable>;
}

/// A moment as a column holds it. What lies beyond the column's reach (the year 292 million) becomes its last moment.
pub(super) fn millis(moment: Timestamp) -> i64 {
    i64::try_from(moment.as_millis()).unwrap_or(i64::MAX)
}

/// An id as statements take it: `$1::uuid`.
pub(super) fn text(id: UserId) -> String {
    id.0.hyphenated().to_string()
}

struct Columns<'r> {
    row: &'r PgRow,
    kind: &'static str,
}

impl<'r> Columns<'r> {
    fn of(kind: &'static str, row: &'r PgRow) -> Self {
        Self { row, kind }
    }

    fn unreadable(&self, column: &str) -> Unreadable {
        Unreadable(format!("a {} whose `{column}` cannot be read", self.kind))
    }

    fn get<T: Decode<'r, Postgres> + Type<Postgres>>(&self, column: &str) -> Result<T, Unreadable> {
        self.row.try_get(column).map_err(|_| self.unreadable(column))
    }

    /// A column's value, made into what it means.
    fn made<T, U>(&self, column: &str, make: impl FnOnce(T) -> Option<U>) -> Result<U, Unreadable>
    where
        T: Decode<'r, Postgres> + Type<Postgres>,
    {
        make(self.get(column)?).ok_or_else(|| self.unreadable(column))
    }

    fn moment(&self, column: &str) -> Result<Timestamp, Unreadable> {
        self.made(column, moment)
    }

    fn moment_if_any(&self, column: &str) -> Result<Option<Timestamp>, Unreadable> {
        let Some(value) = self.get::<Option<i64>>(column)? else {
            return Ok(None);
        };
        moment(value).map(Some).ok_or_else(|| self.unreadable(column))
    }
}

fn moment(value: i64) -> Option<Timestamp> {
    u64::try_from(value).ok().map(Timestamp::from_millis)
}

impl FromColumns for UserId {
    fn from_columns(row: &PgRow) -> Result<Self, Unreadable> {
        let id = |text: &str| Uuid::parse_str(text).ok().map(Self);
        Columns::of("user", row).made("id", id)
    }
}

impl FromColumns for User {
    fn from_columns(row: &PgRow) -> Result<Self, Unreadable> {
        let columns = Columns::of("user", row);
        let roles: Vec<String> = columns.get("roles")?;
        let roles: Result<Vec<Role>, _> = roles.iter().map(|role| role.parse()).collect();
        Ok(Self {
            id: UserId::from_columns(row)?,
            // An address in another form than ours would be found by nobody.
            email: columns.made("email", |text: &str| {
                text.parse().ok().filter(|email: &Email| email.as_str() == text)
            })?,
            roles: roles.map_err(|_| columns.unreadable("roles"))?,
            created_at: columns.moment("created_at")?,
            disabled_at: columns.moment_if_any("disabled_at")?,
            epoch: Epoch::from_columns(row)?,
        })
    }
}

impl FromColumns for Account {
    fn from_columns(row: &PgRow) -> Result<Self, Unreadable> {
        let password = Columns::of("user", row).get("password")?;
        Ok(Self {
            user: User::from_columns(row)?,
            password: PasswordHash::new(password),
        })
    }
}

impl FromColumns for Email {
    fn from_columns(row: &PgRow) -> Result<Self, Unreadable> {
        Columns::of("user", row).made("email", |text: &str| text.parse().ok())
    }
}

impl FromColumns for Epoch {
    fn from_columns(row: &PgRow) -> Result<Self, Unreadable> {
        let epoch = |value: i64| u32::try_from(value).ok().map(Self);
        Columns::of("user", row).made("epoch", epoch)
    }
}

impl FromColumns for StoredKey {
    fn from_columns(row: &PgRow) -> Result<Self, Unreadable> {
        let columns = Columns::of("signing key", row);
        Ok(Self {
            kid: columns.get("kid")?,
            algorithm: columns.made("algorithm", algorithm)?,
            sealed: columns.get("sealed")?,
            created_at: columns.moment("created_at")?,
            active_from: columns.moment("active_from")?,
            retires_at: columns.moment_if_any("retires_at")?,
            revoked_at: columns.moment_if_any("revoked_at")?,
        })
    }
}

fn algorithm(name: &str) -> Option<Algorithm> {
    [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa]
        .into_iter()
        .find(|algorithm| algorithm.name() == name)
}

/// The answer to `SELECT count(*)`.
impl FromColumns for i64 {
    fn from_columns(row: &PgRow) -> Result<Self, Unreadable> {
        Columns::of("number", row).get("count")
    }
}

/// The name of a key, where it is all that was asked for.
impl FromColumns for String {
    fn from_columns(row: &PgRow) -> Result<Self, Unreadable> {
        Columns::of("signing key", row).get("kid")
    }
}
