//! The effects of Stripe's events: customers are accounts; charges, payment intents and refunds are transactions.
//!
//! What an event is about is decided by the `object` member of the object in it, not by the event's type: events of the
//! type `customer.*` are also about subscriptions and cards, those of the type `charge.*` also about disputes and
//! refunds. Other objects have no effect. A payment appears twice, as a payment intent and as a charge; the attribute
//! `object` tells these rows apart, so that a sum must choose one kind. The format is described in
//! <https://docs.stripe.com/api/events/object>.

use jiff::Timestamp;
use serde_json::{Map, Value, value::RawValue};

use super::effect::{Effect, MAX_STATUS, amount, attributes, currency, finality, take};
use super::invalid_effect::{FieldProblem, InvalidEffect};
use super::raw_json;

/// The members of a customer that are stored: enough to recognise it, but no address, telephone number or means of
/// payment.
const CUSTOMER_ATTRIBUTES: [&str; 10] = [
    "object",
    "email",
    "name",
    "description",
    "currency",
    "balance",
    "delinquent",
    "livemode",
    "metadata",
    "created",
];

/// The members of a charge, payment intent or refund that are stored: what links it to others, and what explains its
/// status.
const TRANSACTION_ATTRIBUTES: [&str; 18] = [
    "object",
    "payment_intent",
    "charge",
    "latest_charge",
    "invoice",
    "description",
    "reason",
    "failure_code",
    "failure_reason",
    "cancellation_reason",
    "amount_captured",
    "amount_received",
    "amount_refunded",
    "captured",
    "disputed",
    "livemode",
    "metadata",
    "created",
];

/// The object in `data`, as Stripe's own events have it. Other events that are signed by Stripe's scheme have none.
pub(super) fn object(data: &RawValue) -> Option<&RawValue> {
    let [object] = raw_json::members(data.get(), &["object"]).ok()?;
    object.filter(|object| object.get().starts_with('{'))
}

/// Reads the effect of an event of that type about `object`.
pub(super) fn effects(
    event_type: &str,
    object: &RawValue,
    occurred_at: Result<Option<Timestamp>, InvalidEffect>,
) -> Result<Vec<Effect>, InvalidEffect> {
    let unreadable = |_| InvalidEffect { field: "data", problem: FieldProblem::Unreadable };
    let [kind] = raw_json::members(object.get(), &["object"]).map_err(unreadable)?;
    let kind = kind.and_then(|kind| serde_json::from_str(kind.get()).ok()).unwrap_or("");
    if !matches!(kind, "customer" | "charge" | "payment_intent" | "refund") {
        return Ok(Vec::new());
    }
    let object = raw_json::parse_object(object, "data")?;
    let occurred_at =
        occurred_at?.ok_or(InvalidEffect { field: "created", problem: FieldProblem::Missing })?;
    let effect = match kind {
        "customer" => customer(event_type, object, occurred_at)?,
        _ => transaction(kind, event_type, object, occurred_at)?,
    };
    Ok(vec![effect])
}

fn customer(
    event_type: &str,
    mut object: Map<String, Value>,
    occurred_at: Timestamp,
) -> Result<Effect, InvalidEffect> {
    let is_deleted = event_type == "customer.deleted" || object.get("deleted") == Some(&Value::Bool(true));
    let status = if is_deleted { "deleted" } else { "active" }.to_owned();
    Ok(Effect::Account {
        external_id: raw_json::parse_id(&take(&mut object, "id")?, "id")?,
        finality: finality_of_event(event_type, &status),
        status,
        attributes: attributes(keep(object, &CUSTOMER_ATTRIBUTES))?,
        occurred_at,
    })
}

fn transaction(
    kind: &str,
    event_type: &str,
    mut object: Map<String, Value>,
    occurred_at: Timestamp,
) -> Result<Effect, InvalidEffect> {
    let status = match kind {
        "charge" => charge_status(event_type, &object)?,
        _ => status(&object)?.unwrap_or_else(|| "pending".to_owned()),
    };
    Ok(Effect::Transaction {
        external_id: raw_json::parse_id(&take(&mut object, "id")?, "id")?,
        account_id: customer_id(&mut object)?,
        amount: amount(&take(&mut object, "amount")?)?,
        currency: currency(&take(&mut object, "currency")?)?,
        finality: finality_of_event(event_type, &status),
        status,
        attributes: attributes(keep(object, &TRANSACTION_ATTRIBUTES))?,
        occurred_at,
    })
}

/// The status of a charge. Stripe's own `status` stays `succeeded` whatever happens to the charge later, which only
/// other members say.
fn charge_status(event_type: &str, charge: &Map<String, Value>) -> Result<String, InvalidEffect> {
    let is = |field: &str, value: bool| charge.get(field) == Some(&Value::Bool(value));
    let refunded = charge.get("amount_refunded").and_then(Value::as_i64).unwrap_or(0);
    let status = status(charge)?.ok_or(InvalidEffect { field: "status", problem: FieldProblem::Missing })?;
    Ok(match status.as_str() {
        // Stripe marks an authorisation that has expired as refunded, too.
        _ if event_type == "charge.expired" => "expired",
        _ if is("refunded", true) => "refunded",
        _ if refunded > 0 => "partially_refunded",
        "succeeded" if is("captured", false) => "requires_capture",
        status => status,
    }
    .to_owned())
}

fn status(object: &Map<String, Value>) -> Result<Option<String>, InvalidEffect> {
    let status = object.get("status").filter(|status| !status.is_null());
    status.map(|status| raw_json::parse_text(status, "status", MAX_STATUS)).transpose()
}

/// The customer's id, or the id in the customer where that was expanded; `None` for guests and for refunds.
fn customer_id(object: &mut Map<String, Value>) -> Result<Option<String>, InvalidEffect> {
    let id = match object.remove("customer") {
        Some(Value::Object(mut customer)) => customer.remove("id"),
        other => other,
    };
    let id = id.filter(|id| !id.is_null());
    id.map(|id| raw_json::parse_id(&id, "customer")).transpose()
}

/// How final a status is. Stripe's times are whole seconds, within which an object is often created and completed, so
/// `*.created` counts as the oldest state of its object, whatever its status.
fn finality_of_event(event_type: &str, status: &str) -> i16 {
    if event_type.ends_with(".created") { 0 } else { finality(status) }
}

fn keep(object: Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    object.into_iter().filter(|(name, value)| names.contains(&name.as_str()) && !value.is_null()).collect()
}

#[cfg(test)]
mod tests;
