//! The query of `GET /qr/{shortId}/scans`.

use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use crate::fields::{FieldError, InvalidFields, parse_time};

const SECONDS_PER_DAY: i64 = 24 * 3600;

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
    /// The name of the group in the query and in the statement.
    pub(super) fn as_str(self) -> &'static str {
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
    /// A JSON object with one item for each group.
    Json,
    /// One line for each group, for a spreadsheet ([RFC 4180](https://www.rfc-editor.org/rfc/rfc4180)).
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
    /// How the response is written.
    pub format: Format,
}

impl ScanStatsQuery {
    /// Reads the query's parameters, and names every one that is wrong. The default period is the last 30 days, or the
    /// last 24 hours where scans are grouped by hour.
    pub fn parse(pairs: &[(String, String)]) -> Result<Self, InvalidFields> {
        // Whole seconds, including the current one.
        let now = Timestamp::from_second(Timestamp::now().as_second() + 1).unwrap_or_default();
        let mut errors = Vec::new();
        let (mut from, mut to, mut by, mut format) = (None, None, GroupBy::Day, Format::Json);
        for (name, value) in pairs {
            let parsed = match name.as_str() {
                "from" => parse_time_or_day(value).map(|time| from = Some(time)),
                "to" => parse_time_or_day(value).map(|time| to = Some(time)),
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
                errors.push(FieldError::for_sent_name(name, rule(name)));
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
}

/// Reads a time, or a day as its midnight in UTC.
fn parse_time_or_day(text: &str) -> Option<Timestamp> {
    parse_time(text).or_else(|| parse_time(&format!("{text}T00:00:00Z")))
}

/// The rule for a parameter, as it is told to a caller who broke it.
fn rule(name: &str) -> &'static str {
    match name {
        "from" | "to" => "must be a time such as 2030-01-31T12:00:00Z, or a day",
        "by" => "must be day, hour, country, device or referrer",
        "format" => "must be json or csv",
        _ => "is not a parameter of this request",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(query: &str) -> Vec<(String, String)> {
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    #[test]
    fn every_wrong_parameter_is_named() {
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
