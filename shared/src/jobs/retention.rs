//! Deleting what has served its time.

use tessera_postgres::{Database, DatabaseError, Deadline, IdempotentBy, Plan, Statement, Type};

use crate::config::Retention;

/// Deletes expired idempotency keys, past days' visitors, finished jobs, old payloads and resolved alerts.
pub const CLEAN: Statement = Statement {
    name: "jobs.clean",
    sql: include_str!("sql/clean.sql"),
    parameters: &[Type::INT4, Type::INT4, Type::INT4, Type::INT8],
    columns: &[
        ("keys", Type::INT8),
        ("visits", Type::INT8),
        ("jobs", Type::INT8),
        ("payloads", Type::INT8),
        ("alerts", Type::INT8),
    ],
    plan: Plan::EachTime,
    idempotent_by: IdempotentBy::RequestId("upkeep.cleaned_at"),
};

/// Rows of each kind that one run deletes, at most: some 100 ms of the database's time. The next hour has another run.
const MAX_ROWS_PER_KIND: i64 = 10_000;

/// Rows that a run deleted.
#[derive(Debug, Clone, Copy)]
pub struct Cleaned {
    /// Expired idempotency keys.
    pub keys: i64,
    /// Past days' visitors.
    pub visits: i64,
    /// Finished jobs.
    pub jobs: i64,
    /// Payloads of events.
    pub payloads: i64,
    /// Resolved alerts.
    pub alerts: i64,
}

/// Deletes, unless it was done within the last hour.
pub async fn clean(
    database: &Database,
    retention: Retention,
    deadline: Deadline,
) -> Result<Cleaned, DatabaseError> {
    let Retention { payload, job, alert } = retention;
    let row = database.query_one(&CLEAN, &[&payload, &job, &alert, &MAX_ROWS_PER_KIND], deadline).await?;
    Ok(Cleaned {
        keys: row.get("keys"),
        visits: row.get("visits"),
        jobs: row.get("jobs"),
        payloads: row.get("payloads"),
        alerts: row.get("alerts"),
    })
}
