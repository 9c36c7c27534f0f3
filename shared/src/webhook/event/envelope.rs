//! Reads one event of a verified request.

use http::HeaderMap;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::fields::EventFields;
use super::{Envelope, ParseError};
use crate::webhook::effect::{self, Effect};
use crate::webhook::invalid_effect::{FieldProblem, InvalidEffect, MAX_ID};
use crate::webhook::signature::Verified;
use crate::webhook::source::{Scheme, Source};
use crate::webhook::{raw_json, stripe};

/// A verified request, whose body holds one event or a batch.
pub(super) struct Request<'r> {
    pub(super) source: &'r Source,
    pub(super) headers: &'r HeaderMap,
    pub(super) verified: &'r Verified,
}

impl Request<'_> {
    /// Reads one event. `index` is its place in a batch.
    pub(super) fn envelope<'a>(&self, item: &'a str, raw: &'a [u8], index: Option<usize>) -> Envelope<'a> {
        let (fields, shape) = match EventFields::read(self.source.scheme, item) {
            Ok(fields) => (fields, Ok(())),
            Err(invalid) => (EventFields::default(), Err(invalid)),
        };
        let id =
            fields.id.map(|raw| raw_json::parse_id(&raw_json::parse_scalar(raw, "id")?, "id")).transpose();
        let signed_type = fields.event_type.map(parse_type).transpose();
        let signed_time = fields.occurred_at.map(parse_time).transpose();
        let effects = shape.and(id.as_ref().map(drop).map_err(|invalid| *invalid)).and_then(|()| {
            match (&signed_type, self.topic()) {
                (Ok(Some(event_type)), _) => self.effects(event_type, fields.data, signed_time),
                // Anybody who has seen a request can name another topic.
                (_, Some(_)) => Ok(Vec::new()),
                (Ok(None), None) => Err(InvalidEffect { field: "type", problem: FieldProblem::Missing }),
                (Err(invalid), None) => Err(*invalid),
            }
        });
        Envelope {
            event_id: self.event_id(id.ok().flatten(), raw, index),
            event_type: self.topic().map(str::to_owned).or_else(|| signed_type.ok().flatten()),
            occurred_at: signed_time.ok().flatten().or_else(|| self.time_header()),
            effects,
            raw,
            signed_digest: self.signed_digest(raw),
        }
    }

    fn event_id(&self, own: Option<String>, raw: &[u8], index: Option<usize>) -> String {
        let header = self.verified.id_header.clone().map(|id| match index {
            Some(index) => format!("{id}#{index}"),
            None => id,
        });
        let header = header.filter(|id| id.len() <= MAX_ID);
        // In the bodies of GitHub and Shopify, `id` is that of the resource which the event is about.
        let header_first = self.signs_body_alone() && index.is_none();
        let id = if header_first { header.or(own) } else { own.or(header) };
        id.unwrap_or_else(|| self.digest(raw))
    }

    /// Refuses a topic that the source does not list.
    pub(super) fn check_topic(&self) -> Result<(), ParseError> {
        let (Some(listed), Some(header)) = (&self.source.topics, self.source.scheme.topic_header()) else {
            return Ok(());
        };
        let is_listed = self.topic().is_some_and(|topic| listed.contains(topic));
        if is_listed { Ok(()) } else { Err(ParseError::UnlistedTopic(header)) }
    }

    /// The topic, which GitHub and Shopify send in a header and do not sign.
    fn topic(&self) -> Option<&str> {
        self.header(self.source.scheme.topic_header()?)
    }

    /// The time that Shopify sends in a header and does not sign: it is stored, and decides nothing.
    fn time_header(&self) -> Option<Timestamp> {
        let header =
            self.header("x-shopify-triggered-at").filter(|_| self.source.scheme == Scheme::Shopify)?;
        effect::time(&Value::from(header)).ok()
    }

    fn effects(
        &self,
        event_type: &str,
        data: Option<&RawValue>,
        occurred_at: Result<Option<Timestamp>, InvalidEffect>,
    ) -> Result<Vec<Effect>, InvalidEffect> {
        if self.source.scheme == Scheme::Stripe
            && let Some(object) = data.and_then(stripe::object)
        {
            return stripe::effects(event_type, object, occurred_at);
        }
        effect::parse_common(event_type, data, occurred_at)
    }

    fn signs_body_alone(&self) -> bool {
        matches!(self.source.scheme, Scheme::Github | Scheme::Shopify)
    }

    fn signed_digest(&self, raw: &[u8]) -> Option<String> {
        self.signs_body_alone().then(|| self.digest(raw))
    }

    /// Hashes the source's name and `raw`. Names contain no NUL, so it separates them unambiguously.
    fn digest(&self, raw: &[u8]) -> String {
        let hash =
            Sha256::new().chain_update(self.source.name.as_bytes()).chain_update([0]).chain_update(raw);
        format!("sha256:{}", hex::encode(hash.finalize()))
    }

    /// The text of a header, if it can be stored as an id or a type.
    fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers.get(name)?.to_str().ok()?;
        (1..=MAX_ID).contains(&value.len()).then_some(value)
    }
}

fn parse_type(raw: &RawValue) -> Result<String, InvalidEffect> {
    raw_json::parse_text(&raw_json::parse_scalar(raw, "type")?, "type", MAX_ID)
}

fn parse_time(raw: &RawValue) -> Result<Timestamp, InvalidEffect> {
    effect::time(&raw_json::parse_scalar(raw, "occurredAt")?)
}
