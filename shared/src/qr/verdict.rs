//! The column `verdict`, in which a statement returns what it has decided about its caller and its code.
//!
//! Statements check their caller themselves, so that an operation is one round trip, and nothing is decided by what was
//! true a moment ago.

use tessera_postgres::Row;

use super::error::CodeError;
use crate::fields::InvalidFields;

/// Fails unless the statement did what was asked.
pub(super) fn check_verdict(row: &Row) -> Result<(), CodeError> {
    match row.get("verdict") {
        "ok" => Ok(()),
        verdict => Err(error_from_verdict(verdict)),
    }
}

/// Makes the error of a statement that did not do what was asked, from its verdict.
#[must_use]
pub(super) fn error_from_verdict(verdict: &str) -> CodeError {
    match verdict {
        "unauthenticated" => CodeError::UnknownKey,
        "needs_read" => CodeError::NeedsReadScope,
        "needs_write" => CodeError::NeedsWriteScope,
        "forbidden_owner" => CodeError::OtherOwner,
        "not_found" => CodeError::NotFound,
        "stale" => CodeError::Stale,
        "taken" => CodeError::IdTaken,
        "key_reused" => invalid("Idempotency-Key", "was used for a different request in the last 24 hours"),
        // A read that a replica is too far behind for goes to the primary, which has every write.
        "behind" => invalid("Consistency-Token", "was not given by this service"),
        "no_version" => invalid("version", "is not a version of this code"),
        other => CodeError::UnknownVerdict(other.to_owned()),
    }
}

fn invalid(field: &str, message: &str) -> CodeError {
    InvalidFields::one(field, message).into()
}

/// Whether the statement did what was asked. Any other verdict of a replica may only mean that it is behind.
pub(super) fn is_ok(row: &Row) -> bool {
    row.get::<_, &str>("verdict") == "ok"
}
