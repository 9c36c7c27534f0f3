//! Tessera's tables, and the schema that they are in.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A schema that holds Tessera's tables, but is not in the role's `search_path`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaOutsideSearchPath {
    /// The schema's name.
    pub schema: String,
    /// Whether the role has the `USAGE` privilege on it.
    pub may_use: bool,
    /// The role's `search_path`.
    pub search_path: String,
}

/// One of Tessera's tables.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    /// The table's name.
    pub name: String,
    /// Live rows, as the server estimates.
    pub live: i64,
    /// Dead rows that have not been vacuumed yet, as the server estimates.
    pub dead: i64,
    /// When the table was last vacuumed, by hand or by autovacuum.
    pub vacuumed_at: Option<Timestamp>,
    /// The privileges on it that the role does not have, such as `INSERT`.
    pub lacks: Vec<String>,
    /// Bytes of the table without its indexes, when it was last vacuumed or analysed.
    pub bytes: i64,
    /// Bytes of the table's indexes, at the same time.
    pub index_bytes: i64,
}
