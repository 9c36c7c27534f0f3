//! Whether the caller may see a report's details.

use super::facts::{QueryResult, QueryResults};

/// What is known of a caller's right to a report's details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// The key is valid and has the scope `ops:read`.
    Granted,
    /// The key is valid, but lacks the scope `ops:read`.
    Forbidden,
    /// The key is unknown, expired or revoked.
    UnknownKey,
    /// The key could not be looked up: the table of keys is missing, locked or not readable.
    Undecided,
}

/// Decides from the key that the report's statement looked up whether the caller may see the details.
#[must_use]
pub fn permission(results: &QueryResults) -> Permission {
    match &results.caller {
        QueryResult::Value(Some(word)) if word == "ok" => Permission::Granted,
        QueryResult::Value(Some(_)) => Permission::Forbidden,
        QueryResult::Value(None) => Permission::UnknownKey,
        QueryResult::NoTable | QueryResult::NotReadable | QueryResult::Locked | QueryResult::NotRequested => {
            Permission::Undecided
        }
    }
}
