//! What the statement saw, typed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Everything that `report.sql` gathers. Times without a unit in their name are RFC 3339, sizes are bytes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "named after the columns of report.sql, which says what they are")]
pub struct Facts {
    pub answers: Answers,
    pub server: Server,
    pub elsewhere: Option<Elsewhere>,
    pub limits: Limits,
    pub used: Used,
    pub sessions: Sessions,
    pub applications: Option<Vec<Application>>,
    pub blockers: Vec<Blocker>,
    pub locked_tables: Vec<LockedTable>,
    pub replicas: Replicas,
    pub tables: Vec<Table>,
    pub database_bytes: Option<i64>,
}

/// An answer of a table, or why there is none.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "is", content = "value", rename_all = "lowercase")]
pub enum Answer<T> {
    /// Here it is.
    Here(T),
    /// There is no such table.
    Missing,
    /// The role may not read it.
    Hidden,
    /// Somebody has locked it, so that to ask would be to wait.
    Locked,
    /// It is a detail, and details were not asked for.
    Skipped,
}

impl<T> Answer<T> {
    /// The answer, if there is one.
    pub fn here(&self) -> Option<&T> {
        match self {
            Self::Here(value) => Some(value),
            _ => None,
        }
    }
}

/// What tables were asked.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "named after the queries of report.sql")]
pub struct Answers {
    pub caller: Answer<Option<String>>,
    pub migrations: Answer<Vec<String>>,
    pub queue: Answer<Queue>,
    pub alerts: Answer<Vec<Alert>>,
    pub events: Answer<Events>,
    pub scans: Answer<i64>,
    pub creates: Answer<i64>,
    pub statements: Answer<Vec<SlowStatement>>,
}

/// Jobs that are not done.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    /// Due, and nobody is at work on them.
    pub ready: i64,
    /// Due later: after a failure, as a rule.
    pub later: i64,
    /// Being worked on.
    pub running: i64,
    /// Claimed by a worker that was not heard of again before its lease ended.
    pub expired: i64,
    /// How long the oldest due job has been due.
    pub oldest_seconds: f64,
    /// Given up.
    pub dead: i64,
}

impl Queue {
    /// Jobs that should be under way and are not.
    #[must_use]
    pub fn waiting(&self) -> i64 {
        self.ready + self.expired
    }
}

/// An open alert.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "named after the columns of the table")]
pub struct Alert {
    pub id: i64,
    pub code: String,
    pub source: String,
    pub count: i64,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
}

/// Events received in the last hour, the newest 10,000 at most.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
pub struct Events {
    /// Stored, and their effect applied.
    pub applied: i64,
    /// Stored, but their effect made no sense.
    pub failed: i64,
}

/// A statement that takes long on average.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlowStatement {
    /// Its beginning, with placeholders where there were values.
    pub text: String,
    /// How often it ran.
    pub calls: i64,
    /// Mean duration.
    pub mean_ms: f64,
    /// Longest duration.
    pub max_ms: f64,
}

/// The server and what it was told.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "named after PostgreSQL's settings")]
pub struct Server {
    pub version: String,
    pub role: String,
    pub in_recovery: bool,
    pub read_only: bool,
    pub time_zone: String,
    pub statement_timeout: String,
    pub idle_in_transaction_timeout: String,
    pub idle_session_timeout: String,
    pub started_at: Timestamp,
    pub epoch_ms: f64,
}

/// A migrated schema that unqualified names do not lead to.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Elsewhere {
    /// Its name.
    pub schema: String,
    /// Whether the role may use it at all.
    pub may_use: bool,
    /// Where the role looks instead.
    pub search_path: String,
}

/// Connections that there may be.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
pub struct Limits {
    /// On the server, without those kept for superusers.
    pub server: i64,
    /// Of this role, if it is limited.
    pub role: Option<i64>,
    /// To this database, if it is limited.
    pub database: Option<i64>,
}

/// Connections that there are.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
pub struct Used {
    /// Of this role.
    pub role: i64,
    /// To this database.
    pub database: i64,
}

/// Connections to the server, by what they do.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sessions {
    /// All of them.
    pub total: i64,
    /// Those of Tessera's functions, as `application_name` tells.
    pub ours: i64,
    /// Those of other roles, of which this role may not see what they do.
    pub hidden: i64,
    /// Running a statement.
    pub active: i64,
    /// Doing nothing.
    pub idle: i64,
    /// Doing nothing, inside a transaction.
    pub idle_in_transaction: i64,
    /// Doing nothing for more than 5 minutes.
    pub idle_long: i64,
    /// The longest that one has done nothing inside a transaction.
    pub idle_in_transaction_seconds: f64,
    /// The longest that a statement has been running.
    pub statement_seconds: f64,
    /// Waiting for a lock.
    pub waiting_for_locks: i64,
    /// The longest of these waits.
    pub lock_wait_seconds: f64,
}

/// Connections of one `application_name`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "its members say it")]
pub struct Application {
    pub name: String,
    pub connections: i64,
    pub idle_long: i64,
}

/// A session that others wait for.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Blocker {
    /// Its process on the server, for `pg_terminate_backend`.
    pub pid: i32,
    /// Its `application_name`.
    pub application: String,
    /// What it does, where that may be seen.
    pub state: Option<String>,
    /// For how long.
    pub seconds: f64,
}

/// A table that nobody but one session may even read.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct LockedTable {
    /// Its name.
    pub name: String,
    /// The session's process on the server; none for a prepared transaction.
    pub pid: Option<i32>,
    /// Its `application_name`.
    pub application: String,
    /// What it does, where that may be seen.
    pub state: Option<String>,
    /// For how long.
    pub seconds: Option<f64>,
}

/// Servers that replicate this one.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replicas {
    /// How many.
    pub known: i64,
    /// How many of them this role may see the state of.
    pub visible: i64,
    /// The longest delay of them.
    pub lag_seconds: f64,
}

/// One of Tessera's tables.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Rows, as the server estimates.
    pub live: i64,
    /// Rows that are no longer needed and not yet cleaned up, as the server estimates.
    pub dead: i64,
    /// When they were last cleaned up.
    pub vacuumed_at: Option<Timestamp>,
    /// The rights on it that the role does not have.
    pub lacks: Vec<String>,
    /// Size without indexes, when it was last vacuumed or analysed.
    pub bytes: i64,
    /// Size of its indexes, at the same time.
    pub index_bytes: i64,
}
