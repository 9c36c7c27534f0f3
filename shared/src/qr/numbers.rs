//! The numbers behind a chart of scans.

use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::id::ShortId;
use super::read::{Reader, accepted};
use super::verdict::is_ok;
use crate::error::{FieldError, PublicError};
use tessera_postgres::{Database, Json, Type};
use tessera_postgres::{IdempotentBy, Statement};

/// Scans of a code, grouped.
pub const NUMBERS: Statement = Statement {
    name: "qr.numbers",
    sql: concat!(
        include_str!("sql/caller.sql"),
        include_str!("sql/may_read.sql"),
        ",\n",
        include_str!("sql/numbers.sql")
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
    idempotent_by: IdempotentBy::Read,
};

/// What scans are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Days of UTC, the ones without scans included.
    Day,
    /// Hours of UTC, the ones without scans included.
    Hour,
    /// The 100 countries with the most scans; `null` where it is not known.
    Country,
    /// mobile, tablet, desktop or other.
    Device,
    /// The 100 hosts with the most scans; `null` where there was none.
    Referrer,
}

impl By {
    fn as_str(self) -> &'static str {
        match self {
            By::Day => "day",
            By::Hour => "hour",
            By::Country => "country",
            By::Device => "device",
            By::Referrer => "referrer",
        }
    }
}

/// How the numbers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An object.
    Json,
    /// Lines for a spreadsheet ([RFC 4180](https://www.rfc-editor.org/rfc/rfc4180)).
    Csv,
}

/// Which numbers are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// The first moment that counts.
    pub from: Timestamp,
    /// The first that no longer does.
    pub to: Timestamp,
    /// What to group by.
    pub by: By,
    /// How to tell it.
    pub format: Format,
}

/// One group.
#[derive(Debug, Deserialize, Serialize)]
pub struct Number {
    /// The day, hour, country, device or host.
    pub key: Option<String>,
    /// Scans by people.
    pub total: i64,
    /// Scans by different people, counted a day.
    pub unique: i64,
    /// Scans by bots.
    pub bots: i64,
}

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

impl Question {
    /// Reads the query. Without `from` and `to`: the last 30 days, or 24 hours by the hour.
    pub fn parse(pairs: &[(String, String)]) -> Result<Self, PublicError> {
        // Whole seconds; the current one counts too.
        let now = Timestamp::from_second(Timestamp::now().as_second() + 1).unwrap_or_default();
        let mut errors = Vec::new();
        let (mut from, mut to, mut by, mut format) = (None, None, By::Day, Format::Json);
        for (name, value) in pairs {
            let good = match name.as_str() {
                "from" => parse_time(value).map(|time| from = Some(time)),
                "to" => parse_time(value).map(|time| to = Some(time)),
                "by" => [By::Day, By::Hour, By::Country, By::Device, By::Referrer]
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
            if good.is_none() {
                errors.push(FieldError::new(name.chars().take(64).collect::<String>(), rule(name)));
            }
        }
        let to = to.unwrap_or(now);
        let span = if by == By::Hour { 24.hours() } else { (30 * 24).hours() };
        let from = from.unwrap_or_else(|| to.checked_sub(span).unwrap_or(Timestamp::UNIX_EPOCH));
        let longest = if by == By::Hour { 31 } else { 3660 };
        if errors.is_empty() && from >= to {
            errors.push(FieldError::new("from", "must be before `to`"));
        } else if errors.is_empty() && to.as_second() - from.as_second() > longest * DAY {
            errors.push(FieldError::new("from", format!("must be at most {longest} days before `to`")));
        }
        if errors.is_empty() { Ok(Self { from, to, by, format }) } else { Err(PublicError::Invalid(errors)) }
    }

    /// Adds the days or hours in which nothing happened.
    fn fill(&self, found: Vec<Number>) -> Vec<Number> {
        let (step, length) = match self.by {
            By::Day => (DAY, "2026-11-21".len()),
            By::Hour => (HOUR, "2026-11-21T00:00:00Z".len()),
            _ => return found,
        };
        let mut found = found.into_iter().peekable();
        let mut filled = Vec::new();
        let mut at = self.from.as_second().div_euclid(step) * step;
        while at < self.to.as_second() {
            let mut key = Timestamp::from_second(at).unwrap_or_default().to_string();
            key.truncate(length);
            match found.next_if(|number| number.key.as_deref() == Some(key.as_str())) {
                Some(number) => filled.push(number),
                None => filled.push(Number { key: Some(key), total: 0, unique: 0, bots: 0 }),
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

/// The numbers of the code `id`.
pub async fn numbers(
    database: &Database,
    reader: &Reader<'_>,
    id: &ShortId,
    question: &Question,
) -> Result<Vec<Number>, PublicError> {
    let (code, edit) = reader.token_parameters();
    let row = database
        .read(
            &NUMBERS,
            &[
                &reader.caller.key_hash(),
                &reader.caller.owner(),
                &id.key(),
                &code,
                &edit,
                &question.from,
                &question.to,
                &question.by.as_str(),
            ],
            is_ok,
            reader.deadline,
        )
        .await?;
    accepted(&row)?;
    let Json(found) = row.get("numbers");
    Ok(question.fill(found))
}

/// The numbers as lines, the first naming the columns.
pub fn to_csv(by: By, numbers: &[Number]) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([by.as_str(), "total", "unique", "bots"])?;
    for number in numbers {
        let count = |count: i64| count.to_string();
        writer.write_record([
            number.key.clone().unwrap_or_default(),
            count(number.total),
            count(number.unique),
            count(number.bots),
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
        let question = Question::parse(&pairs("from=2026-11-19&to=2026-11-22T08:00:00Z")).unwrap();
        let found = Number { key: Some("2026-11-20".to_owned()), total: 3, unique: 2, bots: 1 };
        let filled = question.fill(vec![found]);
        let seen: Vec<_> = filled.iter().map(|n| (n.key.as_deref().unwrap(), n.total)).collect();
        assert_eq!(seen, [("2026-11-19", 0), ("2026-11-20", 3), ("2026-11-21", 0), ("2026-11-22", 0)]);
        assert_eq!(to_csv(By::Day, &filled[1..2]).unwrap(), "day,total,unique,bots\n2026-11-20,3,2,1\n");
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
            let Err(PublicError::Invalid(errors)) = Question::parse(&pairs(query)) else { panic!("{query}") };
            assert_eq!(errors[0].field, field, "{query}");
        }
    }
}
