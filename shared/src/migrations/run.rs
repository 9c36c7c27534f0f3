//! Applies and reverts migrations.

use tokio_postgres::error::ErrorPosition;
use tokio_postgres::{Client, Error};

use super::embedded::{MIGRATIONS, Migration, find};
use super::error::MigrationError;
use super::status::{State, status_with};

/// The key of the advisory lock that makes concurrent runs wait for each other: `tessera` in ASCII.
const LOCK_KEY: i64 = 0x0074_6573_7365_7261;

/// The SQLSTATE that a migration raises if it has already been applied or reverted, by another run or because its first
/// message did arrive. SQLSTATE classes that begin with `I` to `Z` are not reserved by the SQL standard or PostgreSQL.
const ALREADY_DONE: &str = "TSR01";

/// Applies every pending migration, oldest first, and returns those that this call applied.
pub async fn up(client: &Client) -> Result<Vec<Migration>, MigrationError> {
    up_with(client, MIGRATIONS).await
}

/// Reverts the `steps` newest applied migrations, newest first, and returns those that this call reverted.
pub async fn down(client: &Client, steps: usize) -> Result<Vec<Migration>, MigrationError> {
    down_with(client, MIGRATIONS, steps).await
}

/// [`up`] over another list than [`MIGRATIONS`].
pub async fn up_with(client: &Client, migrations: &[Migration]) -> Result<Vec<Migration>, MigrationError> {
    let status = status_with(client, migrations).await?;
    if let Some(changed) = status.iter().find(|status| status.state == State::Changed) {
        return Err(MigrationError::Changed(changed.name.clone()));
    }
    let is_pending = |migration: &&Migration| {
        status.iter().any(|status| status.version == migration.version && status.state == State::Pending)
    };
    let mut applied = Vec::new();
    for migration in migrations.iter().filter(is_pending) {
        let file = format!("{}.up.sql", migration.name);
        if run(client, &file, &record_applied(migration), migration.up).await? {
            applied.push(*migration);
        }
    }
    Ok(applied)
}

/// [`down`] over another list than [`MIGRATIONS`].
pub async fn down_with(
    client: &Client,
    migrations: &[Migration],
    steps: usize,
) -> Result<Vec<Migration>, MigrationError> {
    let status = status_with(client, migrations).await?;
    let mut reverted = Vec::new();
    for status in status.iter().rev().filter(|status| status.state != State::Pending).take(steps) {
        let Some(migration) = find(migrations, status.version) else {
            return Err(MigrationError::Unknown(status.name.clone()));
        };
        let file = format!("{}.down.sql", migration.name);
        if run(client, &file, &record_reverted(migration), migration.down).await? {
            reverted.push(*migration);
        }
    }
    Ok(reverted)
}

/// Sends one migration as one message; `false` if it had already been applied or reverted.
async fn run(client: &Client, file: &str, record: &str, sql: &str) -> Result<bool, MigrationError> {
    let preamble = preamble(record);
    match client.batch_execute(&format!("{preamble}{sql}")).await {
        Ok(()) => Ok(true),
        Err(error) if error.code().is_some_and(|code| code.code() == ALREADY_DONE) => Ok(false),
        Err(source) => {
            let line = line_of(&source, &preamble, sql);
            Err(MigrationError::Failed { file: file.to_owned(), line, source })
        }
    }
}

/// The SQL that precedes every migration, in the same message and therefore in the same transaction.
///
/// The isolation level is READ COMMITTED whatever the database's default is, since what follows the lock must see what
/// its last holder committed. A `statement_timeout` would stop a long migration; the `lock_timeout` keeps a migration
/// that waits for a busy table from holding up everybody who queues behind it. All settings end with the transaction.
fn preamble(record: &str) -> String {
    format!(
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;
SET LOCAL statement_timeout = 0;
SELECT pg_advisory_xact_lock({LOCK_KEY});
SET LOCAL lock_timeout = '10s';
SET LOCAL client_min_messages = warning;
CREATE TABLE IF NOT EXISTS tessera_migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
{record}
"
    )
}

fn record_applied(migration: &Migration) -> String {
    let Migration { version, name, .. } = migration;
    let checksum = migration.checksum();
    format!(
        "DO $record$ BEGIN
    INSERT INTO tessera_migrations (version, name, checksum) VALUES ({version}, '{name}', '{checksum}');
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION 'already applied' USING ERRCODE = '{ALREADY_DONE}';
END $record$;"
    )
}

fn record_reverted(migration: &Migration) -> String {
    let version = migration.version;
    format!(
        "DO $record$ BEGIN
    DELETE FROM tessera_migrations WHERE version = {version};
    IF NOT FOUND THEN RAISE EXCEPTION 'already reverted' USING ERRCODE = '{ALREADY_DONE}'; END IF;
END $record$;"
    )
}

/// The line of the migration's file that PostgreSQL points at. PostgreSQL counts positions in characters of the whole
/// message.
fn line_of(error: &Error, preamble: &str, sql: &str) -> Option<usize> {
    let Some(ErrorPosition::Original(position)) = error.as_db_error()?.position() else { return None };
    let before = usize::try_from(*position).ok()?.checked_sub(preamble.chars().count() + 1)?;
    Some(sql.chars().take(before).filter(|&character| character == '\n').count() + 1)
}
