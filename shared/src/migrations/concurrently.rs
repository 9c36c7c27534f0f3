//! A step that makes or drops an index concurrently, which PostgreSQL does in no transaction of ours.
//!
//! It holds up neither readers nor writers, but it can fail half way and leave an invalid index. So it is noted as
//! done only afterwards, and what a failed try has left is dropped first. The lock that keeps other runners away is held
//! by the session, which needs a connection past any transaction pooler.

use std::time::Duration;

use tessera_postgres::Deadline;
use tokio_postgres::{Client, Error};

use super::error::MigrationError;
use super::index_change::{IndexChange, find_index};
use super::status::applied;
use super::step::Step;
use super::transaction::{self, LOCK_KEY, send_until_free, try_lock};

/// Takes the step; `false` if it had already been taken.
pub(super) async fn run(
    client: &Client,
    step: &Step,
    change: &IndexChange,
    deadline: Deadline,
) -> Result<bool, MigrationError> {
    let lock = try_lock("pg_try_advisory_lock");
    send_until_free(client, &step.file, &lock, deadline).await.map_err(|error| step.failed(error))?;
    let outcome = run_locked(client, step, change, deadline).await;
    let unlocked = unlock(client).await;
    let ran = outcome?;
    unlocked.map_err(|error| step.failed(error))?;
    Ok(ran)
}

async fn run_locked(
    client: &Client,
    step: &Step,
    change: &IndexChange,
    deadline: Deadline,
) -> Result<bool, MigrationError> {
    let is_applied = applied(client).await?.iter().any(|row| row.version == step.version);
    if is_applied == step.is_applied_after {
        return Ok(false);
    }
    change_index(client, step.sql, change, deadline).await.map_err(|error| step.failed(error))?;
    let note = Step { file: step.file.clone(), record: step.record.clone(), sql: "", ..*step };
    transaction::run(client, &note, deadline).await
}

/// Changes the index unless an earlier try did, whose answer was lost.
async fn change_index(
    client: &Client,
    sql: &str,
    change: &IndexChange,
    deadline: Deadline,
) -> Result<(), Error> {
    client.batch_execute(&settings(deadline.left())).await?;
    let found = find_index(client, change.index()).await?;
    match (change, found) {
        (IndexChange::Create { table, .. }, Some(found)) if found.table == *table => {
            if found.is_valid {
                return Ok(());
            }
            client.batch_execute(&format!("DROP INDEX CONCURRENTLY IF EXISTS {}", change.index())).await?;
        }
        (IndexChange::Drop { .. }, None) => return Ok(()),
        _ => {}
    }
    client.batch_execute(sql).await
}

/// The session's settings for the change, which waits for everybody and for whom nobody waits: it needs no
/// `lock_timeout`, and the server stops it when time is up.
fn settings(left: Duration) -> String {
    // 0 would mean that there is no limit.
    let left = i32::try_from(left.as_millis()).unwrap_or(i32::MAX).max(1);
    format!(
        "SET statement_timeout = {left};
SET lock_timeout = 0;
SET client_min_messages = warning;
SET default_transaction_read_only = off;"
    )
}

/// Leaves the session as it was.
async fn unlock(client: &Client) -> Result<(), Error> {
    let script = format!(
        "RESET statement_timeout; RESET lock_timeout; RESET client_min_messages; RESET default_transaction_read_only;
DO $unlock$ BEGIN
    IF NOT pg_advisory_unlock({LOCK_KEY}) THEN
        RAISE EXCEPTION 'the session has changed, as behind a transaction pooler: set DIRECT_URL';
    END IF;
END $unlock$;"
    );
    client.batch_execute(&script).await
}
