//! A request as the domain sees it: who asks, under which id, on which condition, and by when it must have ended.

use tessera_postgres::Deadline;
use uuid::Uuid;

/// What every operation needs to know of the request that it serves.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Who asks.
    pub caller: Caller,
    /// The id of this request, made for it: a statement that is sent again finds by it what it did the first time.
    pub id: Uuid,
    /// When database work must have ended.
    pub deadline: Deadline,
}

/// As far as it can be told without the database. Whether a key is known is part of each operation's own statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Sent a key, of which this is the SHA-256.
    Key([u8; 32]),
    /// Known without a key: the `sub` of a JWT, or the anonymous owner.
    Owner(String),
    /// Sent nothing, and nobody may.
    Nobody,
}

impl Caller {
    /// First parameter of every statement that checks its caller.
    #[must_use]
    pub fn key_hash(&self) -> Option<&[u8]> {
        match self {
            Self::Key(hash) => Some(hash),
            _ => None,
        }
    }

    /// Second parameter of every statement that checks its caller.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        match self {
            Self::Owner(owner) => Some(owner),
            _ => None,
        }
    }
}

/// A key that the caller made up for one request, kept for 24 hours
/// ([draft-ietf-httpapi-idempotency-key-header](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// A key of 1 to 255 visible characters, without the quotes of the header.
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

/// The versions that the caller is ready to change ([RFC 9110, 13.1.1](https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMatch {
    /// None was named, or `*`: the newest will do.
    Any,
    /// Only this one.
    Version(i32),
}

impl IfMatch {
    /// The version to be matched, as a parameter of the statements that check it.
    #[must_use]
    pub fn version(self) -> Option<i32> {
        match self {
            Self::Any => None,
            Self::Version(version) => Some(version),
        }
    }
}
