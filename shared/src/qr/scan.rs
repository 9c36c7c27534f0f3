//! Following a code: the hot path.

use uuid::Uuid;

use super::id::ShortId;
use super::visit::{Kind, Visit};
use crate::error::{GoneReason, PublicError};
use crate::metrics::{self, Metric};
use tessera_postgres::Deadline;
use tessera_postgres::{Database, Type};
use tessera_postgres::{IdempotentBy, Statement};

/// Resolves a code and records its scan.
pub const REDIRECT: Statement = Statement {
    name: "qr.redirect",
    sql: include_str!("sql/redirect.sql"),
    parameters: &[Type::TEXT, Type::UUID, Type::TEXT, Type::BYTEA, Type::TEXT, Type::TEXT, Type::TEXT],
    idempotent_by: IdempotentBy::UniqueConstraint("scans_pkey, scan_quotas.recent"),
};

/// Where to send the visitor.
#[derive(Debug)]
pub struct Redirect {
    /// As its owner gave it.
    pub target_url: String,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// Whether the request's query is to be merged into the target.
    pub forward_query: bool,
}

/// Follows the code `id` as `visit`, and counts it if it is one to count.
pub async fn follow(
    database: &Database,
    id: &ShortId,
    visit: &Visit,
    deadline: Deadline,
) -> Result<Redirect, PublicError> {
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
    let row = rows.first().ok_or(PublicError::NotFound)?;
    match row.get("state") {
        "live" => {
            if visit.kind == Kind::Person {
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
            Err(PublicError::NotYet { seconds: u64::try_from(seconds).unwrap_or(1) })
        }
        "expired" => Err(PublicError::Gone(GoneReason::Expired)),
        "used_up" => Err(PublicError::Gone(GoneReason::UsedUp)),
        "disabled" => Err(PublicError::Gone(GoneReason::Disabled)),
        "deleted" => Err(PublicError::Gone(GoneReason::Deleted)),
        other => {
            tracing::error!(state = other, "a code's state is not in the list");
            Err(PublicError::Internal)
        }
    }
}
