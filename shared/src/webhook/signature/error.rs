//! Why a signature is refused.

/// Why the signature of a request is refused: a closed list of codes, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A header of the scheme is missing.
    #[error("missing_header")]
    MissingHeader,
    /// A header is empty, or holds other characters than visible ASCII.
    #[error("bad_header")]
    BadHeader,
    /// A header that may have one value was sent with two different ones.
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
    /// There is no signature of a known version in its proper encoding.
    #[error("no_signature")]
    NoSignature,
    /// There are more than 16 signatures, which is more than any sender has active secrets.
    #[error("too_many_signatures")]
    TooManySignatures,
    /// None of the signatures was made over these bytes with one of the source's secrets.
    #[error("mismatch")]
    Mismatch,
}
