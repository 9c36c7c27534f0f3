//! The one table of the errors of PostgreSQL and poolers, and what they mean.
//!
//! A row is a set of SQLSTATEs and, where the code alone is ambiguous, phrases of the message. The first row that
//! matches gives what a retry needs to know ([`FailureKind`]) and what a person needs to know ([`Diagnosis`], with its
//! texts in `diagnosis_text.rs`). Everything else follows from the two: whether and how to retry, what is counted, and
//! what `doctor` and health report. Nothing else matches a SQLSTATE or a pooler's phrase.

use super::{Diagnosis, FailureKind};

/// A row of the table: what the server or pooler sends, and what it means.
pub(super) struct Row {
    /// The codes that match ([appendix A](https://www.postgresql.org/docs/current/errcodes-appendix.html)). If empty,
    /// any code matches.
    sqlstates: &'static [&'static str],
    /// The phrases, in lower case, of which the message must contain one. If empty, any message matches.
    phrases: &'static [&'static str],
    pub(super) kind: FailureKind,
    pub(super) diagnosis: Diagnosis,
}

/// The codes under which poolers send messages of their own: `protocol_violation`, the connection exceptions,
/// `internal_error`, `system_error`.
const POOLER_CODES: &[&str] = &["08P01", "08000", "08001", "08004", "XX000", "58000"];

const fn code(sqlstates: &'static [&'static str], kind: FailureKind, diagnosis: Diagnosis) -> Row {
    Row { sqlstates, phrases: &[], kind, diagnosis }
}

const fn pooler(phrases: &'static [&'static str], diagnosis: Diagnosis) -> Row {
    Row { sqlstates: POOLER_CODES, phrases, kind: FailureKind::ServerBusy, diagnosis }
}

/// The rows, from the most specific to the least.
#[rustfmt::skip]
pub(super) const TABLE: &[Row] = &[
    // duplicate_prepared_statement, invalid_sql_statement_name
    code(&["42P05", "26000"], FailureKind::NamedStatement, Diagnosis::NamedStatement),

    // invalid_authorization_specification, invalid_password
    Row {
        sqlstates: &["28000"],
        phrases: &["pg_hba.conf", "encryption", "ssl"],
        kind: FailureKind::Credentials,
        diagnosis: Diagnosis::NotAdmitted,
    },
    code(&["28000", "28P01"], FailureKind::Credentials, Diagnosis::Password),

    // Messages of permanent failures, under codes that may also mean a transient one.
    Row {
        sqlstates: &[],
        phrases: &["no such database"],
        kind: FailureKind::Permanent,
        diagnosis: Diagnosis::NoDatabase,
    },
    Row {
        sqlstates: &[],
        phrases: &["unsupported startup parameter"],
        kind: FailureKind::Permanent,
        diagnosis: Diagnosis::Parameter,
    },
    Row {
        sqlstates: &[],
        phrases: &["endpoint is disabled"],
        kind: FailureKind::Permanent,
        diagnosis: Diagnosis::EndpointDisabled,
    },
    // invalid_catalog_name
    code(&["3D000"], FailureKind::Permanent, Diagnosis::NoDatabase),

    // too_many_connections, cannot_connect_now, lock_not_available
    code(&["53300"], FailureKind::ServerBusy, Diagnosis::SlotsFull),
    code(&["57P03"], FailureKind::ServerBusy, Diagnosis::Starting),
    code(&["55P03"], FailureKind::ServerBusy, Diagnosis::Slow),

    // PgBouncer, whose texts are in its `src/client.c`, `objects.c` and `janitor.c`; 08P01.
    pooler(&["query_wait_timeout", "no more connections allowed"], Diagnosis::PoolerFull),
    pooler(&["pooler is shut down", "the database system is starting up"], Diagnosis::Starting),
    pooler(
        &[
            "server_login_retry", "server login has been failing", "server login failed", "server conn crashed",
            "pgbouncer cannot connect to server", "client_login_timeout", "closing because",
            "server closed the connection", "server connection closed", "server dns lookup failed",
            "invalid server parameter", "connect failed", "connect timeout", "server lifetime over",
        ],
        Diagnosis::PoolerWithoutServer,
    ),
    // Supavisor, XX000.
    pooler(
        &["max client connections reached", "max clients reached", "unable to check out"],
        Diagnosis::PoolerFull,
    ),
    // Neon, XX000.
    pooler(&["too many database connection attempts"], Diagnosis::PoolerFull),
    pooler(
        &["couldn't connect to compute node", "control plane request failed"],
        Diagnosis::PoolerWithoutServer,
    ),
    // RDS Proxy.
    pooler(&["timed-out waiting to acquire database connection"], Diagnosis::PoolerFull),

    // serialization_failure, deadlock_detected
    code(&["40001", "40P01"], FailureKind::RolledBack, Diagnosis::Conflict),
    // admin_shutdown, idle_session_timeout
    code(&["57P01", "57P05"], FailureKind::RolledBackReconnect, Diagnosis::Starting),
    // read_only_sql_transaction: a standby, until the failover has ended
    code(&["25006"], FailureKind::RolledBackReconnect, Diagnosis::ReadOnly),
    // in_failed_sql_transaction: another client's, left on a server connection by a broken pooler
    code(&["25P02"], FailureKind::RolledBackReconnect, Diagnosis::Conflict),
    // crash_shutdown
    code(&["57P02"], FailureKind::Unknown, Diagnosis::Starting),
    // statement_completion_unknown, connection_failure, connection_does_not_exist
    code(&["40003", "08006", "08003"], FailureKind::Unknown, Diagnosis::Closed),
    // query_canceled
    code(&["57014"], FailureKind::Cancelled, Diagnosis::Slow),

    // undefined_table, undefined_column, undefined_function, invalid_schema_name
    code(&["42P01", "42703", "42883", "3F000"], FailureKind::Permanent, Diagnosis::Schema),
    // insufficient_privilege
    code(&["42501"], FailureKind::Permanent, Diagnosis::Rights),

    // Poolers refuse users with codes of their own.
    Row {
        sqlstates: POOLER_CODES,
        phrases: &["password", "authentication", "no such user"],
        kind: FailureKind::Credentials,
        diagnosis: Diagnosis::Password,
    },

    // disk_full; out_of_memory; insufficient_resources, configuration_limit_exceeded
    code(&["53100"], FailureKind::ServerFault, Diagnosis::DiskFull),
    code(&["53200"], FailureKind::ServerFault, Diagnosis::OutOfMemory),
    code(&["53000", "53400"], FailureKind::ServerFault, Diagnosis::ResourceLimit),
    // system_error, io_error, undefined_file, duplicate_file, file_name_too_long; data_corrupted, index_corrupted
    code(
        &["58000", "58030", "58P01", "58P02", "58P03", "XX001", "XX002"],
        FailureKind::ServerFault,
        Diagnosis::Storage,
    ),
    // internal_error, operator_intervention, object_not_in_prerequisite_state
    code(&["XX000", "57000", "55000"], FailureKind::ServerFault, Diagnosis::ServerFault),
];

