//! `GET /qr/{shortId}/scans`: statistics of a code's scans, as JSON or CSV.

use jiff::Timestamp;
use serde::Serialize;
use shared::http::{self, Body, HandlerError, HandlerResult, PublicError, StatusCode, query_pairs};
use shared::qr::id::ShortId;
use shared::qr::scan_stats::{Format, GroupBy, ScanStat, ScanStatsQuery, scan_stats, to_csv};

use crate::api_request::ApiRequest;

/// The statistics, and the query that they answer.
#[derive(Serialize)]
struct ScanStats {
    from: Timestamp,
    to: Timestamp,
    by: GroupBy,
    items: Vec<ScanStat>,
}

pub(crate) async fn scans(api: ApiRequest, id: ShortId) -> HandlerResult {
    api.require_caller()?;
    let query = ScanStatsQuery::parse(&query_pairs(&api.http))?;
    let stats = scan_stats(&api.state.database, &api.read_context()?, &id, &query).await?;
    match query.format {
        Format::Json => {
            let ScanStatsQuery { from, to, by, .. } = query;
            Ok(http::json(StatusCode::OK, &ScanStats { from, to, by, items: stats }))
        }
        Format::Csv => {
            let text = to_csv(query.by, &stats)
                .map_err(|error| HandlerError::caused(PublicError::Internal, error))?;
            Ok(http::respond(StatusCode::OK, "text/csv; charset=utf-8", Body::Text(text)))
        }
    }
}
