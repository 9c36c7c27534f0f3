//! Stripe's own events: customers are accounts; charges, payment intents and refunds are transactions.
//!
//! The object inside the event decides, by its `object` member, not the event's type: `customer.*` are also
//! subscriptions and cards, `charge.*` also disputes and refunds. Objects of other kinds have no effect.
//! A payment is seen twice, as its payment intent and as its charge; the attribute `object` tells the rows
//! apart, so that a sum takes one kind. Shapes: <https://docs.stripe.com/api/events/object>.

use jiff::Timestamp;
use serde_json::{Map, Value, value::RawValue};

use super::effect::{Effect, MAX_STATUS, amount, attributes, currency, finality, take};
use super::invalid_effect::{Fault, InvalidEffect};
use super::json;

/// What is kept of a customer: enough to recognise it, no address, no telephone, no payment means.
const CUSTOMER: [&str; 10] = [
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

/// What is kept of a charge, payment intent or refund: what links it to others and what explains its status.
const TRANSACTION: [&str; 18] = [
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

/// The object in `data`, when it is one of Stripe's; common events sent under Stripe's scheme have none.
pub(super) fn object(data: &RawValue) -> Option<&RawValue> {
    let [object] = json::pick(data.get(), &["object"]).ok()?;
    object.filter(|object| object.get().starts_with('{'))
}

/// The effect of an event of that type on that object.
pub(super) fn effects(
    event_type: &str,
    object: &RawValue,
    occurred_at: Result<Option<Timestamp>, InvalidEffect>,
) -> Result<Vec<Effect>, InvalidEffect> {
    let unreadable = |_| InvalidEffect { field: "data", fault: Fault::Unreadable };
    let [kind] = json::pick(object.get(), &["object"]).map_err(unreadable)?;
    let kind = kind.and_then(|kind| serde_json::from_str(kind.get()).ok()).unwrap_or("");
    if !matches!(kind, "customer" | "charge" | "payment_intent" | "refund") {
        return Ok(Vec::new());
    }
    let object = json::object(object, "data")?;
    let occurred_at = occurred_at?.ok_or(InvalidEffect { field: "created", fault: Fault::Missing })?;
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
        external_id: json::id(&take(&mut object, "id")?, "id")?,
        finality: rank(event_type, &status),
        status,
        attributes: attributes(keep(object, &CUSTOMER))?,
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
        external_id: json::id(&take(&mut object, "id")?, "id")?,
        account_id: customer_id(&mut object)?,
        amount: amount(&take(&mut object, "amount")?)?,
        currency: currency(&take(&mut object, "currency")?)?,
        finality: rank(event_type, &status),
        status,
        attributes: attributes(keep(object, &TRANSACTION))?,
        occurred_at,
    })
}

/// A charge keeps `succeeded` whatever happens to it later; the rest of its story is in other members.
fn charge_status(event_type: &str, charge: &Map<String, Value>) -> Result<String, InvalidEffect> {
    let is = |field: &str, value: bool| charge.get(field) == Some(&Value::Bool(value));
    let refunded = charge.get("amount_refunded").and_then(Value::as_i64).unwrap_or(0);
    let status = status(charge)?.ok_or(InvalidEffect { field: "status", fault: Fault::Missing })?;
    Ok(match status.as_str() {
        // Stripe marks an authorisation that ran out as refunded too.
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
    status.map(|status| json::text(status, "status", MAX_STATUS)).transpose()
}

/// The customer's id, or the id in the customer where it was expanded; none for guests and for refunds.
fn customer_id(object: &mut Map<String, Value>) -> Result<Option<String>, InvalidEffect> {
    let id = match object.remove("customer") {
        Some(Value::Object(mut customer)) => customer.remove("id"),
        other => other,
    };
    let id = id.filter(|id| !id.is_null());
    id.map(|id| json::id(&id, "customer")).transpose()
}

/// Stripe's times are whole seconds, and an object is often created and decided within one: whatever status
/// it says, `*.created` is the oldest state of its object.
fn rank(event_type: &str, status: &str) -> i16 {
    if event_type.ends_with(".created") { 0 } else { finality(status) }
}

fn keep(object: Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    object.into_iter().filter(|(name, value)| names.contains(&name.as_str()) && !value.is_null()).collect()
}

#[cfg(test)]
mod tests;
