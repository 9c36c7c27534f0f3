//! Deleting what has served its time.

use tessera_postgres::{Database, DatabaseError, Deadline, IdempotentBy, Statement, Type};

use crate::config::{ConfigError, Environment};

/// Deletes expired idempotency keys, past days' visitors, finished jobs, old payloads and resolved alerts.
pub const CLEAN: Statement = Statement {
    name: "jobs.clean",
    sql: include_str!("sql/clean.sql"),
    parameters: &[Type::INT4, Type::INT4, Type::INT4, Type::INT8],
    idempotent_by: IdempotentBy::RequestId("upkeep.cleaned_at"),
};

/// Rows of each kind that one run deletes, at most: some 100 ms of the database's time. The next hour has another run.
const MAX_ROWS_PER_KIND: i64 = 10_000;

/// How long things are kept, in days.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// `RETENTION_PAYLOAD_DAYS` (30): an event's own bytes. The event stays, since by it a replay is known; so does the
    /// payload of a job that is not done.
    pub payload: i32,
    /// `RETENTION_JOB_DAYS` (30): jobs that are done. Dead ones stay until they are redriven.
    pub job: i32,
    /// `RETENTION_ALERT_DAYS` (90): alerts that are resolved.
    pub alert: i32,
}

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

impl Retention {
    /// From the environment; each from 1 to 3650.
    pub fn from_environment(environment: &Environment) -> Result<Self, ConfigError> {
        let days = |name: &'static str, default: i32| match environment.get(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .ok()
                .filter(|days| (1..=3650).contains(days))
                .ok_or_else(|| ConfigError::malformed(name, "must be a number of days from 1 to 3650")),
        };
        Ok(Self {
            payload: days("RETENTION_PAYLOAD_DAYS", 30)?,
            job: days("RETENTION_JOB_DAYS", 30)?,
            alert: days("RETENTION_ALERT_DAYS", 90)?,
        })
    }
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
