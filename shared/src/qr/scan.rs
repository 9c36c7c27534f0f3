//! Resolves a scanned code and records the scan: the hot path.

use std::time::Duration;

use tessera_postgres::{
    Database, DatabaseError, Deadline, IdempotentBy, Parameters, Plan, Row, Statement, Type,
};
use uuid::Uuid;

use super::error::{CodeError, InactiveReason};
use super::id::ShortId;
use super::visit::{Visit, VisitKind};
use crate::metrics::{self, Metric};

/// The time that is kept for [`RESOLVE`] when the database takes no writes until the deadline.
const TIME_TO_RESOLVE: Duration = Duration::from_millis(500);

/// What both statements return of a code.
const COLUMNS: &[(&str, Type)] = &[
    ("state", Type::TEXT),
    ("target_url", Type::TEXT),
    ("redirect_status", Type::INT2),
    ("forward_query", Type::BOOL),
    ("valid_since", Type::TIMESTAMPTZ),
    ("seconds_until_valid", Type::INT8),
];

/// Finds a code's target and records the scan, in one statement.
pub const REDIRECT: Statement = Statement {
    name: "qr.redirect",
    sql: include_str!("sql/redirect.sql"),
    parameters: &[Type::TEXT, Type::UUID, Type::TEXT, Type::BYTEA, Type::TEXT, Type::TEXT, Type::TEXT],
    columns: COLUMNS,
    plan: Plan::Kept,
    may_take_long: false,
    idempotent_by: IdempotentBy::UniqueConstraint("scans_pkey, scan_quotas.recent"),
};

/// Finds a code's target and changes nothing, for when [`REDIRECT`] cannot write; a read.
pub const RESOLVE: Statement = Statement {
    name: "qr.resolve",
    sql: include_str!("sql/resolve.sql"),
    parameters: &[Type::TEXT, Type::TEXT],
    columns: COLUMNS,
    plan: Plan::EachTime,
    may_take_long: false,
    idempotent_by: IdempotentBy::Read,
};

/// The redirect that answers a scan.
#[derive(Debug)]
pub struct Redirect {
    /// The code's target, as its owner gave it.
    pub target_url: String,
    /// The status of the response: 301, 302, 303, 307 or 308.
    pub status: u16,
    /// Whether the request's query is to be appended to that of the target.
    pub forward_query: bool,
}

/// Finds the target of the code `id`, and records the visit as a scan if it counts as one. Fails if there is no such
/// code, or if it does not redirect (yet, or any more).
///
/// If the database cannot write, a code without a limit still leads where it should, and the scan is missed.
pub async fn follow(
    database: &Database,
    id: &ShortId,
    visit: &Visit,
    deadline: Deadline,
) -> Result<Redirect, CodeError> {
    let counted = count(database, id, visit, deadline.earlier_by(TIME_TO_RESOLVE)).await;
    let (rows, metric) = match counted {
        Err(error) if error.diagnosis().may_spare_reads() => {
            (resolve(database, id, visit, deadline, error).await?, Metric::ScansMissed)
        }
        counted => (counted?, Metric::Scans),
    };
    let redirect = redirect_from_row(rows.first().ok_or(CodeError::NotFound)?)?;
    if visit.kind == VisitKind::Person {
        metrics::count(metric);
    }
    Ok(redirect)
}

/// Resolves the code and records the scan.
async fn count(
    database: &Database,
    id: &ShortId,
    visit: &Visit,
    deadline: Deadline,
) -> Result<Vec<Row>, DatabaseError> {
    // Version 7, so that new rows stay together in the index. Time itself is the database's.
    let scan = Uuid::now_v7();
    let parameters: Parameters<'_> = &[
        &id.key(),
        &scan,
        &visit.kind.as_str(),
        &visit.digest.as_slice(),
        &visit.country,
        &visit.device.as_str(),
        &visit.referrer,
    ];
    database.query(&REDIRECT, parameters, deadline).await
}

/// Resolves the code without recording the scan, which failed for `reason`. Fails for that reason if the code cannot be
/// followed uncounted, or if reading fails as well.
async fn resolve(
    database: &Database,
    id: &ShortId,
    visit: &Visit,
    deadline: Deadline,
    reason: DatabaseError,
) -> Result<Vec<Row>, DatabaseError> {
    let Ok(rows) = database.query(&RESOLVE, &[&id.key(), &visit.kind.as_str()], deadline).await else {
        return Err(reason);
    };
    if rows.first().is_some_and(|row| row.get::<_, &str>("state") == "uncounted") {
        return Err(reason);
    }
    tracing::error!(error = %reason, "a redirect could not be counted");
    Ok(rows)
}

/// Reads the redirect from a row of [`REDIRECT`] or [`RESOLVE`], or the reason why there is none.
fn redirect_from_row(row: &Row) -> Result<Redirect, CodeError> {
    match row.get("state") {
        "live" => Ok(Redirect {
            target_url: row.get("target_url"),
            status: u16::try_from(row.get::<_, i16>("redirect_status")).unwrap_or(302),
            forward_query: row.get("forward_query"),
        }),
        "early" => {
            let seconds: i64 = row.get("seconds_until_valid");
            let seconds = u64::try_from(seconds).unwrap_or(1);
            Err(CodeError::NotYetValid { since: row.get("valid_since"), seconds })
        }
        "expired" => Err(CodeError::Inactive(InactiveReason::Expired)),
        "used_up" => Err(CodeError::Inactive(InactiveReason::UsedUp)),
        "disabled" => Err(CodeError::Inactive(InactiveReason::Disabled)),
        "deleted" => Err(CodeError::Inactive(InactiveReason::Deleted)),
        other => Err(CodeError::UnknownVerdict(other.to_owned())),
    }
}
