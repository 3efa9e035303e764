//! The schema, brought up to date by whichever node comes first.

use sqlx::{Executor, PgConnection, PgPool};

use super::{Fault, Unreadable};

/// Every step of the schema, oldest first; a landed script is never changed.
const MIGRATIONS: [&str; 2] = [
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_factors.sql"),
];

/// What nodes that start together take turns by: any number, as long as nobody else on the database uses it ("gateward" in ASCII).
const LOCK: i64 = 0x6761_7465_7761_7264;

/// Holds one row: how many scripts have run. Key changes lock that row too.
const VERSION_TABLE: &str =
    "CREATE TABLE IF NOT EXISTS gateward_schema (id bigint NOT NULL PRIMARY KEY, version bigint NOT NULL)";

/// Runs the scripts that have not run yet, in one transaction.
pub(super) async fn migrate(pool: &PgPool) -> Result<(), Fault> {
    run(pool).await?.map_err(|version| {
        Fault::Unreadable(Unreadable(format!(
            "the database's schema is version {version}, and this program knows versions up to {}; run the newer program",
            MIGRATIONS.len()
        )))
    })
}

/// A version that is not ours is the inner error.
async fn run(pool: &PgPool) -> Result<Result<(), i64>, sqlx::Error> {
    let mut change = pool.begin().await?;
    // Waiting for another node's migration may take longer than a statement usually may.
    change.execute("SET LOCAL statement_timeout = 0").await?;
    change.execute("SET LOCAL lock_timeout = 0").await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(&mut *change)
        .await?;
    change.execute(VERSION_TABLE).await?;
    let version = version(&mut change).await?;
    let Some(done) = usize::try_from(version).ok().filter(|done| *done <= MIGRATIONS.len()) else {
        return Ok(Err(version));
    };
    for script in MIGRATIONS.iter().skip(done) {
        sqlx::raw_sql(*script).execute(&mut *change).await?;
    }
    let now = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let set = "INSERT INTO gateward_schema (id, version) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET version = $1";
    if version != now {
        sqlx::query(set).bind(now).execute(&mut *change).await?;
    }
    change.commit().await?;
    Ok(Ok(()))
}

async fn version(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    let found = sqlx::query_scalar("SELECT version FROM gateward_schema WHERE id = 1");
    Ok(found.fetch_optional(connection).await?.unwrap_or(0))
}
