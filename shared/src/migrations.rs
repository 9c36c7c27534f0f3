//! The database's schema, embedded: `up`, `down` and `status`.
//!
//! A migration is **one simple-query message**, which PostgreSQL runs as one implicit transaction
//! (<https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT>): it takes a
//! transaction-level advisory lock, notes its version, and runs its SQL. So two runners at once are safe, a
//! crash leaves nothing half done, a transaction pooler may stand in between, and a migration whose answer was
//! lost may be sent again. A migration must therefore hold no `BEGIN`, `COMMIT` or `CONCURRENTLY`.
//!
//! This is our own code because refinery cannot go down, and sqlx would bring a second driver with its own
//! TLS. Next to `tessera-postgres` this is the only module that talks to tokio-postgres.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tessera_postgres::{Diagnosis, Phase};
use tokio_postgres::{Client, error::ErrorPosition};

/// Embeds `shared/migrations/NAME.up.sql` and its `.down.sql`; the name starts with the version, in four digits.
macro_rules! migration {
    ($version:literal, $name:literal) => {
        Migration {
            version: $version,
            name: $name,
            up: include_str!(concat!("../migrations/", $name, ".up.sql")),
            down: include_str!(concat!("../migrations/", $name, ".down.sql")),
        }
    };
}

/// Every migration of this release, oldest first.
pub const MIGRATIONS: &[Migration] = &[migration!(1, "0001_codes"), migration!(2, "0002_webhooks")];

/// ASCII `tessera`: the advisory lock that runners wait for.
const LOCK: i64 = 0x0074_6573_7365_7261;

/// Raised by a migration that finds itself already done, by another runner or by its own first sending.
/// PostgreSQL leaves classes that start with `I` to `Z` to users.
const ALREADY_DONE: &str = "TSR01";

/// One step of the schema, and the way back.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Counts from 1 without gaps.
    pub version: i32,
    /// The name of its files, version included: `0001_codes`.
    pub name: &'static str,
    /// The SQL that applies it.
    pub up: &'static str,
    /// The SQL that reverts it.
    pub down: &'static str,
}

/// Where one migration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// In the database as this release has it.
    Applied,
    /// Not in the database yet.
    Pending,
    /// In the database, but not part of this release: a newer one applied it.
    Unknown,
    /// In the database, but its SQL was different then.
    Changed,
}

/// One line of [`status`].
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The migration's version.
    pub version: i32,
    /// The migration's name.
    pub name: String,
    /// Where it stands.
    pub state: State,
    /// When it was applied, by the database's clock.
    pub applied_at: Option<Timestamp>,
}

/// What can go wrong. For operators: the source carries PostgreSQL's own message.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The applied migrations could not be read.
    #[error("the applied migrations could not be read")]
    Read(#[source] tokio_postgres::Error),
    /// PostgreSQL refused a migration; nothing of it remains.
    #[error("migration {file} failed{}", .line.map(|line| format!(" at line {line}")).unwrap_or_default())]
    Failed {
        /// The migration's file name.
        file: String,
        /// The line of that file PostgreSQL points at.
        line: Option<usize>,
        /// PostgreSQL's answer.
        #[source]
        source: tokio_postgres::Error,
    },
    /// An applied migration was edited afterwards.
    #[error(
        "migration {0} was edited after it was applied; revert it with `migrate down`, or restore its text"
    )]
    Changed(String),
    /// The newest applied migration belongs to a newer release, which alone knows how to revert it.
    #[error("migration {0} was applied by a newer release; revert it with that release")]
    Unknown(String),
}

/// Applies every pending migration, oldest first, and returns those that this call applied.
pub async fn up(client: &Client) -> Result<Vec<Migration>, MigrationError> {
    up_with(client, MIGRATIONS).await
}

/// Reverts the `steps` newest applied migrations, newest first, and returns those that this call reverted.
pub async fn down(client: &Client, steps: usize) -> Result<Vec<Migration>, MigrationError> {
    down_with(client, MIGRATIONS, steps).await
}

