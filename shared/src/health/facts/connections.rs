//! Who is connected to the server, who waits for whom, and how many connections there may be.

use serde::{Deserialize, Serialize};

/// How many connections there may be.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
pub struct ConnectionLimits {
    /// The most connections to the server, without those that it reserves for superusers.
    pub server: i64,
    /// The most connections of this role; `None` where the role has no limit.
    pub role: Option<i64>,
    /// The most connections to this database; `None` where the database has no limit.
    pub database: Option<i64>,
}

/// How many connections there are, where a limit other than the server's may apply.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
pub struct ConnectionsUsed {
    /// The connections of this role.
    pub role: i64,
    /// The connections to this database.
    pub database: i64,
}

/// Connections to the server, counted by what they do.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sessions {
    /// All client connections.
    pub total: i64,
    /// Connections of Tessera's functions, by their `application_name`.
    pub ours: i64,
    /// Connections of other roles whose state this role may not see.
    pub hidden: i64,
    /// Connections that run a statement.
    pub active: i64,
    /// Idle connections.
    pub idle: i64,
    /// Connections that are idle inside a transaction.
    pub idle_in_transaction: i64,
    /// Connections that have been idle for more than 5 minutes.
    pub idle_long: i64,
    /// The longest time that a connection has been idle inside a transaction, in seconds.
    pub idle_in_transaction_seconds: f64,
    /// The longest time that a statement has been running, in seconds.
    pub statement_seconds: f64,
    /// Connections that wait for a lock.
    pub waiting_for_locks: i64,
    /// The longest of these waits, in seconds.
    pub lock_wait_seconds: f64,
}

/// The connections with one `application_name`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// The `application_name`, which may be empty.
    pub name: String,
    /// How many connections have it.
    pub connections: i64,
    /// How many of these have been idle for more than 5 minutes.
    pub idle_long: i64,
}

/// A session that holds a lock for which others wait.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Blocker {
    /// The process id of the session, for `pg_terminate_backend`.
    pub pid: i32,
    /// The session's `application_name`.
    pub application: String,
    /// The session's state, such as `active`; `None` where this role may not see it.
    pub state: Option<String>,
    /// How long it has been in this state, in seconds.
    pub seconds: f64,
}

/// A table that one session has locked against everybody else, readers included.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct LockedTable {
    /// The table's name.
    pub name: String,
    /// The process id of the session that holds the lock; `None` for a prepared transaction.
    pub pid: Option<i32>,
    /// The session's `application_name`.
    pub application: String,
    /// The session's state, such as `active`; `None` where this role may not see it.
    pub state: Option<String>,
    /// How long it has been in this state, or its statement has been running, in seconds.
    pub seconds: Option<f64>,
}
