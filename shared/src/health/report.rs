//! The report: its statement, and the checks on what that statement returns.

use tessera_postgres::{Database, DatabaseError, Deadline, IdempotentBy, Json, Plan, Row, Statement, Type};

use super::check::{Check, Status};
use super::checks;
use super::expected_schema::TABLES;
use super::facts::Facts;
use crate::clock::epoch_ms;

/// Gathers a report's facts; a read.
pub const REPORT: Statement = Statement {
    name: "health.report",
    sql: include_str!("report.sql"),
    parameters: &[Type::BYTEA, Type::BOOL, Type::TEXT_ARRAY],
    columns: &[("facts", Type::JSONB)],
    plan: Plan::EachTime,
    may_take_long: true,
    idempotent_by: IdempotentBy::Read,
};

/// How much of the report is requested, and by whom.
#[derive(Debug, Clone, Copy)]
pub enum Detail<'a> {
    /// What decides the status, for anybody.
    Status,
    /// Everything, for the holder of the key with this SHA-256, if the key has the scope `ops:read`.
    Full(&'a [u8]),
    /// Everything, for an operator who holds the database's own credentials.
    Operator,
}

/// The facts, and the checks that were made on them.
#[derive(Debug)]
pub struct Report {
    /// What the database returned.
    pub facts: Facts,
    /// The checks, worst first.
    pub checks: Vec<Check>,
}

impl Report {
    /// Runs the checks on `facts`. `local_epoch_ms` is this machine's time when they arrived, in milliseconds since
    /// 1970.
    #[must_use]
    pub fn new(facts: Facts, local_epoch_ms: f64) -> Self {
        let mut report = Self { checks: checks::run_all(&facts, local_epoch_ms), facts };
        report.sort_checks();
        report
    }

    /// Adds a check that was made outside of the report's own statement.
    pub fn add(&mut self, check: Check) {
        self.checks.push(check);
        self.sort_checks();
    }

    fn sort_checks(&mut self) {
        self.checks.sort_by_key(|check| std::cmp::Reverse(check.verdict));
    }

    /// Connections in use, in percent of the tightest limit that applies.
    #[must_use]
    pub fn connections_used_percent(&self) -> f64 {
        checks::connection_usage(&self.facts).percent
    }

    /// The status of the installation, which is that of the worst check.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::from_checks(&self.checks)
    }
}

/// Gathers the facts in one round trip and runs the checks on them.
pub async fn report(
    database: &Database,
    detail: Detail<'_>,
    deadline: Deadline,
) -> Result<Report, DatabaseError> {
    let key = match detail {
        Detail::Full(hash) => Some(hash),
        Detail::Status | Detail::Operator => None,
    };
    let is_full = !matches!(detail, Detail::Status);
    let row = database.query_one(&REPORT, &[&key, &is_full, &TABLES], deadline).await?;
    Ok(Report::new(parse_facts(&row)?, epoch_ms()))
}

/// Reads the facts from a row of [`REPORT`].
pub fn parse_facts(row: &Row) -> Result<Facts, DatabaseError> {
    match row.try_get::<_, Json<Facts>>("facts") {
        Ok(Json(facts)) => Ok(facts),
        Err(error) => {
            tracing::error!(%error, "the report is not of the declared shape");
            Err(DatabaseError::WrongShape { statement: REPORT.name })
        }
    }
}
