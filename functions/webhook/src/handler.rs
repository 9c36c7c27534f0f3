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
use shared::webhook::event::{self, Envelope, Message};
use shared::webhook::signature::{self, SignatureError, Verified};
use shared::webhook::source::Sources;
use shared::webhook::source_cache::SourceCache;
use tessera_postgres::Database;
use uuid::Uuid;

/// The most bytes that a body may have. Lambda's limit for the event is 6 MB
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>), of which base64 and escaping need up to
/// a third.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// What the requests of a container share.
pub(crate) struct State {
    pub(crate) database: Arc<Database>,
    pub(crate) sources: SourceCache,
}

pub(crate) async fn handle(state: Arc<State>, invocation: Invocation, request: Request) -> HandlerResult {
    let ["webhooks", name] = segments(request.raw_http_path())[..] else {
        return Err(PublicError::NotFound.into());
    };
    if *request.method() != Method::POST {
        return Err(PublicError::MethodNotAllowed("POST").into());
    }
    if request.body().len() > MAX_BODY_BYTES {
        return Err(PublicError::TooLarge(MAX_BODY_BYTES).into());
    }
    let (sources, verified) = verify(&state, name, &request, &invocation).await?;
    let source = sources.get(name).ok_or(PublicError::NotFound)?;

    let message = event::parse(source, request.headers(), &verified, request.body())?;
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
    Ok(if is_batch { batch_response(&events, &is_new) } else { event_response(&events[0], is_new[0]) })
}

/// Verifies that the source of that name sent the request, with the cached secrets or, if these may be outdated, with
/// newer ones.
async fn verify(
    state: &State,
    name: &str,
    request: &Request,
    invocation: &Invocation,
) -> Result<(Arc<Sources>, Verified), HandlerError> {
    let cached = state.sources.get(invocation.deadline).await?;
    let error = match verify_with(&cached, name, request) {
        Ok(verified) => return Ok((cached, verified)),
        Err(error) => error,
    };
    let may_be_outdated =
        matches!(error, VerifyError::UnknownSource | VerifyError::Signature(SignatureError::Mismatch));
    let newer =
        if may_be_outdated { state.sources.refresh(&cached, invocation.deadline).await } else { None };
    let Some(newer) = newer else { return Err(rejected(error).into()) };
    let verified = verify_with(&newer, name, request).map_err(rejected)?;
    Ok((newer, verified))
}

/// Why a request is rejected.
#[derive(Clone, Copy)]
enum VerifyError {
    UnknownSource,
    Signature(SignatureError),
}

fn verify_with(sources: &Sources, name: &str, request: &Request) -> Result<Verified, VerifyError> {
    let source = sources.get(name).ok_or(VerifyError::UnknownSource)?;
    // The signed time is compared with the container's clock: the database is not asked before the signature is
    // verified.
    signature::verify(source, request.headers(), request.body(), Timestamp::now())
        .map_err(VerifyError::Signature)
}

/// Logs and counts a rejected signature, and says what the caller is told.
fn rejected(error: VerifyError) -> PublicError {
    match error {
        VerifyError::UnknownSource => PublicError::NotFound,
        VerifyError::Signature(refusal) => {
            tracing::warn!(%refusal, "webhook refused");
            metrics::count(Metric::RejectedSignatures);
            PublicError::BadSignature
        }
    }
}

/// Logs and counts new events without valid effects. Only field and problem are logged: id, type and values are the
/// sender's.
fn log_failures(source: &str, events: &[Envelope<'_>], is_new: &[bool]) {
    for (event, _) in events.iter().zip(is_new).filter(|(_, is_new)| **is_new) {
        if let Err(invalid) = &event.effects {
            tracing::warn!(source, reason = %invalid, "event kept as failed");
            metrics::count(Metric::FailedEvents);
        }
    }
}

/// The response to a single event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventResponse<'a> {
    event_id: &'a str,
    duplicate: bool,
}

fn event_response(event: &Envelope<'_>, is_new: bool) -> shared::http::Response<Body> {
    let status = if is_new { StatusCode::ACCEPTED } else { StatusCode::OK };
    json(status, &EventResponse { event_id: &event.event_id, duplicate: !is_new })
}

/// The response to a batch, in which each event is counted once: as accepted, as a duplicate, or as failed.
#[derive(Serialize)]
struct BatchResponse<'a> {
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

fn batch_response(events: &[Envelope<'_>], is_new: &[bool]) -> shared::http::Response<Body> {
    let mut batch = BatchResponse { accepted: 0, duplicates: 0, failed: Vec::new() };
    for (index, (event, is_new)) in events.iter().zip(is_new).enumerate() {
        match (&event.effects, is_new) {
            (_, false) => batch.duplicates += 1,
            (Ok(_), true) => batch.accepted += 1,
            (Err(invalid), true) => batch.failed.push(FailedItem {
                index,
                event_id: &event.event_id,
                reason: invalid.to_string(),
            }),
        }
    }
    json(StatusCode::ACCEPTED, &batch)
}
