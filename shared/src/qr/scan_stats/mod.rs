//! Statistics of a code's scans: counts by day, hour, country, device or referrer.

mod csv;
mod query;
mod time_series;

use serde::{Deserialize, Serialize};
use tessera_postgres::{Database, IdempotentBy, Json, Plan, Statement, Type};

use super::error::CodeError;
use super::id::ShortId;
use super::read::ReadContext;
use super::verdict::{check_verdict, is_ok};

pub use self::csv::to_csv;
pub use query::{Format, GroupBy, ScanStatsQuery};

/// Counts the scans of a code in a span of time, grouped by a [`GroupBy`].
pub const SCAN_STATS: Statement = Statement {
    name: "qr.scan_stats",
    sql: concat!(
        include_str!("../sql/caller.sql"),
        include_str!("../sql/may_read.sql"),
        ",\n",
        include_str!("../sql/scan_stats.sql")
    ),
    parameters: &[
        Type::BYTEA,
        Type::TEXT,
        Type::TEXT,
        Type::INT8,
        Type::UUID,
        Type::TIMESTAMPTZ,
        Type::TIMESTAMPTZ,
        Type::TEXT,
    ],
    columns: &[("verdict", Type::TEXT), ("stats", Type::JSONB)],
    plan: Plan::EachTime,
    may_take_long: true,
    idempotent_by: IdempotentBy::Read,
};

/// The scans of one group.
#[derive(Debug, Deserialize, Serialize)]
pub struct ScanStat {
    /// The day, hour, country, device or host that these scans have in common; `None` where it is not known.
    pub key: Option<String>,
    /// Scans by people.
    pub total: i64,
    /// Scans by people, each visitor counted once a day.
    pub unique: i64,
    /// Scans by crawlers and other programs, which `total` leaves out.
    pub bots: i64,
}

/// Counts the scans of the code `id`, group by group.
pub async fn scan_stats(
    database: &Database,
    context: &ReadContext<'_>,
    id: &ShortId,
    query: &ScanStatsQuery,
) -> Result<Vec<ScanStat>, CodeError> {
    let (code, edit) = context.token_parameters();
    let row = database
        .read_one(
            &SCAN_STATS,
            &[
                &context.request.caller.key_hash(),
                &context.request.caller.owner(),
                &id.key(),
                &code,
                &edit,
                &query.from,
                &query.to,
                &query.by.as_str(),
            ],
            is_ok,
            context.request.deadline,
        )
        .await?;
    check_verdict(&row)?;
    let Json(found) = row.get("stats");
    Ok(time_series::fill_gaps(query, found))
}
