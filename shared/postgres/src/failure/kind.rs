//! What a failure means for the next try.

use super::table;

/// What a failure means for the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The statement was not sent: connect again.
    NotSent,
    /// The server or pooler is starting, full or waking up: wait, then connect again.
    ServerBusy,
    /// The statement was rolled back, and the connection is still usable.
    RolledBack,
    /// The statement was rolled back, and this server or connection cannot run it: connect again.
    RolledBackReconnect,
    /// The connection was lost after the statement was sent, so that nobody knows whether it ran: connect again and
    /// send it again.
    Unknown,
    /// The server lacked disk, memory or another resource, or had an error of its own. The statement was rolled back, and
    /// the connection is still usable. Such a state may be over in a moment or last for hours: it is worth a retry or two,
    /// and not the whole time until the deadline.
    ServerFault,
    /// The credentials were refused: read the secret again.
    Credentials,
    /// A named statement met another one behind a pooler. It is never retried, since it is a defect that must be
    /// counted and fixed.
    NamedStatement,
    /// The server cancelled the statement. Another try makes sense only if this request has not asked for it.
    Cancelled,
    /// Another try cannot succeed.
    Permanent,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::NotSent,
        Self::ServerBusy,
        Self::RolledBack,
        Self::RolledBackReconnect,
        Self::Unknown,
        Self::ServerFault,
        Self::Credentials,
        Self::NamedStatement,
        Self::Cancelled,
        Self::Permanent,
    ];

    /// Whether another try may succeed.
    #[must_use]
    pub fn is_transient(self) -> bool {
        !matches!(self, Self::NamedStatement | Self::Permanent)
    }

    /// Whether the connection must be closed before the next try.
    #[must_use]
    pub fn ends_connection(self) -> bool {
        matches!(
            self,
            Self::NotSent | Self::ServerBusy | Self::RolledBackReconnect | Self::Unknown | Self::Credentials
        )
    }

    /// The kind's name in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::ServerBusy => "server_busy",
            Self::RolledBack => "rolled_back",
            Self::RolledBackReconnect => "rolled_back_reconnect",
            Self::Unknown => "unknown",
            Self::ServerFault => "server_fault",
            Self::Credentials => "credentials",
            Self::NamedStatement => "named_statement",
            Self::Cancelled => "cancelled",
            Self::Permanent => "permanent",
        }
    }
}

/// What was in progress when a try failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Name resolution, TCP, TLS or authentication: no statement has been sent.
    Connect,
    /// The statement was given to the connection.
    Run,
}

/// What of a failure decides about its kind.
#[derive(Debug, Clone, Copy)]
pub(super) enum Symptom<'a> {
    /// PostgreSQL or a pooler has sent an error.
    Server {
        /// The SQLSTATE, of five characters ([appendix
        /// A](https://www.postgresql.org/docs/current/errcodes-appendix.html)).
        sqlstate: &'a str,
        /// The primary message, which is all that distinguishes some errors of poolers.
        message: &'a str,
        /// Whether the error ended the connection (`FATAL` or `PANIC`), and not only the statement.
        fatal: bool,
    },
    /// The socket failed or was closed, or name resolution failed.
    Io,
    /// TLS could not be negotiated, or the certificate was refused.
    Tls,
    /// There was no response in time.
    Timeout,
    /// The driver could not encode or decode something.
    Driver,
}

