//! What state the installation is in: one statement gathers the facts, pure functions judge them.
//!
//! The facts are the database's own, since one container's memory means nothing on Lambda. [`report`] is for the
//! `health` function and `cargo tessera doctor` alike, so both say the same of the same trouble.

mod advice;
pub mod check;
mod checks;
pub mod facts;
mod prometheus;

pub use advice::advice;
pub use check::{Check, Status, Verdict};
pub use facts::Facts;
pub use prometheus::{CONTENT_TYPE, render as prometheus};

use crate::clock::epoch_ms;
use facts::{Answer, Answers};
use tessera_postgres::{Database, DatabaseError, Deadline, IdempotentBy, Json, Plan, Statement, Type};

/// Gathers a report's facts; a read.
pub const REPORT: Statement = Statement {
    name: "health.report",
    sql: include_str!("report.sql"),
    parameters: &[Type::BYTEA, Type::BOOL, Type::TEXT_ARRAY],
    columns: &[("facts", Type::JSONB)],
    plan: Plan::EachTime,
    idempotent_by: IdempotentBy::Read,
};

/// How far a replica is behind, asked of the replica; a read.
pub const REPLICA: Statement = Statement {
    name: "health.replica",
    sql: "SELECT jsonb_build_object(
              'inRecovery', pg_is_in_recovery(),
              'lagSeconds', CASE
                  WHEN NOT pg_is_in_recovery() THEN 0
                  WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
                  ELSE extract(epoch FROM clock_timestamp()
                               - coalesce(pg_last_xact_replay_timestamp(), pg_postmaster_start_time())) END) AS facts",
    parameters: &[],
    columns: &[("facts", Type::JSONB)],
    plan: Plan::EachTime,
    idempotent_by: IdempotentBy::Read,
};

/// The tables that the functions use.
pub const TABLES: &[&str] = &[
    "api_keys",
    "codes",
    "code_versions",
    "scans",
    "scan_totals",
    "visitors",
    "scan_quotas",
    "idempotency_keys",
    "visitor_key",
    "events",
    "accounts",
    "transactions",
    "jobs",
    "alerts",
    "upkeep",
];

/// The migrations that this release was written for, as [`crate::migrations`] embeds them.
pub const MIGRATIONS: &[&str] = &["0001_codes", "0002_webhooks"];

/// How much is asked for, and by whom.
#[derive(Debug, Clone, Copy)]
pub enum Detail<'a> {
    /// What decides the status, for anybody.
    Status,
    /// Everything, for the holder of the key with this SHA-256, if it has `ops:read`.
    Full(&'a [u8]),
    /// Everything, for an operator who holds the database's own credentials.
    Operator,
}

/// A judged report.
#[derive(Debug)]
pub struct Report {
    /// What was seen.
    pub facts: Facts,
    /// What to think of it, worst first.
    pub checks: Vec<Check>,
}

/// The replica's own word.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaFacts {
    /// Whether it is a replica at all.
    pub in_recovery: bool,
    /// Age of the last change it has applied, or of its start before the first, in seconds; 0 while nothing waits.
    pub lag_seconds: f64,
}

impl Report {
    /// Judges `facts`; `local_epoch_ms` is this machine's time when they arrived.
    #[must_use]
    pub fn new(facts: Facts, local_epoch_ms: f64) -> Self {
        let mut checks = checks::all(&facts, local_epoch_ms);
        checks.sort_by_key(|check| std::cmp::Reverse(check.verdict));
        Self { facts, checks }
    }

    /// Adds what was found out elsewhere.
    pub fn add(&mut self, check: Check) {
        self.checks.push(check);
        self.checks.sort_by_key(|check| std::cmp::Reverse(check.verdict));
    }

    /// Connections in use, in percent of the tightest limit that applies.
    #[must_use]
    pub fn connections_used_percent(&self) -> f64 {
        checks::connections_used(&self.facts).3
    }

    /// The worst verdict, in a word.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::from_checks(&self.checks)
    }
}

/// Gathers and judges: one round trip.
pub async fn report(
    database: &Database,
    detail: Detail<'_>,
    deadline: Deadline,
) -> Result<Report, DatabaseError> {
    let key = match detail {
        Detail::Full(hash) => Some(hash),
        _ => None,
    };
    let is_full = !matches!(detail, Detail::Status);
    let row = database.query_one(&REPORT, &[&key, &is_full, &TABLES], deadline).await?;
    Ok(Report::new(parse_facts(&row)?, epoch_ms()))
}

/// Asks the replica: one round trip.
pub async fn replica(database: &Database, deadline: Deadline) -> Result<Check, DatabaseError> {
    check_from_replica_row(&database.query_one(&REPLICA, &[], deadline).await?)
}

/// What an answer to [`REPLICA`] says.
pub fn check_from_replica_row(row: &tessera_postgres::Row) -> Result<Check, DatabaseError> {
    match row.try_get::<_, Json<ReplicaFacts>>("facts") {
        Ok(Json(facts)) => Ok(checks::replica(&facts)),
        Err(_) => Err(DatabaseError::WrongShape { statement: REPLICA.name }),
    }
}

/// The facts of an answer to [`REPORT`].
pub fn parse_facts(row: &tessera_postgres::Row) -> Result<Facts, DatabaseError> {
    match row.try_get::<_, Json<Facts>>("facts") {
        Ok(Json(facts)) => Ok(facts),
        Err(error) => {
            tracing::error!(%error, "the report is not of the declared shape");
            Err(DatabaseError::WrongShape { statement: REPORT.name })
        }
    }
}

/// Whether the caller may see the details. Without a readable table of keys nobody can be known.
#[must_use]
pub fn permission(answers: &Answers) -> Permission {
    match &answers.caller {
        Answer::Here(Some(word)) if word == "ok" => Permission::Granted,
        Answer::Here(Some(_)) => Permission::Forbidden,
        Answer::Here(None) => Permission::UnknownKey,
        Answer::Missing | Answer::Hidden | Answer::Locked | Answer::Skipped => Permission::Undecided,
    }
}

/// What is known of a caller's right to the details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// A good key with `ops:read`.
    Granted,
    /// A good key without it.
    Forbidden,
    /// No such key.
    UnknownKey,
    /// The table of keys is missing, locked or may not be read.
    Undecided,
}

#[cfg(all(test, feature = "migrations"))]
mod tests {
    #[test]
    fn the_migrations_that_are_expected_are_those_that_are_embedded() {
        let embedded: Vec<_> = crate::migrations::MIGRATIONS.iter().map(|migration| migration.name).collect();
        assert_eq!(super::MIGRATIONS, embedded, "health::MIGRATIONS is behind");
    }

    #[test]
    fn every_table_that_the_migrations_make_is_watched() {
        for migration in crate::migrations::MIGRATIONS {
            let made = migration.up.lines().filter_map(|line| line.strip_prefix("CREATE TABLE "));
            for table in made.filter_map(|rest| rest.split(' ').next()) {
                assert!(super::TABLES.contains(&table), "health::TABLES lacks {table} of {}", migration.name);
            }
        }
    }
}
