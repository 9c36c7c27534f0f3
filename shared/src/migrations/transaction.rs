//! A step as one transaction, which is tried again while somebody else holds what it needs.

use tessera_postgres::Deadline;
use tessera_postgres::retry::Backoff;
use tokio_postgres::error::ErrorPosition;
use tokio_postgres::{Client, Error};

use super::error::MigrationError;
use super::step::{ALREADY_DONE, Step};

/// The key of the advisory lock that lets one runner at a time change the schema: `tessera` in ASCII.
pub(super) const LOCK_KEY: i64 = 0x0074_6573_7365_7261;

/// The SQLSTATEs after which a step may succeed later, `lock_not_available` and `deadlock_detected`. Nothing of it
/// remains, and the session is as it was.
const TRY_AGAIN: [&str; 2] = ["55P03", "40P01"];

/// How long a step waits for a lock. Whoever comes after it for the same table waits behind it, and so no longer.
const LOCK_TIMEOUT: &str = "1500ms";

/// Takes the step as one message, which PostgreSQL runs as one transaction; `false` if it had already been taken.
pub(super) async fn run(client: &Client, step: &Step, deadline: Deadline) -> Result<bool, MigrationError> {
    let preamble = preamble(&step.record);
    match send_until_free(client, &step.file, &format!("{preamble}{}", step.sql), deadline).await {
        Ok(()) => Ok(true),
        Err(error) if error.code().is_some_and(|code| code.code() == ALREADY_DONE) => Ok(false),
        Err(source) => {
            let line = line_of(&source, &preamble, step.sql);
            Err(MigrationError::Failed { file: step.file.clone(), line, source })
        }
    }
}

/// Sends a message, and sends it again while another transaction or another runner holds what it needs, until
/// `deadline`. Between the tries, whoever waited behind it has its turn.
pub(super) async fn send_until_free(
    client: &Client,
    file: &str,
    message: &str,
    deadline: Deadline,
) -> Result<(), Error> {
    let mut backoff = Backoff::default();
    loop {
        let Err(error) = client.batch_execute(message).await else { return Ok(()) };
        let wait = backoff.next_wait();
        if !may_succeed_later(&error) || wait >= deadline.left() {
            return Err(error);
        }
        let reason = error.as_db_error().map(|error| error.message().to_owned());
        tracing::warn!(migration = file, reason, "migrations: somebody else holds a lock; trying again");
        tokio::time::sleep(wait).await;
    }
}

fn may_succeed_later(error: &Error) -> bool {
    error.code().is_some_and(|code| TRY_AGAIN.contains(&code.code()))
}

/// SQL that raises `lock_not_available` unless `function` gets the runners' lock at once.
///
/// Nobody waits for the lock inside PostgreSQL: a statement that waits holds a snapshot, for whose end a runner that
/// builds an index concurrently waits in turn.
pub(super) fn try_lock(function: &str) -> String {
    format!(
        "DO $lock$ BEGIN
    IF NOT {function}({LOCK_KEY}) THEN
        RAISE EXCEPTION 'another run of migrate is under way' USING ERRCODE = 'lock_not_available';
    END IF;
END $lock$;"
    )
}

/// The SQL that precedes every migration, in the same message and therefore in the same transaction.
///
/// The isolation level is READ COMMITTED whatever the database's default is, since what follows the lock must see what
/// its last holder committed. A `statement_timeout` would stop a long migration. All settings end with the transaction.
fn preamble(record: &str) -> String {
    let lock = try_lock("pg_try_advisory_xact_lock");
    format!(
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;
SET LOCAL statement_timeout = 0;
{lock}
SET LOCAL lock_timeout = '{LOCK_TIMEOUT}';
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

/// The line of the migration's file that PostgreSQL points at. PostgreSQL counts positions in characters of the whole
/// message.
fn line_of(error: &Error, preamble: &str, sql: &str) -> Option<usize> {
    let Some(ErrorPosition::Original(position)) = error.as_db_error()?.position() else { return None };
    let before = usize::try_from(*position).ok()?.checked_sub(preamble.chars().count() + 1)?;
    Some(sql.chars().take(before).filter(|&character| character == '\n').count() + 1)
}
