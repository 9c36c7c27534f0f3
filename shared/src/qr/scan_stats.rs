//! Statistics of a code's scans: the numbers behind a chart.

use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use tessera_postgres::{Database, IdempotentBy, Json, Plan, Statement, Type};

use super::error::CodeError;
use super::id::ShortId;
use super::read::ReadContext;
use super::verdict::{check_verdict, is_ok};
use crate::fields::{FieldError, InvalidFields};

/// Counts the scans of a code in a span of time, grouped by a [`GroupBy`].
pub const SCAN_STATS: Statement = Statement {
    name: "qr.scan_stats",
    sql: concat!(
        include_str!("sql/caller.sql"),
        include_str!("sql/may_read.sql"),
        ",\n",
        include_str!("sql/scan_stats.sql")
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
    idempotent_by: IdempotentBy::Read,
};

/// What scans are grouped by: `by` in the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupBy {
    /// Days of UTC, those without scans included.
    Day,
    /// Hours of UTC, those without scans included.
    Hour,
    /// The 100 countries with the most scans; `null` stands for the scans of which it is not known.
    Country,
    /// Kinds of device: `mobile`, `tablet`, `desktop` or `other`.
    Device,
    /// The 100 referring hosts with the most scans; `null` stands for the scans without one.
    Referrer,
}

impl GroupBy {
    fn as_str(self) -> &'static str {
        match self {
            GroupBy::Day => "day",
            GroupBy::Hour => "hour",
            GroupBy::Country => "country",
            GroupBy::Device => "device",
            GroupBy::Referrer => "referrer",
        }
    }
}

/// How the statistics are written: `format` in the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A JSON object with one item a group.
    Json,
    /// One line a group, for a spreadsheet ([RFC 4180](https://www.rfc-editor.org/rfc/rfc4180)).
    Csv,
}

/// Which scans are counted, and how: the query of `GET /qr/{shortId}/scans`.
#[derive(Debug, Clone, Copy)]
pub struct ScanStatsQuery {
    /// Scans before this moment are left out.
    pub from: Timestamp,
    /// Scans at this moment and later are left out.
    pub to: Timestamp,
    /// What the scans are grouped by.
    pub by: GroupBy,
    /// How the answer is written.
    pub format: Format,
}

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

const SECONDS_PER_HOUR: i64 = 3600;
const SECONDS_PER_DAY: i64 = 24 * SECONDS_PER_HOUR;

impl ScanStatsQuery {
    /// Reads the query's parameters. Without `from` and `to` the last 30 days count, or by the hour the last 24 hours.
    pub fn parse(pairs: &[(String, String)]) -> Result<Self, InvalidFields> {
        // Whole seconds; the current one counts too.
        let now = Timestamp::from_second(Timestamp::now().as_second() + 1).unwrap_or_default();
        let mut errors = Vec::new();
        let (mut from, mut to, mut by, mut format) = (None, None, GroupBy::Day, Format::Json);
        for (name, value) in pairs {
            let parsed = match name.as_str() {
                "from" => parse_time(value).map(|time| from = Some(time)),
                "to" => parse_time(value).map(|time| to = Some(time)),
                "by" => [GroupBy::Day, GroupBy::Hour, GroupBy::Country, GroupBy::Device, GroupBy::Referrer]
                    .into_iter()
                    .find(|by| by.as_str() == value)
                    .map(|found| by = found),
                "format" => match value.as_str() {
                    "json" => Some(Format::Json),
                    "csv" => Some(Format::Csv),
                    _ => None,
                }
                .map(|found| format = found),
                _ => None,
            };
            if parsed.is_none() {
                errors.push(FieldError::new(name.chars().take(64).collect::<String>(), rule(name)));
            }
        }
        let to = to.unwrap_or(now);
        let span = if by == GroupBy::Hour { 24.hours() } else { (30 * 24).hours() };
        let from = from.unwrap_or_else(|| to.checked_sub(span).unwrap_or(Timestamp::UNIX_EPOCH));
        let max_days = if by == GroupBy::Hour { 31 } else { 3660 };
        if errors.is_empty() && from >= to {
            errors.push(FieldError::new("from", "must be before `to`"));
        } else if errors.is_empty() && to.as_second() - from.as_second() > max_days * SECONDS_PER_DAY {
            errors.push(FieldError::new("from", format!("must be at most {max_days} days before `to`")));
        }
        if errors.is_empty() { Ok(Self { from, to, by, format }) } else { Err(InvalidFields(errors)) }
    }

