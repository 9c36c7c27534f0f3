//! What a verified request says: its events, each with the id that makes a resend a duplicate, and its effects.
//!
//! Nothing verified is lost. Bytes that are not JSON are refused, as the contract says; all else, however
//! strange, becomes an event to keep, whose effects are [`InvalidEffect`] if they cannot be. That holds for nesting
//! of any depth, half surrogate pairs, numbers beyond a double and NUL characters. The raw bytes belong in a
//! `bytea`: of them, only [`Envelope`]'s own fields are fit for `text` and `jsonb`.

use http::HeaderMap;
use jiff::Timestamp;
use serde_json::{Value, value::RawValue};
use sha2::{Digest, Sha256};

use super::effect::{self, Effect};
use super::invalid_effect::{Fault, InvalidEffect, MAX_ID};
use super::signature::Verified;
use super::source::{Scheme, Source};
use super::{json, stripe};

/// Events in one request, at most.
pub const MAX_BATCH: usize = 1_000;

/// What a verified request is.
#[derive(Debug, PartialEq)]
pub enum Message<'a> {
    /// One event.
    Event(Envelope<'a>),
    /// `[…]` or `{"events": […]}`, up to [`MAX_BATCH`] events, in their order.
    Batch(Vec<Envelope<'a>>),
    /// Slack's `url_verification`: the text to answer with. Nothing to keep.
    Challenge(String),
}

/// Why a verified request holds no event at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not JSON, or not UTF-8: 400. Form bodies (an option at GitHub and Slack) are among these.
    #[error("not_json")]
    NotJson,
    /// More than [`MAX_BATCH`] events: 413.
    #[error("too_many_events")]
    TooManyEvents,
}

/// One event, ready to be kept.
#[derive(Debug, PartialEq)]
pub struct Envelope<'a> {
    /// Unique within its source: 1 to 255 characters, no NUL.
    ///
    /// The sender's id; else the one in the headers (in a batch with `#` and the item's index); else
    /// `sha256:` and the hash of source and content. For GitHub and Shopify the header comes first.
    pub event_id: String,
    /// What happened, such as `account.updated`; 1 to 255 characters, no NUL. None where the sender said
    /// nothing usable.
    pub event_type: Option<String>,
    /// When it happened, as the sender says, in microseconds.
    pub occurred_at: Option<Timestamp>,
    /// What it does: nothing, for types that we do not know.
    pub effects: Result<Vec<Effect>, InvalidEffect>,
    /// The event as it was sent: the whole body, or its part of the batch.
    pub raw: &'a [u8],
    /// For senders whose signature leaves out the id (GitHub and Shopify): `sha256:` and the hash of all that
    /// is signed, with the source (and Shopify's topic, since one body may serve several). Whoever has seen a
    /// request of theirs can send it again under a new id; a second event with the same digest is that.
    pub signed_digest: Option<String>,
}

/// Reads a verified body.
pub fn read<'a>(
    source: &Source,
    headers: &HeaderMap,
    verified: &Verified,
    body: &'a [u8],
) -> Result<Message<'a>, Unreadable> {
    let whole: &RawValue = serde_json::from_slice(body).map_err(|_| Unreadable::NotJson)?;
    let request = Request { source, headers, verified };
    if let Some(items) = batch(whole) {
        if items.len() > MAX_BATCH {
            return Err(Unreadable::TooManyEvents);
        }
        let item = |(index, raw): (usize, &'a RawValue)| {
            request.envelope(raw.get(), raw.get().as_bytes(), Some(index))
        };
        return Ok(Message::Batch(items.into_iter().enumerate().map(item).collect()));
    }
    if let Some(challenge) = challenge(source, whole) {
        return Ok(Message::Challenge(challenge));
    }
    Ok(Message::Event(request.envelope(whole.get(), body, None)))
}

/// The items of `[…]`, or of `{"events": […]}` unless it is itself an event by having a type.
fn batch(whole: &RawValue) -> Option<Vec<&RawValue>> {
    let list = if whole.get().starts_with('[') {
        whole
    } else {
        let [events, name, alias] = json::pick(whole.get(), &["events", "type", "eventType"]).ok()?;
        events.filter(|events| events.get().starts_with('[') && name.or(alias).is_none())?
    };
    json::elements(list.get(), MAX_BATCH).ok()
}

fn challenge(source: &Source, whole: &RawValue) -> Option<String> {
    if source.scheme != Scheme::Slack {
        return None;
    }
    let [name, challenge] = json::pick(whole.get(), &["type", "challenge"]).ok()?;
    (name?.get() == r#""url_verification""#).then(|| serde_json::from_str(challenge?.get()).ok())?
}

/// A verified request, to which the events in its body belong.
struct Request<'r> {
    source: &'r Source,
    headers: &'r HeaderMap,
    verified: &'r Verified,
}

