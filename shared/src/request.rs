//! A request as the domain sees it: its caller, its id, its precondition and its deadline.

use tessera_postgres::Deadline;
use uuid::Uuid;

/// What every operation needs to know of the request that it serves.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Who sent the request.
    pub caller: Caller,
    /// A random id that was made for this request. A statement that is sent again finds by it what it did the first
    /// time.
    pub id: Uuid,
    /// When work in the database must have ended.
    pub deadline: Deadline,
}

/// Who calls, as far as it is known without the database. The statement of each operation looks up the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The caller sent a key, of which this is the SHA-256.
    Key([u8; 32]),
    /// The caller is known without a key: by the `sub` of a verified JWT, or as the anonymous owner.
    Owner(String),
    /// The caller sent no credentials, and there is no anonymous owner.
    Nobody,
}

impl Caller {
    /// The hash of the caller's key: the first parameter of every statement that checks its caller.
    #[must_use]
    pub fn key_hash(&self) -> Option<&[u8]> {
        match self {
            Self::Key(hash) => Some(hash),
            _ => None,
        }
    }

    /// The owner that the caller is known to be: the second parameter of every statement that checks its caller.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        match self {
            Self::Owner(owner) => Some(owner),
            _ => None,
        }
    }
}

/// A key that a client generates for one request, and that is kept for 24 hours
/// ([draft-ietf-httpapi-idempotency-key-header](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Wraps a key of 1 to 255 visible characters, without the quotes of the header.
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The key without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The versions of a code that a request may change ([RFC 9110,
/// 13.1.1](https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// Any version: the request has no `If-Match`, or `*`.
    Any,
    /// Only one of these versions.
    Versions(Vec<i32>),
}

impl IfMatch {
    /// The versions that are allowed, as a parameter of the statements that check it; `None` for any.
    #[must_use]
    pub fn versions(&self) -> Option<&[i32]> {
        match self {
            Self::Any => None,
            Self::Versions(versions) => Some(versions),
        }
    }
}
