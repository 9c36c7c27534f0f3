//! The closed list of what a caller may be told.
//!
//! An error is told twice. What the caller sees is made here and only here: it never holds a driver's or a library's
//! text, a statement, a host name or a credential. What the log gets is the error with its causes, written once, by
//! `serve`. Only this module decides which HTTP status an error of the domain has.

use std::error::Error;

use jiff::Timestamp;
use tessera_postgres::{DatabaseError, Phase};

use crate::fields::InvalidFields;
use crate::qr::error::{CodeError, InactiveReason};
use crate::webhook::event::{MAX_BATCH, ParseError};
use crate::webhook::source_cache::SourcesUnavailable;

/// What a caller is told when a request does not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicError {
    /// 400: the request cannot be read.
    Malformed(&'static str),
    /// 401: the caller sent no key.
    Unauthenticated,
    /// 401: the caller's key is unknown, expired or revoked.
    UnknownKey,
    /// 401: the signature of a webhook is missing, wrong or too old.
    BadSignature,
    /// 403: the key is valid, but does not allow this; with a sentence that says why.
    Forbidden(&'static str),
    /// 404: there is nothing here, or nothing that this caller may know of.
    NotFound,
    /// 404 with `Retry-After`: the code is not valid yet.
    NotYet {
        /// When the code becomes valid.
        since: Timestamp,
        /// Seconds until then.
        seconds: u64,
    },
    /// 405: the method is not allowed here; with those that are.
    MethodNotAllowed(&'static str),
    /// 409: another code has the id, or had it.
    Taken,
    /// 409 with `Retry-After`: a request with the same Idempotency-Key has not ended.
    StillRunning,
    /// 410: the code no longer redirects.
    Gone(InactiveReason),
    /// 412: the resource is not at the version that `If-Match` names.
    Stale,
    /// 413: the body is too large; with the limit in bytes.
    TooLarge(usize),
    /// 413: a batch has too many events; with the number that it may have.
    TooManyEvents(usize),
    /// 415: the body is not JSON.
    NotJson,
    /// 422: values are not valid; with the name of each.
    Invalid(InvalidFields),
    /// 500: the service has a defect, or the database refused a statement.
    Internal,
    /// 503 with `Retry-After`: the database cannot be reached at the moment.
    Unavailable,
}

impl PublicError {
    /// Makes the 422 of one invalid field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(InvalidFields::one(field, message))
    }

    /// The HTTP status, the last part of the problem's `type`, and its `title`.
    #[must_use]
    pub fn status(&self) -> (u16, &'static str, &'static str) {
        match self {
            Self::Malformed(_) => (400, "malformed", "The request cannot be read"),
            Self::Unauthenticated | Self::UnknownKey => (401, "unauthenticated", "A valid key is needed"),
            Self::BadSignature => (401, "bad-signature", "The signature is not valid"),
            Self::Forbidden(_) => (403, "forbidden", "This key does not allow that"),
            Self::NotFound => (404, "not-found", "Not found"),
            Self::NotYet { .. } => (404, "not-yet", "Not valid yet"),
            Self::MethodNotAllowed(_) => (405, "method-not-allowed", "Method not allowed"),
            Self::Taken => (409, "taken", "The id is taken"),
            Self::StillRunning => (409, "still-running", "The first request is still running"),
            Self::Gone(_) => (410, "gone", "This code no longer works"),
            Self::Stale => (412, "stale", "Changed in the meantime"),
            Self::TooLarge(_) | Self::TooManyEvents(_) => (413, "too-large", "The request is too large"),
            Self::NotJson => (415, "not-json", "The body must be JSON"),
            Self::Invalid(_) => (422, "invalid", "A value cannot be taken"),
            Self::Internal => (500, "internal", "Something went wrong"),
            Self::Unavailable => (503, "unavailable", "Unavailable for the moment"),
        }
    }

    /// The problem's `detail`: a sentence for a person.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Malformed(detail) | Self::Forbidden(detail) => (*detail).to_owned(),
            Self::Unauthenticated => "Send a key as `Authorization: Bearer KEY` or `X-Api-Key: KEY`.".to_owned(),
            Self::UnknownKey => {
                "This key is unknown, expired or revoked. It is sent as `Authorization: Bearer KEY` or `X-Api-Key: KEY`."
                    .to_owned()
            }
            Self::BadSignature => "The signature is missing, not by this source's secret, or too old.".to_owned(),
            Self::NotFound => "There is nothing at this address.".to_owned(),
            Self::NotYet { since, .. } => {
                format!("This code becomes valid on {}.", since.strftime("%-d %B %Y at %H:%M:%S UTC"))
            }
            Self::MethodNotAllowed(allowed) => format!("This address takes {allowed}."),
            Self::Taken => {
                "Another code has this shortId, or had it once. Ids are compared without case, with O as 0 and I and L as 1."
                    .to_owned()
            }
            Self::StillRunning => "A request with this Idempotency-Key has not ended yet.".to_owned(),
            Self::Gone(InactiveReason::Expired) => "This code has expired.".to_owned(),
            Self::Gone(InactiveReason::UsedUp) => "This code has been scanned as often as it may be.".to_owned(),
            Self::Gone(InactiveReason::Disabled) => "This code has been switched off by its owner.".to_owned(),
            Self::Gone(InactiveReason::Deleted) => "This code has been deleted by its owner.".to_owned(),
            Self::Stale => "If-Match names another version than the current one. Read it again.".to_owned(),
            Self::TooLarge(limit) => format!("The body may have {limit} bytes."),
            Self::TooManyEvents(limit) => format!("A batch may have {limit} events."),
            Self::NotJson => "Send the body as `Content-Type: application/json`.".to_owned(),
            Self::Invalid(fields) => fields.to_string(),
            Self::Internal => "The request could not be carried out. It has been logged under its requestId.".to_owned(),
            Self::Unavailable => "The request was not carried out, or its answer was lost. Send it again.".to_owned(),
        }
    }

    /// Seconds for `Retry-After`, where another try can succeed.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::NotYet { seconds, .. } => Some((*seconds).max(1)),
            Self::StillRunning => Some(1),
            Self::Unavailable => Some(2),
            _ => None,
        }
    }
}

