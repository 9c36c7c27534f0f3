//! Reads the events of a verified request, each with the id by which a duplicate is recognised, and with its effects.
//!
//! Nothing that is verified gets lost. Bodies that are not JSON are refused; everything else, however strange, is an
//! event to be stored, with an [`InvalidEffect`] where its effects are not valid. This includes nesting of any depth,
//! half surrogate pairs, numbers beyond the range of a double, and U+0000. The raw bytes must therefore be stored as
//! `bytea`: only the other fields of [`Envelope`] can be stored as `text` and `jsonb`.

mod envelope;
mod fields;

use http::HeaderMap;
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::effect::Effect;
use super::invalid_effect::InvalidEffect;
use super::raw_json;
use super::signature::Verified;
use super::source::{Scheme, Source};
use envelope::Request;

/// The most events that a request may have.
pub const MAX_BATCH: usize = 1_000;

/// What a verified request holds.
#[derive(Debug, PartialEq)]
pub enum Message<'a> {
    /// One event.
    Event(Envelope<'a>),
    /// `[…]` or `{"events": […]}`: up to [`MAX_BATCH`] events, in their order.
    Batch(Vec<Envelope<'a>>),
    /// Slack's `url_verification` (<https://docs.slack.dev/reference/events/url_verification>), which is not an event:
    /// the text to respond with.
    Challenge(String),
}

/// Why a verified request cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The body is not JSON, or not UTF-8. Form bodies, an option at GitHub and Slack, are not JSON.
    #[error("not_json")]
    NotJson,
    /// The batch has more than [`MAX_BATCH`] events.
    #[error("too_many_events")]
    TooManyEvents,
    /// This header names no topic that the source lists.
    #[error("unlisted_topic")]
    UnlistedTopic(&'static str),
}

/// One event, ready to be stored.
#[derive(Debug, PartialEq)]
pub struct Envelope<'a> {
    /// The event's id, which is unique within its source: 1 to 255 characters without U+0000.
    ///
    /// It is the id in the body; or else the one in the headers, in a batch followed by `#` and the item's index; or
    /// else `sha256:` and the hash of source and content. For GitHub and Shopify the header comes first.
    pub event_id: String,
    /// The event's type, such as `account.updated`: 1 to 255 characters without U+0000. `None` where the sender sent
    /// none, or none that can be stored.
    pub event_type: Option<String>,
    /// When it happened, by the sender's clock, in microseconds.
    pub occurred_at: Option<Timestamp>,
    /// Its effects, which are none for types that are not known, or not signed.
    pub effects: Result<Vec<Effect>, InvalidEffect>,
    /// The event as it was sent: the whole body, or the event's part of a batch.
    pub raw: &'a [u8],
    /// For GitHub and Shopify, whose signatures cover neither the id nor the topic: `sha256:` and the hash of all that is
    /// signed, and of the source. Whoever has seen such a request can send it again under a new id or another topic; an
    /// event with a digest that is known already is such a replay.
    pub signed_digest: Option<String>,
}

/// Reads the body of a verified request.
pub fn parse<'a>(
    source: &Source,
    headers: &HeaderMap,
    verified: &Verified,
    body: &'a [u8],
) -> Result<Message<'a>, ParseError> {
    let whole: &RawValue = serde_json::from_slice(body).map_err(|_| ParseError::NotJson)?;
    let request = Request { source, headers, verified };
    request.check_topic()?;
    if let Some(items) = batch(whole) {
        if items.len() > MAX_BATCH {
            return Err(ParseError::TooManyEvents);
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

/// The items of `[…]`, or of `{"events": […]}` unless that object is itself an event, by having a type.
fn batch(whole: &RawValue) -> Option<Vec<&RawValue>> {
    let list = if whole.get().starts_with('[') {
        whole
    } else {
        let [events, name, alias] = raw_json::members(whole.get(), &["events", "type", "eventType"]).ok()?;
        events.filter(|events| events.get().starts_with('[') && name.or(alias).is_none())?
    };
    raw_json::elements(list.get(), MAX_BATCH).ok()
}

fn challenge(source: &Source, whole: &RawValue) -> Option<String> {
    if source.scheme != Scheme::Slack {
        return None;
    }
    let [name, challenge] = raw_json::members(whole.get(), &["type", "challenge"]).ok()?;
    (name?.get() == r#""url_verification""#).then(|| serde_json::from_str(challenge?.get()).ok())?
}

#[cfg(test)]
mod tests;
