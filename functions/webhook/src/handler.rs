//! `POST /webhooks/{source}`.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use shared::http::{
    Body, HandlerError, HandlerResult, Invocation, Method, PublicError, Request, RequestExt as _, StatusCode,
    json, respond, segments,
};
use shared::metrics::{self, Metric};
use shared::webhook::accept::accept;
use shared::webhook::configured::ConfiguredSources;
use shared::webhook::event::{self, Envelope, Message};
use shared::webhook::refusal::Refusal;
use shared::webhook::signature::{self, Verified};
use shared::webhook::source::Sources;
use tessera_postgres::Database;
use uuid::Uuid;

/// Bytes of a body, at most. Lambda itself takes 6 MB, of which base64 and escaping take up to a third.
const MAX_BODY: usize = 4 * 1024 * 1024;

pub(crate) struct State {
    pub(crate) database: Arc<Database>,
    pub(crate) sources: ConfiguredSources,
}

pub(crate) async fn handle(state: Arc<State>, invocation: Invocation, request: Request) -> HandlerResult {
    let ["webhooks", name] = segments(request.raw_http_path())[..] else {
        return Err(PublicError::NotFound.into());
    };
    if *request.method() != Method::POST {
        return Err(PublicError::MethodNotAllowed("POST").into());
    }
    if request.body().len() > MAX_BODY {
        return Err(PublicError::TooLarge(MAX_BODY).into());
    }
    let (sources, verified) = verify(&state, name, &request, &invocation).await?;
    let source = sources.get(name).ok_or(PublicError::NotFound)?;

    let message = event::read(source, request.headers(), &verified, request.body())?;
    let (events, is_batch) = match message {
        Message::Challenge(text) => return Ok(respond(StatusCode::OK, "text/plain", Body::Text(text))),
        Message::Event(event) => (vec![event], false),
        Message::Batch(events) => (events, true),
    };
    let is_new = if events.is_empty() {
        Vec::new()
    } else {
        accept(&state.database, source, &events, Uuid::now_v7(), invocation.deadline).await?
    };
    log_failures(name, &events, &is_new);
    for is_new in &is_new {
        metrics::count(if *is_new { Metric::Events } else { Metric::DuplicateEvents });
    }
    Ok(if is_batch { answer_batch(&events, &is_new) } else { answer_one(&events[0], is_new[0]) })
}

/// Whether the source of that name sent this, by the secrets that are known or, if they changed, by the new ones.
async fn verify(
    state: &State,
    name: &str,
    request: &Request,
    invocation: &Invocation,
) -> Result<(Arc<Sources>, Verified), HandlerError> {
    let known = state.sources.current(invocation.deadline).await?;
    let denial = match check(&known, name, request) {
        Ok(verified) => return Ok((known, verified)),
        Err(denial) => denial,
    };
    let may_be_outdated = matches!(denial, Denial::UnknownSource | Denial::Refused(Refusal::Mismatch));
    let changed =
        if may_be_outdated { state.sources.changed(&known, invocation.deadline).await } else { None };
    let Some(changed) = changed else { return Err(denied(denial).into()) };
    let verified = check(&changed, name, request).map_err(denied)?;
    Ok((changed, verified))
}

#[derive(Clone, Copy)]
enum Denial {
    UnknownSource,
    Refused(Refusal),
}

fn check(sources: &Sources, name: &str, request: &Request) -> Result<Verified, Denial> {
    let source = sources.get(name).ok_or(Denial::UnknownSource)?;
    // The sender's clock is held against the container's: the database is not asked before the signature is good.
    signature::verify(source, request.headers(), request.body(), Timestamp::now()).map_err(Denial::Refused)
}

fn denied(denial: Denial) -> PublicError {
    match denial {
        Denial::UnknownSource => PublicError::NotFound,
        Denial::Refused(refusal) => {
            tracing::warn!(%refusal, "webhook refused");
            metrics::count(Metric::RejectedSignatures);
            PublicError::BadSignature
        }
    }
}

/// By field and fault alone: an event's id, type and values are the sender's.
fn log_failures(source: &str, events: &[Envelope<'_>], is_new: &[bool]) {
    for (event, _) in events.iter().zip(is_new).filter(|(_, is_new)| **is_new) {
        if let Err(invalid) = &event.effects {
            tracing::warn!(source, reason = %invalid, "event kept as failed");
            metrics::count(Metric::FailedEvents);
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OneAnswer<'a> {
    event_id: &'a str,
    duplicate: bool,
}

fn answer_one(event: &Envelope<'_>, is_new: bool) -> shared::http::Response<Body> {
    let status = if is_new { StatusCode::ACCEPTED } else { StatusCode::OK };
    json(status, &OneAnswer { event_id: &event.event_id, duplicate: !is_new })
}

/// Every event is counted once: as accepted, as a duplicate, or as failed.
#[derive(Serialize)]
struct BatchAnswer<'a> {
    accepted: usize,
    duplicates: usize,
    failed: Vec<FailedItem<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FailedItem<'a> {
    index: usize,
    event_id: &'a str,
    reason: String,
}

fn answer_batch(events: &[Envelope<'_>], is_new: &[bool]) -> shared::http::Response<Body> {
    let mut answer = BatchAnswer { accepted: 0, duplicates: 0, failed: Vec::new() };
    for (index, (event, is_new)) in events.iter().zip(is_new).enumerate() {
        match (&event.effects, is_new) {
            (_, false) => answer.duplicates += 1,
            (Ok(_), true) => answer.accepted += 1,
            (Err(invalid), true) => answer.failed.push(FailedItem {
                index,
                event_id: &event.event_id,
                reason: invalid.to_string(),
            }),
        }
    }
    json(StatusCode::ACCEPTED, &answer)
}
