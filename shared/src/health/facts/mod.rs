//! What the report's statement found, typed: one struct for each part of the JSON that `report.sql` builds.
//!
//! Times are RFC 3339 unless a field's name gives a unit; sizes are bytes.

mod activity;
mod connections;
mod query_result;
mod server;
mod tables;

use serde::Deserialize;

pub use activity::{Events, OpenAlert, Queue, SlowStatement};
pub use connections::{Application, Blocker, ConnectionLimits, ConnectionsUsed, LockedTable, Sessions};
pub use query_result::{QueryResult, QueryResults};
pub use server::{ReplicaFacts, Replicas, Server};
pub use tables::{SchemaOutsideSearchPath, Table};

/// Everything that `report.sql` gathers.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// What the queries over Tessera's own tables returned.
    pub results: QueryResults,
    /// The server, its settings and the role that asked.
    pub server: Server,
    /// A migrated schema that the role's `search_path` does not lead to, if there is one.
    pub schema_outside_search_path: Option<SchemaOutsideSearchPath>,
    /// How many connections there may be.
    pub connection_limits: ConnectionLimits,
    /// How many connections there are, where a limit other than the server's may apply.
    pub connections_used: ConnectionsUsed,
    /// Connections to the server, counted by what they do.
    pub sessions: Sessions,
    /// The 20 applications with the most connections; `None` where details were not requested.
    pub applications: Option<Vec<Application>>,
    /// Sessions that others wait for.
    pub blockers: Vec<Blocker>,
    /// Tessera's tables that one session has locked against readers.
    pub locked_tables: Vec<LockedTable>,
    /// The replicas that this server knows of.
    pub replicas: Replicas,
    /// Tessera's tables.
    pub tables: Vec<Table>,
    /// Size of the database; `None` where details were not requested.
    pub database_bytes: Option<i64>,
}
