//! Resolves a scanned code and records the scan: the hot path.

use tessera_postgres::{Database, Deadline, IdempotentBy, Plan, Statement, Type};
use uuid::Uuid;

use super::error::{CodeError, InactiveReason};
use super::id::ShortId;
use super::visit::{Visit, VisitKind};
use crate::metrics::{self, Metric};

/// Finds a code's target and records the scan, in one statement.
pub const REDIRECT: Statement = Statement {
    name: "qr.redirect",
    sql: include_str!("sql/redirect.sql"),
    parameters: &[Type::TEXT, Type::UUID, Type::TEXT, Type::BYTEA, Type::TEXT, Type::TEXT, Type::TEXT],
    columns: &[
        ("state", Type::TEXT),
        ("target_url", Type::TEXT),
        ("redirect_status", Type::INT2),
        ("forward_query", Type::BOOL),
        ("seconds_until_valid", Type::INT8),
    ],
    plan: Plan::Kept,
    may_take_long: false,
    idempotent_by: IdempotentBy::UniqueConstraint("scans_pkey, scan_quotas.recent"),
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
pub async fn follow(
    database: &Database,
    id: &ShortId,
    visit: &Visit,
    deadline: Deadline,
) -> Result<Redirect, CodeError> {
    // Version 7, so that new rows stay together in the index. Time itself is the database's.
    let scan = Uuid::now_v7();
    let rows = database
        .query(
            &REDIRECT,
            &[
                &id.key(),
                &scan,
                &visit.kind.as_str(),
                &visit.digest.as_slice(),
                &visit.country,
                &visit.device.as_str(),
                &visit.referrer,
            ],
            deadline,
        )
        .await?;
    let row = rows.first().ok_or(CodeError::NotFound)?;
    match row.get("state") {
        "live" => {
            if visit.kind == VisitKind::Person {
                metrics::count(Metric::Scans);
            }
            Ok(Redirect {
                target_url: row.get("target_url"),
                status: u16::try_from(row.get::<_, i16>("redirect_status")).unwrap_or(302),
                forward_query: row.get("forward_query"),
            })
        }
        "early" => {
            let seconds: i64 = row.get("seconds_until_valid");
            Err(CodeError::NotYetValid { seconds: u64::try_from(seconds).unwrap_or(1) })
        }
        "expired" => Err(CodeError::Inactive(InactiveReason::Expired)),
        "used_up" => Err(CodeError::Inactive(InactiveReason::UsedUp)),
        "disabled" => Err(CodeError::Inactive(InactiveReason::Disabled)),
        "deleted" => Err(CodeError::Inactive(InactiveReason::Deleted)),
        other => Err(CodeError::UnknownVerdict(other.to_owned())),
    }
}
