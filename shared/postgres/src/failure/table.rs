//! The one table of what a database's refusal means.
//!
//! A row is a set of SQLSTATEs and, where the code alone does not tell, phrases of the message. The first row that fits
//! says three things: what a retry needs to know ([`FailureKind`]), what a person needs to know ([`Diagnosis`], with its
//! words in `words.rs`), and through the two everything else: whether and how to retry, what is counted, what `doctor` and
//! health say. Nothing else matches a SQLSTATE or a pooler's phrase.

use super::{Diagnosis, FailureKind};

/// One row: what the server or pooler says, and what it means.
pub(super) struct Row {
    /// Any of these codes ([appendix A](https://www.postgresql.org/docs/current/errcodes-appendix.html)). Empty: any code.
    sqlstates: &'static [&'static str],
    /// The message contains any of these, in lower case. Empty: any message.
    phrases: &'static [&'static str],
    pub(super) kind: FailureKind,
    pub(super) diagnosis: Diagnosis,
}

/// Codes under which poolers send texts of their own: `protocol_violation`, the connection exceptions, `internal_error`,
/// `system_error`.
const POOLER_CODES: &[&str] = &["08P01", "08000", "08001", "08004", "XX000", "58000"];

const fn code(sqlstates: &'static [&'static str], kind: FailureKind, diagnosis: Diagnosis) -> Row {
    Row { sqlstates, phrases: &[], kind, diagnosis }
}

const fn pooler(phrases: &'static [&'static str], diagnosis: Diagnosis) -> Row {
    Row { sqlstates: POOLER_CODES, phrases, kind: FailureKind::ServerBusy, diagnosis }
}

/// From the most telling row to the least.
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

    // Texts of failures that stay, under codes that may mean "not now".
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

    // Poolers refuse users under codes of their own.
    Row {
        sqlstates: POOLER_CODES,
        phrases: &["password", "authentication", "no such user"],
        kind: FailureKind::Credentials,
        diagnosis: Diagnosis::Password,
    },
];

/// What fits no row.
const UNLISTED: (FailureKind, Diagnosis) = (FailureKind::Permanent, Diagnosis::Other);

/// Looks up a code and a message in the table.
pub(super) fn look_up(sqlstate: &str, message: &str) -> (FailureKind, Diagnosis) {
    let message = message.to_lowercase();
    TABLE.iter().find(|row| row.fits(sqlstate, &message)).map_or(UNLISTED, |row| (row.kind, row.diagnosis))
}

impl Row {
    fn fits(&self, sqlstate: &str, message: &str) -> bool {
        (self.sqlstates.is_empty() || self.sqlstates.contains(&sqlstate))
            && (self.phrases.is_empty() || self.phrases.iter().any(|phrase| message.contains(phrase)))
    }
}

/// A refusal that the table knows, and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownRefusal {
    /// The SQLSTATE that comes with it.
    pub sqlstate: &'static str,
    /// The telling part of its message, or any text where the code alone tells.
    pub message: &'static str,
    /// What it means for the next try.
    pub kind: FailureKind,
    /// What it means for a person.
    pub diagnosis: Diagnosis,
}

/// Every code and phrase that the table knows, for tests which hold what is built on it to each row.
pub fn known_refusals() -> impl Iterator<Item = KnownRefusal> {
    TABLE.iter().flat_map(|row| {
        let codes = if row.sqlstates.is_empty() { POOLER_CODES } else { row.sqlstates };
        let phrases = if row.phrases.is_empty() { &["refused"] } else { row.phrases };
        codes.iter().flat_map(move |sqlstate| {
            phrases.iter().map(move |message| KnownRefusal {
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
        for known in known_refusals() {
            let found = look_up(known.sqlstate, &known.message.to_uppercase());
            assert_eq!(found, (known.kind, known.diagnosis), "{known:?}");
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_permanent_and_told_as_such() {
        for (sqlstate, message) in [("23505", "duplicate key"), ("XX000", "cache lookup failed"), ("", "")] {
            assert_eq!(look_up(sqlstate, message), UNLISTED, "{sqlstate}");
        }
    }

    #[test]
    fn every_diagnosis_has_words_of_its_own() {
        let mut names: Vec<_> = known_refusals().map(|known| known.diagnosis).collect();
        names.dedup();
        for diagnosis in names {
            for words in [diagnosis.name(), diagnosis.seen(), diagnosis.advice()] {
                assert!(!words.is_empty(), "{diagnosis:?}");
            }
        }
    }
}