/// What an error means that matches no row.
const UNLISTED: (FailureKind, Diagnosis) = (FailureKind::Permanent, Diagnosis::Other);

/// Looks up a code and a message in the table.
pub(super) fn look_up(sqlstate: &str, message: &str) -> (FailureKind, Diagnosis) {
    let message = message.to_lowercase();
    TABLE.iter().find(|row| row.matches(sqlstate, &message)).map_or(UNLISTED, |row| (row.kind, row.diagnosis))
}

impl Row {
    fn matches(&self, sqlstate: &str, message: &str) -> bool {
        (self.sqlstates.is_empty() || self.sqlstates.contains(&sqlstate))
            && (self.phrases.is_empty() || self.phrases.iter().any(|phrase| message.contains(phrase)))
    }
}

/// An error that the table lists, and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedError {
    /// The SQLSTATE that comes with it.
    pub sqlstate: &'static str,
    /// The phrase of its message by which the row matches, or any text where the code is enough.
    pub message: &'static str,
    /// What it means for the next try.
    pub kind: FailureKind,
    /// What is wrong, and what a person can do about it.
    pub diagnosis: Diagnosis,
}

/// Lists every code and phrase of the table, for tests of what is built on it.
pub fn listed_errors() -> impl Iterator<Item = ListedError> {
    TABLE.iter().flat_map(|row| {
        let codes = if row.sqlstates.is_empty() { POOLER_CODES } else { row.sqlstates };
        let phrases = if row.phrases.is_empty() { &["refused"] } else { row.phrases };
        codes.iter().flat_map(move |sqlstate| {
            phrases.iter().map(move |message| ListedError {
                sqlstate,
                message,
                kind: row.kind,
                diagnosis: row.diagnosis,
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_is_hidden_by_one_above_it() {
        for known in listed_errors() {
            let found = look_up(known.sqlstate, &known.message.to_uppercase());
            assert_eq!(found, (known.kind, known.diagnosis), "{known:?}");
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_permanent_and_told_as_such() {
        for (sqlstate, message) in [("23505", "duplicate key"), ("42601", "syntax error"), ("", "")] {
            assert_eq!(look_up(sqlstate, message), UNLISTED, "{sqlstate}");
        }
    }

    #[test]
    fn every_diagnosis_has_words_of_its_own() {
        let mut names: Vec<_> = listed_errors().map(|known| known.diagnosis).collect();
        names.dedup();
        for diagnosis in names {
            for text in [diagnosis.name(), diagnosis.summary(), diagnosis.advice()] {
                assert!(!text.is_empty(), "{diagnosis:?}");
            }
        }
    }
}
