//! Alerts: failures that somebody should look at, without any payload.
//!
//! An alert is raised by the statement that records the failure, so that neither exists without the other. The table's
//! checks leave no room for a payload, and neither does [`Alert`]: it has a code from a closed list, the name of a
//! configured source, ids of rows, counts and times.

use jiff::Timestamp;
use tessera_postgres::Row;

/// What an alert is about, from a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A verified event was stored, but its effects are invalid.
    EventFailed,
    /// A job was given up after its last attempt.
    JobDead,
    /// An endpoint responded with 410 Gone, so that the event is not sent to it again.
    EndpointGone,
    /// The database has a code that this release does not know.
    Unknown,
}

impl Code {
    /// The code as the database stores it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EventFailed => "event_failed",
            Self::JobDead => "job_dead",
            Self::EndpointGone => "endpoint_gone",
            Self::Unknown => "unknown",
        }
    }

    /// Reads a code as the database stores it.
    #[must_use]
    pub fn from_database(text: &str) -> Self {
        [Self::EventFailed, Self::JobDead, Self::EndpointGone]
            .into_iter()
            .find(|code| code.as_str() == text)
            .unwrap_or(Self::Unknown)
    }

    /// What the alert means and what to do about it, for a person.
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

/// The name of a configured source, `[a-z0-9][a-z0-9_-]{0,63}`, which leaves no room for what a sender says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceName(String);

impl SourceName {
    /// Reads a name; `None` if the text is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let is_name = matches!(bytes.first(), Some(b'a'..=b'z' | b'0'..=b'9'))
            && bytes.len() <= 64
            && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        is_name.then(|| Self(text.to_owned()))
    }

    /// The name as it is configured.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An alert. Repeated failures with the same code and source are one alert, which counts them while it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The alert's id.
    pub id: i64,
    /// What is wrong.
    pub code: Code,
    /// The source that it concerns.
    pub source: SourceName,
    /// The row key of the latest event that it is about; `None` once that event is deleted.
    pub event: Option<i64>,
    /// How often the failure has happened since the alert was opened.
    pub count: i64,
    /// When the alert was opened.
    pub first_at: Timestamp,
    /// When the failure last happened.
    pub last_at: Timestamp,
    /// When an operator or a successful delivery resolved it; `None` while it is open.
    pub resolved_at: Option<Timestamp>,
}

impl Alert {
    /// Reads a row of the table; `None` if its source is not a valid name, which the table's checks rule out.
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
    fn every_code_is_read_as_it_is_written() {
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