/// Decides what a failure means for the next try. The table and the test below are its specification.
pub(super) fn kind_of(phase: Phase, symptom: Symptom<'_>) -> FailureKind {
    let kind = match symptom {
        Symptom::Io | Symptom::Timeout => FailureKind::Unknown,
        Symptom::Tls | Symptom::Driver => FailureKind::Permanent,
        Symptom::Server { sqlstate, message, fatal } => {
            match table::look_up(sqlstate, message).0 {
                // The connection ended for a reason that is not the statement's: PgBouncer passes on whatever error its
                // own connection to the server has. If the reason persists, connecting fails with it.
                FailureKind::Permanent | FailureKind::ServerFault if fatal && phase == Phase::Run => {
                    FailureKind::Unknown
                }
                kind => kind,
            }
        }
    };
    match (kind, phase) {
        // While connecting, no statement can have run.
        (FailureKind::Unknown, Phase::Connect) => FailureKind::NotSent,
        _ => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_failure_has_its_kind() {
        use FailureKind::{
            Cancelled, Credentials, NamedStatement, NotSent, Permanent, RolledBack, RolledBackReconnect,
            ServerBusy, ServerFault, Unknown,
        };
        use Phase::{Connect, Run};
        let server = |sqlstate, message| Symptom::Server { sqlstate, message, fatal: false };
        let fatal = |sqlstate, message| Symptom::Server { sqlstate, message, fatal: true };
        let table = [
            (Connect, Symptom::Io, NotSent),
            (Connect, Symptom::Timeout, NotSent),
            (Run, Symptom::Io, Unknown),
            (Run, Symptom::Timeout, Unknown),
            (Connect, Symptom::Tls, Permanent),
            (Run, Symptom::Driver, Permanent),
            (Connect, server("57P03", "the database system is starting up"), ServerBusy),
            (Connect, server("53300", "sorry, too many clients already"), ServerBusy),
            (Run, server("08P01", "query_wait_timeout"), ServerBusy),
            (Connect, server("08P01", "no more connections allowed (max_client_conn)"), ServerBusy),
            (
                Connect,
                server("08P01", "server login has been failing, try again later (server_login_retry)"),
                ServerBusy,
            ),
            (Connect, server("08P01", "pgbouncer cannot connect to server"), ServerBusy),
            (Run, server("08P01", "server conn crashed?"), ServerBusy),
            (Connect, server("XX000", "Couldn't connect to compute node"), ServerBusy),
            (Connect, server("XX000", "Max client connections reached"), ServerBusy),
            (Connect, fatal("08P01", "invalid server parameter"), ServerBusy),
            (Run, fatal("08P01", "server connection closed"), ServerBusy),
            (Run, fatal("08P01", "unknown pkt"), Unknown),
            (Run, server("08P01", "bind message supplies 1 parameters"), Permanent),
            (Run, fatal("57P04", "the database was dropped"), Unknown),
            (Run, fatal("3D000", "database \"x\" does not exist"), Unknown),
            (Run, server("40001", "could not serialize access"), RolledBack),
            (Run, server("40P01", "deadlock detected"), RolledBack),
            (
                Run,
                server("57P01", "terminating connection due to administrator command"),
                RolledBackReconnect,
            ),
            (Run, server("25006", "cannot execute INSERT in a read-only transaction"), RolledBackReconnect),
            (Run, server("57P02", "terminating connection because of crash"), Unknown),
            (Connect, server("57P02", "terminating connection because of crash"), NotSent),
            (Run, server("40003", "statement completion unknown"), Unknown),
            (Run, server("57014", "canceling statement due to user request"), Cancelled),
            (Connect, server("28P01", "password authentication failed"), Credentials),
            (Connect, server("28000", "no pg_hba.conf entry"), Credentials),
            (Connect, server("3D000", "database \"x\" does not exist"), Permanent),
            (Connect, server("08P01", "unsupported startup parameter: options"), Permanent),
            (Connect, server("08P01", "no such database: x"), Permanent),
            (Connect, server("XX000", "The endpoint is disabled"), Permanent),
            (Run, server("53100", "could not extend file: No space left on device"), ServerFault),
            (Run, server("53200", "out of memory"), ServerFault),
            (Run, server("53000", "insufficient resources"), ServerFault),
            (Run, server("53400", "temporary file size exceeds temp_file_limit"), ServerFault),
            (Run, server("58030", "could not write file"), ServerFault),
            (Run, server("58P01", "could not open file"), ServerFault),
            (Run, server("57000", "operator intervention"), ServerFault),
            (Run, server("55000", "object not in prerequisite state"), ServerFault),
            (Run, server("XX000", "cache lookup failed"), ServerFault),
            (Connect, fatal("53200", "out of memory"), ServerFault),
            (Run, fatal("53100", "could not write to file"), Unknown),
            (Run, server("42P01", "relation does not exist"), Permanent),
            (Run, server("42601", "syntax error"), Permanent),
            (Run, server("23505", "duplicate key"), Permanent),
            (Run, server("42P05", "prepared statement \"s0\" already exists"), NamedStatement),
            (Run, server("26000", "prepared statement \"s0\" does not exist"), NamedStatement),
        ];
        for (phase, symptom, kind) in table {
            assert_eq!(kind_of(phase, symptom), kind, "{phase:?} {symptom:?}");
        }
    }
}
