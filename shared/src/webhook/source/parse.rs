//! Reads the `WEBHOOK_SOURCES` JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, from_str};
use url::{Host, Url};

use super::error::{Problem, SourcesError};
use super::object_entries::ObjectEntries;
use super::scheme::Scheme;
use super::secret::Secret;
use super::{DEFAULT_TOLERANCE, MAX_SECRETS, MAX_TOPICS, Source, Sources};
use crate::alerts::SourceName;
use crate::webhook::invalid_effect::MAX_ID;

/// The longest replay window that may be configured, in seconds: one day.
const MAX_TOLERANCE_SECONDS: u64 = 86_400;

const FIELDS: [&str; 6] = ["scheme", "secrets", "topics", "forwardUrl", "forwardSecret", "toleranceSeconds"];

impl Sources {
    /// Reads the `WEBHOOK_SOURCES` JSON. One wrong field refuses all of it.
    pub fn parse(json: &str) -> Result<Self, SourcesError> {
        let entries: ObjectEntries<&RawValue> =
            from_str(json).map_err(|_| SourcesError::whole(Problem::NotAnObject))?;
        let mut sources = BTreeMap::new();
        for (position, (name, raw)) in entries.0.into_iter().enumerate() {
            if SourceName::parse(&name).is_none() {
                return Err(SourcesError::whole(Problem::BadName { position: position + 1 }));
            }
            let source = read_source(&name, raw).map_err(|(field, problem)| SourcesError {
                name: Some(name.clone()),
                field,
                problem,
            })?;
            if sources.insert(name.clone(), source).is_some() {
                return Err(SourcesError { name: Some(name), field: None, problem: Problem::Repeated });
            }
        }
        Ok(Self(sources))
    }
}

/// A field of a source and what is wrong with it; no field where the source as a whole is wrong.
type SourceProblem = (Option<String>, Problem);

fn in_field(field: &str, problem: Problem) -> SourceProblem {
    (Some(field.to_owned()), problem)
}

fn read_source(name: &str, raw: &RawValue) -> Result<Source, SourceProblem> {
    let ObjectEntries(entries) =
        from_str::<ObjectEntries<Value>>(raw.get()).map_err(|_| (None, Problem::NotAnObject))?;
    let mut fields: BTreeMap<&str, &Value> = BTreeMap::new();
    for (field, value) in &entries {
        if !FIELDS.contains(&field.as_str()) {
            return Err((Some(printable(field)), Problem::Unknown));
        }
        if fields.insert(field, value).is_some() {
            return Err(in_field(field, Problem::Repeated));
        }
    }
    let scheme = read_scheme(fields.get("scheme").copied()).map_err(|problem| in_field("scheme", problem))?;
    let field = |name: &str| fields.get(name).copied();
    let source = Source {
        name: name.to_owned(),
        scheme,
        secrets: read_secrets(field("secrets"), scheme)?,
        topics: read_topics(field("topics"), scheme).map_err(|problem| in_field("topics", problem))?,
        forward_url: field("forwardUrl")
            .map(read_forward_url)
            .transpose()
            .map_err(|problem| in_field("forwardUrl", problem))?,
        forward_secret: field("forwardSecret")
            .map(|value| read_text(value, Secret::parse_for_signing))
            .transpose()
            .map_err(|problem| in_field("forwardSecret", problem))?,
        tolerance: field("toleranceSeconds")
            .map_or(Ok(DEFAULT_TOLERANCE), read_tolerance)
            .map_err(|problem| in_field("toleranceSeconds", problem))?,
    };
    if source.forward_url.is_some() && source.signing_keys().next().is_none() {
        return Err(in_field("forwardSecret", Problem::CannotSign));
    }
    Ok(source)
}

/// The name of an unknown field, which helps to find a typing error, unless it may be a secret in the wrong place.
fn printable(field: &str) -> String {
    let is_word = field.len() <= 32 && field.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
    if is_word { field.to_owned() } else { "…".to_owned() }
}

fn read_scheme(value: Option<&Value>) -> Result<Scheme, Problem> {
    let name = value.ok_or(Problem::Missing)?.as_str().ok_or(Problem::NotAScheme)?;
    Scheme::from_name(name).ok_or(Problem::NotAScheme)
}

fn read_secrets(value: Option<&Value>, scheme: Scheme) -> Result<Vec<Secret>, SourceProblem> {
    let list = value.ok_or_else(|| in_field("secrets", Problem::Missing))?;
    let list = list.as_array().filter(|list| (1..=MAX_SECRETS).contains(&list.len()));
    let read = |(index, value): (usize, &Value)| {
        read_text(value, |text| Secret::parse(text, scheme))
            .map_err(|problem| in_field(&format!("secrets[{index}]"), problem))
    };
    list.ok_or_else(|| in_field("secrets", Problem::NotAList))?.iter().enumerate().map(read).collect()
}

/// Reads the list of topics, which Shopify's sources must have: it sends one body under several topics, and signs none.
fn read_topics(value: Option<&Value>, scheme: Scheme) -> Result<Option<BTreeSet<String>>, Problem> {
    match (value, scheme.topic_header()) {
        (None, _) if scheme == Scheme::Shopify => Err(Problem::Missing),
        (None, _) => Ok(None),
        (Some(_), None) => Err(Problem::NoTopics),
        (Some(value), Some(_)) => {
            let list = value.as_array().filter(|list| (1..=MAX_TOPICS).contains(&list.len()));
            let topics = list.ok_or(Problem::NotTopics)?.iter().map(|topic| {
                let topic = topic.as_str().filter(|topic| (1..=MAX_ID).contains(&topic.len()));
                topic.map(str::to_owned).ok_or(Problem::NotTopics)
            });
            topics.collect::<Result<_, _>>().map(Some)
        }
    }
}

/// Reads a text with `parse`.
fn read_text<T>(value: &Value, parse: impl Fn(&str) -> Result<T, Problem>) -> Result<T, Problem> {
    parse(value.as_str().ok_or(Problem::NotText)?)
}

fn read_forward_url(value: &Value) -> Result<Url, Problem> {
    let url = Url::parse(value.as_str().ok_or(Problem::NotText)?).map_err(|_| Problem::NotAUrl)?;
    let is_loopback = match url.host().ok_or(Problem::NotAUrl)? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    if !(url.scheme() == "https" || url.scheme() == "http" && is_loopback) {
        return Err(Problem::NotHttps);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Problem::HasCredentials);
    }
    Ok(url)
}

fn read_tolerance(value: &Value) -> Result<Duration, Problem> {
    let seconds = value.as_u64().filter(|seconds| (1..=MAX_TOLERANCE_SECONDS).contains(seconds));
    seconds.map(Duration::from_secs).ok_or(Problem::OutOfRange)
}
