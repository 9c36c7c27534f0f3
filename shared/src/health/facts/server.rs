//! The server, its settings and its replicas.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The server and the settings that the role meets there.
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
    pub isolation: String,
    pub started_at: Timestamp,
    pub epoch_ms: f64,
}

/// The servers that replicate this one, as `pg_stat_replication` shows them.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replicas {
    /// How many replicas there are.
    pub known: i64,
    /// How many of them show their state to this role.
    pub visible: i64,
    /// The longest replay lag of the visible ones, in seconds.
    pub lag_seconds: f64,
}

/// What a replica says about itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaFacts {
    /// Whether it is in recovery, as every replica is.
    pub in_recovery: bool,
    /// How far it is behind, in seconds: the age of the last change that it has applied, or of its start before the
    /// first. 0 while there is nothing to apply.
    pub lag_seconds: f64,
}
