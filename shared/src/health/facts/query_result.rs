//! What a query over one of Tessera's tables returned, or why it was not run.

use serde::Deserialize;

use super::{Events, OpenAlert, Queue, SlowStatement};

/// What a query over one table returned, or why it was not run.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "result", content = "value", rename_all = "snake_case")]
pub enum QueryResult<T> {
    /// The query ran and returned this.
    Value(T),
    /// The table does not exist.
    NoTable,
    /// The role may not read the table.
    NotReadable,
    /// Another session holds a lock on the table for which the query would have to wait.
    Locked,
    /// The query belongs to the details, which were not requested.
    NotRequested,
}

impl<T> QueryResult<T> {
    /// What the query returned, if it ran.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }
}

/// The results of the queries over Tessera's tables.
#[derive(Debug, Clone, Deserialize)]
pub struct QueryResults {
    /// What the caller's key allows: `ok`, `forbidden`, or `None` for an unknown key.
    pub caller: QueryResult<Option<String>>,
    /// Names of the migrations that have been applied, oldest first.
    pub migrations: QueryResult<Vec<String>>,
    /// The SQLSTATE with which a write failed that was tried and undone; `None` if it succeeded.
    pub writes: QueryResult<Option<String>>,
    /// Jobs that are not done.
    pub queue: QueryResult<Queue>,
    /// Open alerts, the latest 100 at most.
    pub alerts: QueryResult<Vec<OpenAlert>>,
    /// Webhook events of the last hour.
    pub events: QueryResult<Events>,
    /// Scans of the last hour, 100,000 at most.
    pub scans: QueryResult<i64>,
    /// Codes created in the last hour, 10,000 at most.
    pub creates: QueryResult<i64>,
    /// The role's statements with the highest mean duration, from `pg_stat_statements`.
    pub statements: QueryResult<Vec<SlowStatement>>,
}
