//! The days or hours of a period, those without scans included.

use jiff::Timestamp;

use super::ScanStat;
use super::query::{GroupBy, ScanStatsQuery};

const SECONDS_PER_HOUR: i64 = 3600;
const SECONDS_PER_DAY: i64 = 24 * SECONDS_PER_HOUR;

/// Adds the days or hours without scans, which the statement does not return.
pub(super) fn fill_gaps(query: &ScanStatsQuery, found: Vec<ScanStat>) -> Vec<ScanStat> {
    let (step, length) = match query.by {
        GroupBy::Day => (SECONDS_PER_DAY, "2026-11-21".len()),
        GroupBy::Hour => (SECONDS_PER_HOUR, "2026-11-21T00:00:00Z".len()),
        _ => return found,
    };
    let mut found = found.into_iter().peekable();
    let mut filled = Vec::new();
    let mut at = query.from.as_second().div_euclid(step) * step;
    while at < query.to.as_second() {
        let mut key = Timestamp::from_second(at).unwrap_or_default().to_string();
        key.truncate(length);
        match found.next_if(|stat| stat.key.as_deref() == Some(key.as_str())) {
            Some(stat) => filled.push(stat),
            None => filled.push(ScanStat { key: Some(key), total: 0, unique: 0, bots: 0 }),
        }
        at += step;
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::super::query::Format;
    use super::*;

    #[test]
    fn days_without_scans_are_added() {
        let query = ScanStatsQuery {
            from: "2026-11-19T00:00:00Z".parse().unwrap(),
            to: "2026-11-22T08:00:00Z".parse().unwrap(),
            by: GroupBy::Day,
            format: Format::Json,
        };
        let found = ScanStat { key: Some("2026-11-20".to_owned()), total: 3, unique: 2, bots: 1 };
        let filled = fill_gaps(&query, vec![found]);
        let totals: Vec<_> = filled.iter().map(|stat| (stat.key.as_deref().unwrap(), stat.total)).collect();
        assert_eq!(totals, [("2026-11-19", 0), ("2026-11-20", 3), ("2026-11-21", 0), ("2026-11-22", 0)]);
    }
}
