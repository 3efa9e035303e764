//! From columns to values and back. A row that cannot be read is named by its kind and column, never by its content, and never panics.

use std::net::IpAddr;

use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};
use uuid::Uuid;

use super::ephemeral::Counted;
use crate::config::Algorithm;
use crate::model::clock::Timestamp;
use crate::model::credential::{Account, PasswordHash};
use crate::model::factor::{Factor, FactorId, FactorKind, Link};
use crate::model::session::{Amr, Generation, Session, SessionId, TokenId};
use crate::model::user::{Confirmation, Email, Epoch, Role, User, UserId};
use crate::store::accounts::StoredKey;
use crate::store::ephemeral::{Count, Revocation, Revoked};
use crate::store::outbox::Letter;
use crate::store::pair::Pair;

/// What cannot be read, without its secret parts.
pub(super) struct Unreadable(pub(super) String);

/// A value that a row holds.
pub(super) trait FromColumns: Sized + Send {
    /// Reads it.
    fn from_columns(row: &SqliteRow) -> Result<Self, Unreadable>;
}

/// A moment as a column holds it. What lies beyond the column's reach (the year 292 million) becomes its last moment.
pub(super) fn millis(moment: Timestamp) -> i64 {
    i64::try_from(moment.as_millis()).unwrap_or(i64::MAX)
}

/// An id as a column holds it: its 16 bytes, which sort like the id.
pub(super) fn bytes(id: Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

/// A counter as a column holds it; what lies beyond its reach becomes the last number it holds.
pub(super) fn count(counter: u64) -> i64 {
    i64::try_from(counter).unwrap_or(i64::MAX)
}

/// Words as a column holds them: a JSON array.
pub(super) fn words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    serde_json::Value::from_iter(words).to_string()
}

/// `kind` of a token's revocation.
pub(super) const TOKEN: i64 = 1;
/// `kind` of a session's revocation.
pub(super) const SESSION: i64 = 2;
/// `kind` of a user's revocation.
pub(super) const USER: i64 = 3;

struct Columns<'r> {
    row: &'r SqliteRow,
    kind: &'static str,
    /// What the names of these columns begin with, beside others' in one row.
    prefix: &'static str,
}

impl<'r> Columns<'r> {
    fn of(kind: &'static str, row: &'r SqliteRow) -> Self {
        Self { row, kind, prefix: "" }
    }

    /// Those of the account behind a session, in the session's row.
    fn of_owner(row: &'r SqliteRow) -> Self {
        Self {
            row,
            kind: "user",
            prefix: "owner_",
        }
    }

    fn unreadable(&self, column: &str) -> Unreadable {
        Unreadable(format!("a {} whose `{column}` cannot be read", self.kind))
    }

    /// A column's value. NULL is none: the driver alone would take it for a zero.
    fn get<T: Decode<'r, Sqlite> + Type<Sqlite>>(&self, column: &str) -> Result<T, Unreadable> {
        self.get_if_any(column)?.ok_or_else(|| self.unreadable(column))
    }

    fn get_if_any<T: Decode<'r, Sqlite> + Type<Sqlite>>(&self, column: &str) -> Result<Option<T>, Unreadable> {
        let value = match self.prefix {
            "" => self.row.try_get(column),
            prefix => self.row.try_get([prefix, column].concat().as_str()),
        };
        value.map_err(|_| self.unreadable(column))
    }

    /// A column's value, made into what it means.
    fn made<T, U>(&self, column: &str, make: impl FnOnce(T) -> Option<U>) -> Result<U, Unreadable>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        make(self.get(column)?).ok_or_else(|| self.unreadable(column))
    }

    /// The same of a column that may be NULL.
    fn made_if_any<T, U>(&self, column: &str, make: impl FnOnce(T) -> Option<U>) -> Result<Option<U>, Unreadable>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        let Some(value) = self.get_if_any(column)? else {
            return Ok(None);
        };
        make(value).map(Some).ok_or_else(|| self.unreadable(column))
    }

    fn id(&self, column: &str) -> Result<Uuid, Unreadable> {
        self.made(column, |value: &[u8]| Uuid::from_slice(value).ok())
    }

    fn moment(&self, column: &str) -> Result<Timestamp, Unreadable> {
        self.made(column, moment)
    }

    fn moment_if_any(&self, column: &str) -> Result<Option<Timestamp>, Unreadable> {
        self.made_if_any(column, moment)
    }

    fn number(&self, column: &str) -> Result<u32, Unreadable> {
        self.made(column, number)
    }

    fn words(&self, column: &str) -> Result<Vec<String>, Unreadable> {
        self.made(column, |text: &str| serde_json::from_str(text).ok())
    }
}

fn moment(value: i64) -> Option<Timestamp> {
    u64::try_from(value).ok().map(Timestamp::from_millis)
}

fn number(value: i64) -> Option<u32> {
    u32::try_from(value).ok()
}

impl FromColumns for User {
    fn from_columns(row: &SqliteRow) -> Result<Self, Unreadable> {
        user(&Columns::of("user", row))
    }
}

fn user(columns: &Columns<'_>) -> Result<User, Unreadable> {
    let roles = columns.words("roles")?;
    let roles: Result<Vec<Role>, _> = roles.iter().map(|role| role.parse()).collect();
    Ok(User {
        id: UserId(columns.id("id")?),
        // An address in another form than ours would be found by nobody.
        email: columns.made("email", |text: &str| {
            text.parse().ok().filter(|email: &Email| email.as_str() == text)
        })?,
        roles: roles.map_err(|_| columns.unreadable("roles"))?,
        created_at: columns.moment("created_at")?,
        disabled_at: columns.moment_if_any("disabled_at")?,
        epoch: Epoch(columns.number("epoch")?),
        confirmation: columns.made("confirmation", Confirmation::of_code)?,
    })
}

