//! The events between requests and the database, for whoever counts them.

use std::time::Duration;

use crate::failure::FailureKind;

/// A function that is called for each [`Event`], on the task of the request that it belongs to. It must not block.
pub type Observer = fn(Event);

/// An event between a request and the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A connection was opened.
    Connected {
        /// The time for name resolution, TCP, TLS and authentication.
        took: Duration,
        /// Whether it replaces an earlier connection.
        replacement: bool,
    },
    /// A statement found no free connection: the server or pooler had none, or another request of this process was
    /// still opening the shared one.
    WaitedForConnection {
        /// The time until the next try, or until the request was given up.
        waited: Duration,
    },
    /// A statement was sent, which is one network round trip.
    StatementSent,
    /// A statement was answered or given up.
    StatementAnswered {
        /// The time since it was sent.
        took: Duration,
    },
    /// A try has failed, and another one follows.
    Retried {
        /// What the failure means for the next try.
        kind: FailureKind,
    },
    /// A named statement has met another one behind a pooler (SQLSTATE 42P05 or 26000).
    NamedStatementConflict,
}

/// An observer that does nothing.
pub fn ignore(_: Event) {}