/// Lists every migration that this release or the database knows, oldest first.
pub async fn status(client: &Client) -> Result<Vec<Status>, MigrationError> {
    status_with(client, MIGRATIONS).await
}

/// [`up`] over another list than [`MIGRATIONS`].
pub async fn up_with(client: &Client, migrations: &[Migration]) -> Result<Vec<Migration>, MigrationError> {
    let status = status_with(client, migrations).await?;
    if let Some(changed) = status.iter().find(|status| status.state == State::Changed) {
        return Err(MigrationError::Changed(changed.name.clone()));
    }
    let is_pending = |migration: &&Migration| {
        status.iter().any(|line| line.version == migration.version && line.state == State::Pending)
    };
    let mut done = Vec::new();
    for migration in migrations.iter().filter(is_pending) {
        let file = format!("{}.up.sql", migration.name);
        if run(client, &file, &note_applied(migration), migration.up).await? {
            done.push(*migration);
        }
    }
    Ok(done)
}

/// [`down`] over another list than [`MIGRATIONS`].
pub async fn down_with(
    client: &Client,
    migrations: &[Migration],
    steps: usize,
) -> Result<Vec<Migration>, MigrationError> {
    let status = status_with(client, migrations).await?;
    let mut done = Vec::new();
    for status in status.iter().rev().filter(|status| status.state != State::Pending).take(steps) {
        let Some(migration) = find(migrations, status.version) else {
            return Err(MigrationError::Unknown(status.name.clone()));
        };
        let file = format!("{}.down.sql", migration.name);
        if run(client, &file, &note_reverted(migration), migration.down).await? {
            done.push(*migration);
        }
    }
    Ok(done)
}

/// [`status`] over another list than [`MIGRATIONS`].
pub async fn status_with(client: &Client, migrations: &[Migration]) -> Result<Vec<Status>, MigrationError> {
    let applied = applied(client).await?;
    let mut lines: Vec<Status> = applied
        .iter()
        .map(|row| {
            let state = match find(migrations, row.version) {
                None => State::Unknown,
                Some(migration) if checksum(migration) != row.checksum => State::Changed,
                Some(_) => State::Applied,
            };
            Status { version: row.version, name: row.name.clone(), state, applied_at: Some(row.at) }
        })
        .collect();
    let is_pending = |migration: &&Migration| applied.iter().all(|row| row.version != migration.version);
    lines.extend(migrations.iter().filter(is_pending).map(|migration| Status {
        version: migration.version,
        name: migration.name.to_owned(),
        state: State::Pending,
        applied_at: None,
    }));
    lines.sort_by_key(|status| status.version);
    Ok(lines)
}

/// A row of `tessera_migrations`.
struct Applied {
    version: i32,
    name: String,
    checksum: String,
    at: Timestamp,
}

async fn applied(client: &Client) -> Result<Vec<Applied>, MigrationError> {
    let sql = "SELECT version, name, checksum, applied_at FROM tessera_migrations ORDER BY version";
    match client.query_typed(sql, &[]).await {
        Ok(rows) => Ok(rows
            .iter()
            .map(|row| Applied {
                version: row.get("version"),
                name: row.get("name"),
                checksum: row.get("checksum"),
                at: row.get("applied_at"),
            })
            .collect()),
        Err(error) if Diagnosis::from_driver(&error, Phase::Run) == Diagnosis::Schema => Ok(Vec::new()),
        Err(error) => Err(MigrationError::Read(error)),
    }
}

/// Sends one migration as one message. False when it was already done.
async fn run(client: &Client, file: &str, note: &str, sql: &str) -> Result<bool, MigrationError> {
    let preamble = preamble(note);
    match client.batch_execute(&format!("{preamble}{sql}")).await {
        Ok(()) => Ok(true),
        Err(error) if error.code().is_some_and(|code| code.code() == ALREADY_DONE) => Ok(false),
        Err(source) => {
            let line = line_of(&source, &preamble, sql);
            Err(MigrationError::Failed { file: file.to_owned(), line, source })
        }
    }
}