    /// Adds the days or hours without scans, which the database does not list.
    fn fill_gaps(&self, found: Vec<ScanStat>) -> Vec<ScanStat> {
        let (step, length) = match self.by {
            GroupBy::Day => (SECONDS_PER_DAY, "2026-11-21".len()),
            GroupBy::Hour => (SECONDS_PER_HOUR, "2026-11-21T00:00:00Z".len()),
            _ => return found,
        };
        let mut found = found.into_iter().peekable();
        let mut filled = Vec::new();
        let mut at = self.from.as_second().div_euclid(step) * step;
        while at < self.to.as_second() {
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
}

fn parse_time(text: &str) -> Option<Timestamp> {
    let midnight = || format!("{text}T00:00:00Z").parse();
    let time: Timestamp = text.parse().or_else(|_| midnight()).ok()?;
    (0..253_370_764_800).contains(&time.as_second()).then_some(time)
}

fn rule(name: &str) -> &'static str {
    match name {
        "from" | "to" => "must be a time such as 2030-01-31T12:00:00Z, or a day",
        "by" => "must be day, hour, country, device or referrer",
        "format" => "must be json or csv",
        _ => "is not a parameter of this request",
    }
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
        .read(
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
    Ok(query.fill_gaps(found))
}

/// Writes the statistics as CSV: a line that names the columns, then one line a group.
pub fn to_csv(by: GroupBy, stats: &[ScanStat]) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([by.as_str(), "total", "unique", "bots"])?;
    for stat in stats {
        let count = |count: i64| count.to_string();
        writer.write_record([
            stat.key.clone().unwrap_or_default(),
            count(stat.total),
            count(stat.unique),
            count(stat.bots),
        ])?;
    }
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(query: &str) -> Vec<(String, String)> {
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    #[test]
    fn days_without_scans_are_there() {
        let query = ScanStatsQuery::parse(&pairs("from=2026-11-19&to=2026-11-22T08:00:00Z")).unwrap();
        let found = ScanStat { key: Some("2026-11-20".to_owned()), total: 3, unique: 2, bots: 1 };
        let filled = query.fill_gaps(vec![found]);
        let seen: Vec<_> = filled.iter().map(|n| (n.key.as_deref().unwrap(), n.total)).collect();
        assert_eq!(seen, [("2026-11-19", 0), ("2026-11-20", 3), ("2026-11-21", 0), ("2026-11-22", 0)]);
        assert_eq!(to_csv(GroupBy::Day, &filled[1..2]).unwrap(), "day,total,unique,bots\n2026-11-20,3,2,1\n");
    }

    #[test]
    fn what_cannot_be_asked_is_named() {
        for (query, field) in [
            ("from=yesterday", "from"),
            ("to=2026-13-01", "to"),
            ("by=colour", "by"),
            ("format=xml", "format"),
            ("page=2", "page"),
            ("from=2026-11-22&to=2026-11-21", "from"),
            ("from=1970-01-01&to=2026-11-21", "from"),
            ("by=hour&from=2026-01-01&to=2026-11-21", "from"),
            ("from=-000001-01-01T00:00:00Z", "from"),
        ] {
            let Err(InvalidFields(errors)) = ScanStatsQuery::parse(&pairs(query)) else { panic!("{query}") };
            assert_eq!(errors[0].field, field, "{query}");
        }
    }
}
