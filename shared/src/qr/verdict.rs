//! The `verdict` column: what a statement decided about its caller and its code, in a word.
//!
//! Statements check their caller themselves: an operation is one round trip, and nothing is decided by what was true
//! a moment ago.

use tessera_postgres::Row;

use super::error::CodeError;
use crate::fields::InvalidFields;

/// Passes the row of a statement that did what was asked; any other verdict becomes an error.
pub(super) fn check_verdict(row: &Row) -> Result<(), CodeError> {
    match row.get("verdict") {
        "ok" => Ok(()),
        verdict => Err(error_from_verdict(verdict)),
    }
}

/// Turns the verdict of a statement that did not do what was asked into why it was not done.
#[must_use]
pub(super) fn error_from_verdict(verdict: &str) -> CodeError {
    match verdict {
        "unauthenticated" => CodeError::Unauthenticated,
        "forbidden" => CodeError::MissingScope,
        "forbidden_owner" => CodeError::OtherOwner,
        "not_found" => CodeError::NotFound,
        "stale" => CodeError::Stale,
        "taken" => CodeError::IdTaken,
        "key_reused" => invalid("Idempotency-Key", "was used for a different request in the last 24 hours"),
        // A replica that is behind is not asked twice; the primary is behind nothing that was ever written.
        "behind" => invalid("Consistency-Token", "was not given by this service"),
        "no_version" => invalid("version", "is not a version of this code"),
        other => CodeError::UnknownVerdict(other.to_owned()),
    }
}

fn invalid(field: &str, message: &str) -> CodeError {
    InvalidFields::one(field, message).into()
}

/// Whether the statement did what was asked. What a replica says otherwise may only be news to it.
pub(super) fn is_ok(row: &Row) -> bool {
    row.get::<_, &str>("verdict") == "ok"
}
