//! The list of metrics: names, units and what each counts.

/// Declares the metrics, each with its unit, and with another name for CloudWatch where it has one.
macro_rules! metrics {
    (@name $name:ident $name_in_cloudwatch:literal) => { $name_in_cloudwatch };
    (@name $name:ident) => { stringify!($name) };
    ($($(#[$doc:meta])* $name:ident $(as $name_in_cloudwatch:literal)?: $unit:ident,)*) => {
        /// A metric. Its name in CloudWatch is the variant's, or the one beside it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Metric {
            $($(#[$doc])* $name,)*
        }

        impl Metric {
            /// Every metric.
            pub const ALL: &[Metric] = &[$(Metric::$name,)*];

            /// The metric's name in CloudWatch.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Metric::$name => metrics!(@name $name $($name_in_cloudwatch)?),)*
                }
            }

            /// The metric's unit, as CloudWatch spells it.
            #[must_use]
            pub fn unit(self) -> &'static str {
                match self {
                    $(Metric::$name => stringify!($unit),)*
                }
            }
        }
    };
}

metrics! {
    /// Connections to the database that were opened.
    ConnectionsOpened: Count,
    /// Time that opening connections took: name resolution, TCP, TLS, authentication.
    ConnectTime: Milliseconds,
    /// Connections opened in place of one that was lost or had been idle for too long.
    Reconnects: Count,
    /// Statements sent again after a failure.
    Retries: Count,
    /// Retries because no server got the statement: it refused the connection, cut it off or could not be reached.
    RetriesNotSent as "RetriesNeverRan": Count,
    /// Retries because the server or pooler was starting, full or waking up.
    RetriesServerBusy as "RetriesBusy": Count,
    /// Retries because the server rolled the statement back: a deadlock, a serialization failure, a lock that it did
    /// not get.
    RetriesRolledBack as "RetriesUndone": Count,
    /// Retries on another connection because this one could not run the statement: a standby after a failover, or a
    /// session that was ended.
    RetriesRolledBackReconnect as "RetriesUndoneElsewhere": Count,
    /// Retries because the connection was lost, so that nobody knows whether the statement ran.
    RetriesUnknown: Count,
    /// Retries because the server lacked disk, memory or another resource, or had an error of its own.
    RetriesServerFault: Count,
    /// Retries because the credentials were refused and have been read again.
    RetriesCredentials: Count,
    /// Retries because the server cancelled the statement.
    RetriesCancelled: Count,
    /// Statements that found no free connection: the server or pooler had none, or another request of the container was
    /// still opening the shared one.
    PoolWaits: Count,
    /// Time that these statements lost, until the next try.
    PoolWaitTime: Milliseconds,
    /// Statements sent: each is one network round trip.
    RoundTrips: Count,
    /// Time from sending a statement to its answer.
    StatementTime: Milliseconds,
    /// Conflicts over named statements behind a pooler (SQLSTATE 42P05 and 26000). Tessera names none, so that anything
    /// but zero is a defect.
    PreparedStatementConflicts: Count,
    /// Requests that were answered with 5xx.
    ServerErrors: Count,
    /// Codes created.
    Creates: Count,
    /// Redirects of people's scans.
    Scans: Count,
    /// Redirects of people's scans that the database could not count, for a full disk, a server that takes no writes or the
    /// like.
    ScansMissed: Count,
    /// Webhook events stored.
    Events: Count,
    /// Webhook events that had been stored before.
    DuplicateEvents: Count,
    /// Webhook events stored whose effects were invalid.
    FailedEvents: Count,
    /// Webhook requests refused for their signature.
    RejectedSignatures: Count,
    /// Jobs delivered.
    JobsDone: Count,
    /// Delivery attempts that failed and will be repeated.
    JobsFailed: Count,
    /// Jobs given up.
    JobsDead: Count,
    /// Jobs that are due and not running, when last counted; the worker counts to 1,000 at most.
    QueueDepth: Count,
    /// Open alerts, when last counted.
    OpenAlerts: Count,
    /// Connections in use, in percent of the tightest limit, when last counted.
    ConnectionsUsedPercent: Percent,
    /// Replay lag of the slowest replica, when last measured.
    ReplicaLag: Seconds,
    /// The most memory that the process has had since it started.
    PeakMemory: Megabytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_lists_every_metric() {
        let documented = include_str!("../../../docs/deploy.md");
        for metric in Metric::ALL {
            assert!(documented.contains(&format!("`{}`", metric.name())), "{}", metric.name());
        }
    }
}
