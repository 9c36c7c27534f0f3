//! Deletes what has been kept for as long as it is configured.

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
    may_take_long: true,
    idempotent_by: IdempotentBy::RequestId("upkeep.cleaned_at"),
};

/// The most rows of each kind that a run deletes, which takes the database some 100 ms. The rest is left to the next
/// hour's run.
const MAX_ROWS_PER_KIND: i64 = 10_000;

/// How many rows a run has deleted.
#[derive(Debug, Clone, Copy)]
pub struct Cleaned {
    /// Expired idempotency keys.
    pub keys: i64,
    /// Visitors of past days.
    pub visits: i64,
    /// Finished jobs.
    pub jobs: i64,
    /// Payloads of events.
    pub payloads: i64,
    /// Resolved alerts.
    pub alerts: i64,
}

/// Deletes what has expired, unless another run has done so within the last hour.
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