/// The error of a handler: what the caller is told, and the cause, which `serve` logs once.
#[derive(Debug)]
pub struct HandlerError {
    /// What the caller is told.
    pub public: PublicError,
    /// What is logged, and not shown to the caller; `None` where the caller is to blame and there is nothing to log.
    pub cause: Option<Box<dyn Error + Send + Sync>>,
}

impl HandlerError {
    /// Makes an error of which the caller is told `public`, and the log also gets `cause`.
    pub fn caused(public: PublicError, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { public, cause: Some(cause.into()) }
    }
}

impl From<PublicError> for HandlerError {
    fn from(public: PublicError) -> Self {
        Self { public, cause: None }
    }
}

impl From<InvalidFields> for PublicError {
    fn from(fields: InvalidFields) -> Self {
        Self::Invalid(fields)
    }
}

impl From<InvalidFields> for HandlerError {
    fn from(fields: InvalidFields) -> Self {
        PublicError::Invalid(fields).into()
    }
}

impl From<DatabaseError> for HandlerError {
    fn from(error: DatabaseError) -> Self {
        let public = match &error {
            DatabaseError::Unavailable { .. } => PublicError::Unavailable,
            DatabaseError::Rejected { failure, .. } if failure.phase() == Phase::Connect => {
                PublicError::Unavailable
            }
            _ => PublicError::Internal,
        };
        Self::caused(public, error)
    }
}

impl From<CodeError> for HandlerError {
    fn from(error: CodeError) -> Self {
        let public = match error {
            CodeError::Database(error) => return error.into(),
            CodeError::Invalid(fields) => PublicError::Invalid(fields),
            CodeError::UnknownKey => PublicError::UnknownKey,
            CodeError::NeedsReadScope => PublicError::Forbidden("The key lacks the scope `qr:read`."),
            CodeError::NeedsWriteScope => PublicError::Forbidden("The key lacks the scope `qr:write`."),
            CodeError::OtherOwner => {
                PublicError::Forbidden("userId names another owner; only a key with `admin` may.")
            }
            CodeError::NotFound => PublicError::NotFound,
            CodeError::Stale => PublicError::Stale,
            CodeError::IdTaken => PublicError::Taken,
            CodeError::Inactive(reason) => PublicError::Gone(reason),
            CodeError::NotYetValid { since, seconds } => PublicError::NotYet { since, seconds },
            CodeError::StillRunning(_) => return Self::caused(PublicError::StillRunning, error),
            CodeError::Contended => return Self::caused(PublicError::Unavailable, error),
            CodeError::UnknownVerdict(_) => return Self::caused(PublicError::Internal, error),
        };
        public.into()
    }
}

impl From<SourcesUnavailable> for HandlerError {
    fn from(error: SourcesUnavailable) -> Self {
        Self::caused(PublicError::Unavailable, error)
    }
}

impl From<ParseError> for HandlerError {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::NotJson => PublicError::Malformed("The body is not valid JSON."),
            ParseError::TooManyEvents => PublicError::TooManyEvents(MAX_BATCH),
            ParseError::UnlistedTopic(header) => {
                PublicError::invalid(header, "is not one of the topics that this source is configured for")
            }
        }
        .into()
    }
}
