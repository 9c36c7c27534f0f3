//! Reads one event of a verified request.

use http::HeaderMap;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::Envelope;
use super::fields::EventFields;
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
        let event_type = self.event_type(fields.event_type);
        let occurred_at = self.occurred_at(fields.occurred_at);
        let effects = shape.and(id.as_ref().map(drop).map_err(|invalid| *invalid)).and_then(|()| {
            let event_type =
                event_type.clone()?.ok_or(InvalidEffect { field: "type", problem: FieldProblem::Missing })?;
            self.effects(&event_type, fields.data, occurred_at)
        });
        Envelope {
            event_id: self.event_id(id.ok().flatten(), raw, index),
            event_type: event_type.ok().flatten(),
            occurred_at: occurred_at.ok().flatten(),
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
        id.unwrap_or_else(|| self.digest(&[], raw))
    }

    /// The event's type, which GitHub and Shopify send in a header, and all others in the body.
    fn event_type(&self, own: Option<&RawValue>) -> Result<Option<String>, InvalidEffect> {
        let header = match self.source.scheme {
            Scheme::Github => self.header("x-github-event"),
            Scheme::Shopify => self.header("x-shopify-topic"),
            Scheme::Standard | Scheme::Stripe | Scheme::Slack => None,
        };
        match header {
            Some(topic) => Ok(Some(topic.to_owned())),
            None => own
                .map(|raw| raw_json::parse_text(&raw_json::parse_scalar(raw, "type")?, "type", MAX_ID))
                .transpose(),
        }
    }

    fn occurred_at(&self, own: Option<&RawValue>) -> Result<Option<Timestamp>, InvalidEffect> {
        if let Some(raw) = own {
            return effect::time(&raw_json::parse_scalar(raw, "occurredAt")?).map(Some);
        }
        let header = self.header("x-shopify-triggered-at").filter(|_| self.source.scheme == Scheme::Shopify);
        header.map(|time| effect::time(&Value::from(time))).transpose()
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
        let topic = self.header("x-shopify-topic").filter(|_| self.source.scheme == Scheme::Shopify);
        self.signs_body_alone().then(|| self.digest(topic.unwrap_or_default().as_bytes(), raw))
    }

    /// Hashes the source's name, `topic` and `raw`. Names and topics contain no NUL, so it separates them
    /// unambiguously.
    fn digest(&self, topic: &[u8], raw: &[u8]) -> String {
        let hash = Sha256::new().chain_update(self.source.name.as_bytes()).chain_update([0]);
        let hash = hash.chain_update(topic).chain_update([0]).chain_update(raw);
        format!("sha256:{}", hex::encode(hash.finalize()))
    }

    /// The text of a header, if it can be stored as an id or a type.
    fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers.get(name)?.to_str().ok()?;
        (1..=MAX_ID).contains(&value.len()).then_some(value)
    }
}
