//! What the connection core tells whoever counts it.

use std::time::Duration;

use crate::failure::FailureKind;

/// Is called for each [`Event`], on the task of the request that it belongs to. It must return at once.
pub type Observer = fn(Event);

/// Something that happened between a request and its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A connection was opened.
    Connected {
        /// Time for name resolution, TCP, TLS and authentication.
        took: Duration,
        /// Whether it took the place of an earlier one.
        replacement: bool,
    },
    /// A statement found no free connection: refused by a full server or pooler, or waiting for another request of this
    /// process to open theirs.
    WaitedForConnection {
        /// Time until the next try, or until the request was given up.
        waited: Duration,
    },
    /// A statement was sent, which is one network round trip.
    StatementSent,
    /// A statement was answered or given up.
    StatementAnswered {
        /// Time since it was sent.
        took: Duration,
    },
    /// A try failed and another one follows.
    Retried {
        /// What the failure meant.
        kind: FailureKind,
    },
    /// A named statement slipped through a pooler: 42P05 or 26000.
    NamedStatementConflict,
}

/// The observer of those who count nothing.
pub fn ignore(_: Event) {}
