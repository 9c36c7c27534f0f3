//! What a statement decided, in a word.

use tessera_postgres::Row;

use crate::error::PublicError;

/// Turns the `verdict` of a statement that did not do what was asked into what the caller is told.
///
/// Statements check their caller themselves: an operation is one round trip, and nothing is decided by what was true
/// a moment ago.
#[must_use]
pub(super) fn refusal(verdict: &str) -> PublicError {
    match verdict {
        "unauthenticated" => PublicError::Unauthenticated,
        "forbidden" => PublicError::Forbidden("The key lacks the scope for this."),
        "forbidden_owner" => {
            PublicError::Forbidden("userId names another owner; only a key with `admin` may.")
        }
        "not_found" => PublicError::NotFound,
        "stale" => PublicError::Stale,
        "taken" => PublicError::Taken,
        "key_reused" => {
            PublicError::invalid("Idempotency-Key", "was used for a different request in the last 24 hours")
        }
        // A replica that is behind is not asked twice; the primary is behind nothing that was ever written.
        "behind" => PublicError::invalid("Consistency-Token", "was not given by this service"),
        "no_version" => PublicError::invalid("version", "is not a version of this code"),
        other => {
            tracing::error!(verdict = other, "a statement's verdict is not in the list");
            PublicError::Internal
        }
    }
}

/// Whether the statement did what was asked. What a replica says otherwise may only be news to it.
pub(super) fn is_ok(row: &Row) -> bool {
    row.get::<_, &str>("verdict") == "ok"
}
