//! Jobs, alerts, events and statements, as the database counts them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Jobs that are not done.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Queue {
    /// Jobs that are due and that no worker has claimed.
    pub ready: i64,
    /// Jobs that become due later, usually because an attempt failed.
    pub later: i64,
    /// Jobs that a worker has claimed and that are still within their lease.
    pub running: i64,
    /// Jobs whose worker has not finished them before their lease ended.
    pub expired: i64,
    /// How long the oldest due job has been due, in seconds.
    pub oldest_seconds: f64,
    /// Jobs that were given up after their last attempt.
    pub dead: i64,
}

impl Queue {
    /// Jobs that should be running and are not: those that are ready, and those whose lease has expired.
    #[must_use]
    pub fn waiting(&self) -> i64 {
        self.ready + self.expired
    }
}

/// An alert that nobody has resolved.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "named after the columns of the table")]
pub struct OpenAlert {
    pub id: i64,
    pub code: String,
    pub source: String,
    pub count: i64,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
}

/// Webhook events that were received in the last hour, the newest 10,000 at most.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
pub struct Events {
    /// Events that were stored and whose effects were applied.
    pub applied: i64,
    /// Events that were stored, but whose effects were invalid.
    pub failed: i64,
}

/// A statement that takes long on average, from `pg_stat_statements`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlowStatement {
    /// The first 160 characters of its text, with placeholders for values.
    pub text: String,
    /// How often it ran.
    pub calls: i64,
    /// Its mean duration in milliseconds.
    pub mean_ms: f64,
    /// Its longest duration in milliseconds.
    pub max_ms: f64,
}