/// What precedes the SQL of every migration, in the same message and so in the same transaction.
///
/// READ COMMITTED, whatever the database's default is: what follows the lock must see what its last holder
/// committed. `statement_timeout` would end a long migration half way; `lock_timeout` keeps one that waits for
/// a busy table from holding up everybody behind it. Both end with the transaction.
fn preamble(note: &str) -> String {
    format!(
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;
SET LOCAL statement_timeout = 0;
SELECT pg_advisory_xact_lock({LOCK});
SET LOCAL lock_timeout = '10s';
SET LOCAL client_min_messages = warning;
CREATE TABLE IF NOT EXISTS tessera_migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
{note}
"
    )
}

fn note_applied(migration: &Migration) -> String {
    let Migration { version, name, .. } = migration;
    let checksum = checksum(migration);
    format!(
        "DO $note$ BEGIN
    INSERT INTO tessera_migrations (version, name, checksum) VALUES ({version}, '{name}', '{checksum}');
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION 'already applied' USING ERRCODE = '{ALREADY_DONE}';
END $note$;"
    )
}

fn note_reverted(migration: &Migration) -> String {
    let version = migration.version;
    format!(
        "DO $note$ BEGIN
    DELETE FROM tessera_migrations WHERE version = {version};
    IF NOT FOUND THEN RAISE EXCEPTION 'already reverted' USING ERRCODE = '{ALREADY_DONE}'; END IF;
END $note$;"
    )
}

/// SHA-256 of the SQL that applies the migration, in hex.
fn checksum(migration: &Migration) -> String {
    hex::encode(Sha256::digest(migration.up))
}

fn find(migrations: &[Migration], version: i32) -> Option<&Migration> {
    migrations.iter().find(|migration| migration.version == version)
}

/// The line of the migration's file that PostgreSQL points at. Its positions count characters of the message.
fn line_of(error: &tokio_postgres::Error, preamble: &str, sql: &str) -> Option<usize> {
    let Some(ErrorPosition::Original(position)) = error.as_db_error()?.position() else { return None };
    let before = usize::try_from(*position).ok()?.checked_sub(preamble.chars().count() + 1)?;
    Some(sql.chars().take(before).filter(|&character| character == '\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_embedded_with_its_way_back() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let in_folder: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "sql"))
            .collect();
        let embedded: BTreeSet<String> = MIGRATIONS
            .iter()
            .flat_map(|migration| ["up", "down"].map(|way| format!("{}.{way}.sql", migration.name)))
            .collect();
        assert_eq!(in_folder, embedded, "a file is missing, or a `migration!` line in MIGRATIONS");
    }

    #[test]
    fn versions_count_from_one_and_begin_the_name() {
        for (migration, version) in MIGRATIONS.iter().zip(1..) {
            assert_eq!(migration.version, version, "{}", migration.name);
            assert!(migration.name.starts_with(&format!("{version:04}_")), "{}", migration.name);
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(migration.name.chars().all(is_plain), "{} goes into SQL as it is", migration.name);
        }
    }

    #[test]
    fn no_migration_leaves_its_transaction() {
        for migration in MIGRATIONS {
            for statement in migration.up.split(';').chain(migration.down.split(';')) {
                let code = statement.lines().filter(|line| !line.trim_start().starts_with("--"));
                let words: Vec<&str> = code.flat_map(str::split_whitespace).collect();
                let words = words.join(" ").to_ascii_uppercase();
                let leaves = ["BEGIN", "BEGIN TRANSACTION", "START TRANSACTION", "COMMIT", "ROLLBACK"];
                assert!(!leaves.contains(&words.as_str()), "{}: {words}", migration.name);
                assert!(!words.contains(" CONCURRENTLY"), "{}: {words}", migration.name);
            }
        }
    }
}
