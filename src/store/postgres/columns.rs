//! From columns to values and back. A row that cannot be read is named by its kind and column, never by its content, and never panics.

use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row, Type};
use uuid::Uuid;

use crate::config::Algorithm;
use crate::model::clock::Timestamp;
use crate::model::credential::{Account, PasswordHash};
use crate::model::factor::{Factor, FactorId, FactorKind, Link};
use crate::model::user::{Confirmation, Email, Epoch, Role, User, UserId};
use crate::store::accounts::StoredKey;
use crate::store::outbox::Letter;

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

/// A counter as a column holds it; what lies beyond its reach becomes the last number it holds.
pub(super) fn count(counter: u64) -> i64 {
    i64::try_from(counter).unwrap_or(i64::MAX)
}

/// A user's id as statements take it: `$1::uuid`.
pub(super) fn text(id: UserId) -> String {
    id_text(id.0)
}

/// An id as statements take it: `$1::uuid`.
pub(super) fn id_text(id: Uuid) -> String {
    id.hyphenated().to_string()
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

    fn id(&self, column: &str) -> Result<Uuid, Unreadable> {
        self.made(column, |text: &str| Uuid::parse_str(text).ok())
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
        Columns::of("user", row).id("id").map(Self)
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
            confirmation: columns.made("confirmation", Confirmation::of_code)?,
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

impl FromColumns for FactorKind {
    fn from_columns(row: &PgRow) -> Result<Self, Unreadable> {
        Columns::of("factor", row).made("kind", Self::of_name)
    }
}

impl FromColumns for Factor {
    fn from_columns(row: &PgRow) -> Result<Self, Unreadable> {
        let columns = Columns::of("factor", row);
        Ok(Self {
            id: FactorId(columns.id("id")?),
            user: UserId(columns.id("user_id")?),
            kind: columns.made("kind", FactorKind::of_name)?,
            label: columns.get("label")?,
            sealed: columns.get("sealed")?,
            link: LinkOf::from_columns(row)?.0,
            counter: columns.made("counter", |counter: i64| u64::try_from(counter).ok())?,
            created_at: columns.moment("created_at")?,
            used_at: columns.moment_if_any("used_at")?,
        })
    }
}

/// The link of a factor, if it has one.
pub(super) struct LinkOf(pub(super) Option<Link>);

impl FromColumns for LinkOf {
    fn from_columns(row: &PgRow) -> Result<Self, Unreadable> {
        let columns = Columns::of("factor", row);
        let Some(link) = columns.get::<Option<&[u8]>>("link")? else {
            return Ok(Self(None));
        };
        let link = link.try_into().map_err(|_| columns.unreadable("link"))?;
        Ok(Self(Some(Link(link))))
    }
}

impl FromColumns for Letter {
    fn from_columns(row: &PgRow) -> Result<Self, Unreadable> {
        let columns = Columns::of("letter", row);
        Ok(Self {
            id: columns.id("id")?,
            sealed: columns.get("sealed")?,
            created_at: columns.moment("created_at")?,
            due_at: columns.moment("due_at")?,
            attempts: columns.made("attempts", |attempts: i64| u32::try_from(attempts).ok())?,
        })
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
