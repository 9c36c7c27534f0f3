//! Alerts: what somebody should look at, told without a payload.
//!
//! They are raised inside the statements that meet the failure, so that neither can be without the other. The table's
//! own checks leave no room for a payload, and neither does [`Alert`]: a code from a closed list, the name of a
//! configured source, ids of rows, counts and times.

use jiff::Timestamp;
use tessera_postgres::Row;

/// What is wrong, from a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A verified event has an effect that makes no sense; it was kept.
    EventFailed,
    /// A job was given up after its last attempt.
    JobDead,
    /// An endpoint answered 410: it wants no more of this event.
    EndpointGone,
    /// In the database, but not known to this release.
    Unknown,
}

impl Code {
    /// As the database has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EventFailed => "event_failed",
            Self::JobDead => "job_dead",
            Self::EndpointGone => "endpoint_gone",
            Self::Unknown => "unknown",
        }
    }

    /// From what the database has.
    #[must_use]
    pub fn from_database(text: &str) -> Self {
        [Self::EventFailed, Self::JobDead, Self::EndpointGone]
            .into_iter()
            .find(|code| code.as_str() == text)
            .unwrap_or(Self::Unknown)
    }

    /// What it means and what to do, for a person.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::EventFailed => {
                "A verified event could not be applied; it was kept with its reason. Fix it with the sender."
            }
            Self::JobDead => "A delivery was given up. Mend the endpoint, then `cargo tessera jobs redrive`.",
            Self::EndpointGone => "The endpoint answered 410 Gone. Change or remove the source's forwardUrl.",
            Self::Unknown => "A newer release raised this.",
        }
    }
}

/// The name of a configured source, `[a-z0-9][a-z0-9_-]{0,63}`: too narrow for anything that a sender says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceName(String);

impl SourceName {
    /// The name, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let is_name = matches!(bytes.first(), Some(b'a'..=b'z' | b'0'..=b'9'))
            && bytes.len() <= 64
            && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        is_name.then(|| Self(text.to_owned()))
    }

    /// As configured.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One alert. Repeated failures of one code at one source are one alert that counts up while it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Its own id.
    pub id: i64,
    /// What is wrong.
    pub code: Code,
    /// Where.
    pub source: SourceName,
    /// The row of the latest event that it is about.
    pub event: Option<i64>,
    /// How often, since it was opened.
    pub count: i64,
    /// When it was opened.
    pub first_at: Timestamp,
    /// When it was last met.
    pub last_at: Timestamp,
    /// When an operator or a success closed it.
    pub resolved_at: Option<Timestamp>,
}

impl Alert {
    /// From a row of the table; none when its source is not the name of one, which the table's checks rule out.
    #[must_use]
    pub fn from_row(row: &Row) -> Option<Self> {
        Some(Self {
            id: row.get("id"),
            code: Code::from_database(row.get("code")),
            source: SourceName::parse(row.get("source"))?,
            event: row.get("event"),
            count: row.get("count"),
            first_at: row.get("first_at"),
            last_at: row.get("last_at"),
            resolved_at: row.get("resolved_at"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_the_database() {
        for code in [Code::EventFailed, Code::JobDead, Code::EndpointGone] {
            assert_eq!(Code::from_database(code.as_str()), code);
        }
        assert_eq!(Code::from_database("of_a_newer_release"), Code::Unknown);
    }

    #[test]
    fn a_source_name_cannot_hold_a_payload() {
        assert_eq!(SourceName::parse("stripe-eu_1").unwrap().as_str(), "stripe-eu_1");
        for wrong in ["", "-a", "A", "a b", "{}", "ä", &"a".repeat(65)] {
            assert_eq!(SourceName::parse(wrong), None, "{wrong}");
        }
    }
}
