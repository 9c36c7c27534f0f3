//! Why a webhook is not believed.

/// Why a request was refused: a closed list of codes, for logs and counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A header of the scheme is missing.
    #[error("missing_header")]
    MissingHeader,
    /// A header is empty or not visible ASCII.
    #[error("bad_header")]
    BadHeader,
    /// A header that says one thing was given twice and said two.
    #[error("ambiguous_header")]
    AmbiguousHeader,
    /// The signed time is missing, not a number of seconds, or out of range.
    #[error("bad_timestamp")]
    BadTimestamp,
    /// The signed time is further in the past than the tolerance: a replay, or a slow clock.
    #[error("too_old")]
    TooOld,
    /// The signed time is further in the future than the tolerance.
    #[error("too_new")]
    TooNew,
    /// No signature of a version we know, in its proper encoding.
    #[error("no_signature")]
    NoSignature,
    /// More signatures than any sender has secrets (16).
    #[error("too_many_signatures")]
    TooManySignatures,
    /// No signature was made by any of the source's secrets over these bytes.
    #[error("mismatch")]
    Mismatch,
}