impl FromColumns for Account {
    fn from_columns(row: &SqliteRow) -> Result<Self, Unreadable> {
        account(&Columns::of("user", row))
    }
}

fn account(columns: &Columns<'_>) -> Result<Account, Unreadable> {
    let password = columns.get("password")?;
    Ok(Account {
        user: user(columns)?,
        password: PasswordHash::new(password),
    })
}

impl FromColumns for Pair {
    fn from_columns(row: &SqliteRow) -> Result<Self, Unreadable> {
        let owner = Columns::of_owner(row);
        let is_there = owner.get_if_any::<&[u8]>("id")?.is_some();
        let account = is_there.then(|| account(&owner)).transpose()?;
        Ok((Session::from_columns(row)?, account))
    }
}

impl FromColumns for Epoch {
    fn from_columns(row: &SqliteRow) -> Result<Self, Unreadable> {
        Columns::of("user", row).number("epoch").map(Self)
    }
}

impl FromColumns for UserId {
    fn from_columns(row: &SqliteRow) -> Result<Self, Unreadable> {
        Columns::of("factor", row).id("user_id").map(Self)
    }
}

impl FromColumns for FactorKind {
    fn from_columns(row: &SqliteRow) -> Result<Self, Unreadable> {
        Columns::of("factor", row).made("kind", Self::of_name)
    }
}

impl FromColumns for Factor {
    fn from_columns(row: &SqliteRow) -> Result<Self, Unreadable> {
        let columns = Columns::of("factor", row);
        Ok(Self {
            id: FactorId(columns.id("id")?),
            user: UserId(columns.id("user_id")?),
            kind: columns.made("kind", FactorKind::of_name)?,
            label: columns.get("label")?,
            sealed: columns.get("sealed")?,
            link: columns
                .made_if_any("link", |link: &[u8]| link.try_into().ok())?
                .map(Link),
            counter: columns.made("counter", |counter: i64| u64::try_from(counter).ok())?,
            created_at: columns.moment("created_at")?,
            used_at: columns.moment_if_any("used_at")?,
        })
    }
}

impl FromColumns for Letter {
    fn from_columns(row: &SqliteRow) -> Result<Self, Unreadable> {
        let columns = Columns::of("letter", row);
        Ok(Self {
            id: columns.id("id")?,
            sealed: columns.get("sealed")?,
            created_at: columns.moment("created_at")?,
            due_at: columns.moment("due_at")?,
            attempts: columns.number("attempts")?,
        })
    }
}

impl FromColumns for StoredKey {
    fn from_columns(row: &SqliteRow) -> Result<Self, Unreadable> {
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

impl FromColumns for Session {
    fn from_columns(row: &SqliteRow) -> Result<Self, Unreadable> {
        let columns = Columns::of("session", row);
        Ok(Self {
            id: SessionId(columns.id("id")?),
            user: UserId(columns.id("user_id")?),
            epoch: Epoch(columns.number("epoch")?),
            created_at: columns.moment("created_at")?,
            last_used_at: columns.moment("last_used_at")?,
            expires_at: columns.moment("expires_at")?,
            idle_expires_at: columns.moment("idle_expires_at")?,
            auth_time: columns.moment("auth_time")?,
            amr: columns.words("amr")?.into_iter().map(Amr).collect(),
            ip: columns.made_if_any("ip", |text: &str| text.parse::<IpAddr>().ok())?,
            user_agent: columns.get("user_agent")?,
            nonce_hash: columns.made("nonce_hash", |hash: &[u8]| hash.try_into().ok())?,
            current: Generation(columns.number("current_generation")?),
            previous: columns.made_if_any("previous_generation", number)?.map(Generation),
            rotated_at: columns.moment("rotated_at")?,
        })
    }
}

impl FromColumns for SessionId {
    fn from_columns(row: &SqliteRow) -> Result<Self, Unreadable> {
        Columns::of("session", row).id("id").map(Self)
    }
}

impl FromColumns for Revocation {
    fn from_columns(row: &SqliteRow) -> Result<Self, Unreadable> {
        let columns = Columns::of("revocation", row);
        let subject = columns.id("subject")?;
        let what = match columns.get::<i64>("kind")? {
            TOKEN => Revoked::Token(TokenId(subject)),
            SESSION => Revoked::Session(SessionId(subject)),
            USER => Revoked::User(UserId(subject), columns.moment("opened_until")?),
            _ => return Err(columns.unreadable("kind")),
        };
        let until = columns.moment("until")?;
        Ok(Self { what, until })
    }
}

impl FromColumns for Counted {
    fn from_columns(row: &SqliteRow) -> Result<Self, Unreadable> {
        let columns = Columns::of("counter", row);
        let count = Count {
            count: columns.number("count")?,
            resets_at: columns.moment("resets_at")?,
        };
        let refuses = columns.number("refuses")? == 1;
        Ok(Self { count, refuses })
    }
}

/// A row of one column, whatever it is called.
macro_rules! only_column {
    ($($value:ty),*) => {$(
        impl FromColumns for $value {
            fn from_columns(row: &SqliteRow) -> Result<Self, Unreadable> {
                row.try_get(0).map_err(|_| Unreadable("a row of an unknown kind".to_owned()))
            }
        }
    )*};
}

only_column!(i64, String, Vec<u8>);
