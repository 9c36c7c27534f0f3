//! Why an operation on codes did not do what was asked.

use jiff::Timestamp;
use tessera_postgres::DatabaseError;

use crate::fields::InvalidFields;

/// Why an operation on codes did not do what was asked. The error keeps its cause, and knows no HTTP status.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// The caller's key is unknown, expired or revoked.
    #[error("the key is unknown, expired or revoked")]
    UnknownKey,
    /// The caller's key lacks the scope `qr:read`, which the operation needs.
    #[error("the key lacks the scope qr:read")]
    NeedsReadScope,
    /// The caller's key lacks the scope `qr:write`, which the operation needs.
    #[error("the key lacks the scope qr:write")]
    NeedsWriteScope,
    /// The caller named another owner, for which the key has no right.
    #[error("the key does not act for this owner")]
    OtherOwner,
    /// There is no such code, or the caller may not know of it.
    #[error("there is no such code")]
    NotFound,
    /// The code has another version than the one that the caller holds.
    #[error("the code has changed in the meantime")]
    Stale,
    /// Another code has the id, or had it.
    #[error("the id is taken")]
    IdTaken,
    /// A request with the same Idempotency-Key had not ended at the deadline.
    #[error("a request with the same Idempotency-Key is still running")]
    StillRunning(#[source] DatabaseError),
    /// The code no longer redirects.
    #[error("the code leads nowhere: {0:?}")]
    Inactive(InactiveReason),
    /// The code does not redirect yet.
    #[error("the code becomes valid in {seconds} s, at {since}")]
    NotYetValid {
        /// When it does.
        since: Timestamp,
        /// The seconds until then, by the database's clock.
        seconds: u64,
    },
    /// Fields of the request are not valid.
    #[error(transparent)]
    Invalid(#[from] InvalidFields),
    /// Other requests kept changing the same rows for as long as it was tried.
    #[error("other requests kept changing the same code")]
    Contended,
    /// The database did not do what was asked.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A statement returned a verdict that is not in the list, which is a defect.
    #[error("a statement gave the verdict {0:?}, which is not in the list")]
    UnknownVerdict(String),
}

/// Why a code no longer redirects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InactiveReason {
    /// The code's `expiresAt` has passed.
    Expired,
    /// The code was scanned `maxScans` times.
    UsedUp,
    /// The code's owner has switched it off.
    Disabled,
    /// The code's owner has deleted it.
    Deleted,
}