/// The members of an event that mean something, as written.
#[derive(Default)]
struct Outline<'a> {
    id: Option<&'a RawValue>,
    event_type: Option<&'a RawValue>,
    time: Option<&'a RawValue>,
    data: Option<&'a RawValue>,
}

impl Request<'_> {
    fn envelope<'a>(&self, item: &'a str, raw: &'a [u8], index: Option<usize>) -> Envelope<'a> {
        let outline = Outline::read(self.source.scheme, item);
        let (outline, shape) = match outline {
            Ok(outline) => (outline, Ok(())),
            Err(invalid) => (Outline::default(), Err(invalid)),
        };
        let id = outline.id.map(|raw| json::id(&json::scalar(raw, "id")?, "id")).transpose();
        let event_type = self.event_type(outline.event_type);
        let occurred_at = self.occurred_at(outline.time);
        let effects = shape.and(id.as_ref().map(drop).map_err(|invalid| *invalid)).and_then(|()| {
            let event_type =
                event_type.clone()?.ok_or(InvalidEffect { field: "type", fault: Fault::Missing })?;
            self.effects(&event_type, outline.data, occurred_at)
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
        // What GitHub and Shopify call `id` in a body is the id of the thing that it is about.
        let header_first = self.signs_body_alone() && index.is_none();
        let id = if header_first { header.or(own) } else { own.or(header) };
        id.unwrap_or_else(|| self.digest(&[], raw))
    }

    /// GitHub and Shopify say the type in a header, everybody else in the body.
    fn event_type(&self, own: Option<&RawValue>) -> Result<Option<String>, InvalidEffect> {
        let header = match self.source.scheme {
            Scheme::Github => self.header("x-github-event"),
            Scheme::Shopify => self.header("x-shopify-topic"),
            Scheme::Standard | Scheme::Stripe | Scheme::Slack => None,
        };
        match header {
            Some(topic) => Ok(Some(topic.to_owned())),
            None => own.map(|raw| json::text(&json::scalar(raw, "type")?, "type", MAX_ID)).transpose(),
        }
    }

    fn occurred_at(&self, own: Option<&RawValue>) -> Result<Option<Timestamp>, InvalidEffect> {
        if let Some(raw) = own {
            return effect::time(&json::scalar(raw, "occurredAt")?).map(Some);
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
        effect::of_common(event_type, data, occurred_at)
    }

    fn signs_body_alone(&self) -> bool {
        matches!(self.source.scheme, Scheme::Github | Scheme::Shopify)
    }

    fn signed_digest(&self, raw: &[u8]) -> Option<String> {
        let topic = self.header("x-shopify-topic").filter(|_| self.source.scheme == Scheme::Shopify);
        self.signs_body_alone().then(|| self.digest(topic.unwrap_or_default().as_bytes(), raw))
    }

    /// Names hold no NUL, so that the parts cannot run into each other.
    fn digest(&self, topic: &[u8], raw: &[u8]) -> String {
        let hash = Sha256::new().chain_update(self.source.name.as_bytes()).chain_update([0]);
        let hash = hash.chain_update(topic).chain_update([0]).chain_update(raw);
        format!("sha256:{}", hex::encode(hash.finalize()))
    }

    /// A header's text, if it is fit to be kept.
    fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers.get(name)?.to_str().ok()?;
        (1..=MAX_ID).contains(&value.len()).then_some(value)
    }
}

impl<'a> Outline<'a> {
    fn read(scheme: Scheme, item: &'a str) -> Result<Self, InvalidEffect> {
        if !item.starts_with('{') {
            return Err(InvalidEffect { field: "event", fault: Fault::WrongType });
        }
        let names = ["id", "type", "eventType", "timestamp", "occurredAt", "data", "payload"];
        let unreadable = |_| InvalidEffect { field: "event", fault: Fault::Unreadable };
        let [id, event_type, type_alias, time, time_alias, data, data_alias] =
            json::pick(item, &names).map_err(unreadable)?;
        let mut outline = Self {
            id,
            event_type: event_type.or(type_alias),
            time: time.or(time_alias),
            data: data.or(data_alias),
        };
        match scheme {
            Scheme::Stripe => {
                let [created] = json::pick(item, &["created"]).map_err(unreadable)?;
                outline.time = outline.time.or(created);
            }
            Scheme::Slack => outline.add_slack(item).map_err(unreadable)?,
            Scheme::Standard | Scheme::Github | Scheme::Shopify => {}
        }
        Ok(outline)
    }

    /// Slack wraps what happened: `{"type": "event_callback", "event_id", "event_time", "event": {"type"}}`.
    fn add_slack(&mut self, item: &'a str) -> Result<(), serde_json::Error> {
        let [id, time, event] = json::pick(item, &["event_id", "event_time", "event"])?;
        self.id = id.or(self.id);
        self.time = self.time.or(time);
        if let Some(event) = event.filter(|event| event.get().starts_with('{')) {
            let [inner] = json::pick(event.get(), &["type"])?;
            self.event_type = inner.or(self.event_type);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
