//! Counts what happens between requests and the database.

use tessera_postgres::FailureKind;
use tessera_postgres::observer::Event;

use super::metric::Metric;
use super::recorder::{add_time, count};

/// Counts an event of the database connection; the [`Observer`](tessera_postgres::observer::Observer) of every
/// function.
pub(crate) fn observe_database(event: Event) {
    match event {
        Event::Connected { took, replacement } => {
            add_time(Metric::ConnectTime, took);
            count(Metric::ConnectionsOpened);
            if replacement {
                count(Metric::Reconnects);
            }
        }
        Event::WaitedForConnection { waited } => {
            count(Metric::PoolWaits);
            add_time(Metric::PoolWaitTime, waited);
        }
        Event::StatementSent => count(Metric::RoundTrips),
        Event::StatementAnswered { took } => add_time(Metric::StatementTime, took),
        Event::Retried { kind } => {
            count(Metric::Retries);
            if let Some(retries) = retries_of(kind) {
                count(retries);
            }
        }
        Event::NamedStatementConflict => count(Metric::PreparedStatementConflicts),
    }
}

/// The metric that counts retries after a kind of failure; `None` for kinds that are never retried.
fn retries_of(kind: FailureKind) -> Option<Metric> {
    match kind {
        FailureKind::NotSent => Some(Metric::RetriesNotSent),
        FailureKind::ServerBusy => Some(Metric::RetriesServerBusy),
        FailureKind::RolledBack => Some(Metric::RetriesRolledBack),
        FailureKind::RolledBackReconnect => Some(Metric::RetriesRolledBackReconnect),
        FailureKind::Unknown => Some(Metric::RetriesUnknown),
        FailureKind::ServerFault => Some(Metric::RetriesServerFault),
        FailureKind::Credentials => Some(Metric::RetriesCredentials),
        FailureKind::Cancelled => Some(Metric::RetriesCancelled),
        FailureKind::NamedStatement | FailureKind::Permanent => None,
    }
}
