//! Stores events, each once, with its effects and its job, in one statement.

use serde_json::{Value, json};
use tessera_postgres::{
    Database, DatabaseError, Deadline, IdempotentBy, Json, Parameters, Plan, Statement, Type,
};
use uuid::Uuid;

use super::effect::Effect;
use super::event::Envelope;
use super::source::{Scheme, Source};

/// Stores the events that are new, applies their effects where these are newer than the stored state, and creates a job
/// for each.
pub const ACCEPT: Statement = Statement {
    name: "webhook.accept",
    sql: include_str!("sql/accept.sql"),
    parameters: &[
        Type::TEXT,
        Type::UUID,
        Type::BOOL,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::TIMESTAMPTZ_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::BYTEA_ARRAY,
        Type::JSONB,
    ],
    columns: &[("again", Type::BOOL), ("accepted", Type::INT8_ARRAY)],
    plan: Plan::Kept,
    may_take_long: false,
    idempotent_by: IdempotentBy::RequestId("events.request"),
};

/// Stores `events` of `source`, at most [`MAX_BATCH`](super::event::MAX_BATCH), and returns for each, in their order,
/// whether it was new. `request` is an id made for this request: by it, the statement recognises events that it has
/// stored itself when it is sent again.
pub async fn accept(
    database: &Database,
    source: &Source,
    events: &[Envelope<'_>],
    request: Uuid,
    deadline: Deadline,
) -> Result<Vec<bool>, DatabaseError> {
    let topics: Vec<&str> = events.iter().map(|event| topic(source, event)).collect();
    let failures: Vec<Option<String>> =
        events.iter().map(|event| event.effects.as_ref().err().map(ToString::to_string)).collect();
    let effects: Vec<Value> = events.iter().enumerate().flat_map(effects).collect();
    let parameters: Parameters<'_> = &[
        &source.name,
        &request,
        &source.forward_url.is_some(),
        &column(events, |event| event.event_id.as_str()),
        &topics,
        &column(events, |event| event.event_type.as_deref()),
        &column(events, |event| event.occurred_at),
        &column(events, |event| event.signed_digest.as_deref()),
        &failures,
        &column(events, |event| event.raw),
        &Json(effects),
    ];
    let mut row = database.query_one(&ACCEPT, parameters, deadline).await?;
    // What it met has ended by now, so that the second look sees it.
    if row.get("again") {
        row = database.query_one(&ACCEPT, parameters, deadline).await?;
    }
    let mut is_new = vec![false; events.len()];
    for position in row.get::<_, Vec<i64>>("accepted") {
        let index = usize::try_from(position).ok().and_then(|position| position.checked_sub(1));
        if let Some(entry) = index.and_then(|index| is_new.get_mut(index)) {
            *entry = true;
        }
    }
    Ok(is_new)
}

fn column<'e, T>(events: &'e [Envelope<'e>], field: impl Fn(&'e Envelope<'e>) -> T) -> Vec<T> {
    events.iter().map(field).collect()
}

/// Distinguishes the webhooks to which Shopify gives the same event id; empty for all other senders.
fn topic<'e>(source: &Source, event: &'e Envelope<'_>) -> &'e str {
    match source.scheme {
        Scheme::Shopify => event.event_type.as_deref().unwrap_or_default(),
        Scheme::Standard | Scheme::Stripe | Scheme::Github | Scheme::Slack => "",
    }
}

/// The effects of the event at `index` as the statement reads them, each with the event's position, which counts from
/// 1.
fn effects((index, event): (usize, &Envelope<'_>)) -> impl Iterator<Item = Value> {
    event.effects.iter().flatten().map(move |effect| match effect {
        Effect::Account { external_id, status, attributes, occurred_at, finality } => json!({
            "n": index + 1,
            "kind": "account",
            "externalId": external_id,
            "status": status,
            "attributes": attributes,
            "occurredAt": occurred_at,
            "finality": finality,
        }),
        Effect::Transaction {
            external_id,
            account_id,
            amount,
            currency,
            status,
            attributes,
            occurred_at,
            finality,
        } => json!({
            "n": index + 1,
            "kind": "transaction",
            "externalId": external_id,
            "accountId": account_id,
            "amount": amount,
            "currency": currency,
            "status": status,
            "attributes": attributes,
            "occurredAt": occurred_at,
            "finality": finality,
        }),
    })
}
