//! What an event does to accounts and transactions.
//!
//! The common event: `account.*` with `accountId` or `externalId`, `status` and anything else; `transaction.*`
//! with `transactionId` or `externalId`, `accountId`, `amount`, `currency`, `status` and anything else.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, value::RawValue};

use super::invalid_effect::{Fault, InvalidEffect};
use super::json;

/// Characters of a status, at most.
pub const MAX_STATUS: usize = 64;

/// One change to one row. It applies only where [`Effect::precedence`] is not lower than the row's.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// The state of an account.
    Account {
        /// The sender's id of the account.
        external_id: String,
        /// Its status, as the sender spells it.
        status: String,
        /// Everything else the sender said, a JSON object without NUL characters.
        attributes: Value,
        /// When it became so.
        occurred_at: Timestamp,
        /// See [`finality`].
        finality: i16,
    },
    /// The state of a transaction.
    Transaction {
        /// The sender's id of the transaction.
        external_id: String,
        /// The sender's id of the account; a guest's payment at Stripe has none.
        account_id: Option<String>,
        /// In minor units of the currency (cents of a dollar, yen as they are); may be negative.
        amount: i64,
        /// Three capital letters, as in ISO 4217.
        currency: String,
        /// Its status, as the sender spells it.
        status: String,
        /// Everything else the sender said, a JSON object without NUL characters.
        attributes: Value,
        /// When it became so.
        occurred_at: Timestamp,
        /// See [`finality`].
        finality: i16,
    },
}

impl Effect {
    /// What decides between two states of one row: the later one, then the more final one. Between equals the
    /// one that arrives last wins, so a row is replaced when
    /// `(new.occurred_at, new.finality) >= (old.occurred_at, old.finality)`.
    #[must_use]
    pub fn precedence(&self) -> (Timestamp, i16) {
        match self {
            Self::Account { occurred_at, finality, .. } | Self::Transaction { occurred_at, finality, .. } => {
                (*occurred_at, *finality)
            }
        }
    }
}

/// How final a status is: it orders two events of the same instant, whichever arrives first.
///
/// | Rank | Meaning | Statuses |
/// |---|---|---|
/// | 0 | not begun | created, new, draft, pending, scheduled, initiated, submitted, incomplete, unverified, `requires_payment_method`, `requires_confirmation`, `requires_action` |
/// | 1 | under way | processing, `in_progress`, authorized, `requires_capture`, active, suspended, and every status that is not in this table |
/// | 2 | decided | succeeded, success, completed, complete, paid, captured, settled, posted, failed, declined, rejected, canceled, cancelled, voided, expired |
/// | 3 | partly undone | `partially_refunded`, disputed |
/// | 4 | over | refunded, reversed, `charged_back`, chargeback, closed, deleted, terminated |
///
/// Case does not count, and `-` and a space are read as `_`.
#[must_use]
pub fn finality(status: &str) -> i16 {
    match status.to_ascii_lowercase().replace(['-', ' '], "_").as_str() {
        "created"
        | "new"
        | "draft"
        | "pending"
        | "scheduled"
        | "initiated"
        | "submitted"
        | "incomplete"
        | "unverified"
        | "requires_payment_method"
        | "requires_confirmation"
        | "requires_action" => 0,
        "succeeded" | "success" | "completed" | "complete" | "paid" | "captured" | "settled" | "posted"
        | "failed" | "declined" | "rejected" | "canceled" | "cancelled" | "voided" | "expired" => 2,
        "partially_refunded" | "disputed" => 3,
        "refunded" | "reversed" | "charged_back" | "chargeback" | "closed" | "deleted" | "terminated" => 4,
        _ => 1,
    }
}

/// The effect of a common event's `data`, if its type has one.
pub(super) fn of_common(
    event_type: &str,
    data: Option<&RawValue>,
    occurred_at: Result<Option<Timestamp>, InvalidEffect>,
) -> Result<Vec<Effect>, InvalidEffect> {
    let read = if event_type.starts_with("account.") {
        account
    } else if event_type.starts_with("transaction.") {
        transaction
    } else {
        return Ok(Vec::new());
    };
    let occurred_at = occurred_at?.ok_or(InvalidEffect { field: "occurredAt", fault: Fault::Missing })?;
    let data = data.ok_or(InvalidEffect { field: "data", fault: Fault::Missing })?;
    Ok(vec![read(json::object(data, "data")?, occurred_at)?])
}

fn account(mut data: Map<String, Value>, occurred_at: Timestamp) -> Result<Effect, InvalidEffect> {
    let external_id = take_id(&mut data, &["accountId", "externalId"])?;
    let status = take_status(&mut data)?;
    let finality = finality(&status);
    Ok(Effect::Account { external_id, status, attributes: attributes(data)?, occurred_at, finality })
}

fn transaction(mut data: Map<String, Value>, occurred_at: Timestamp) -> Result<Effect, InvalidEffect> {
    let external_id = take_id(&mut data, &["transactionId", "externalId"])?;
    let account_id = Some(take_id(&mut data, &["accountId"])?);
    let amount = amount(&take(&mut data, "amount")?)?;
    let currency = currency(&take(&mut data, "currency")?)?;
    let status = take_status(&mut data)?;
    let (finality, attributes) = (finality(&status), attributes(data)?);
    Ok(Effect::Transaction {
        external_id,
        account_id,
        amount,
        currency,
        status,
        attributes,
        occurred_at,
        finality,
    })
}

/// Takes the member out, so that what is left are the attributes.
pub(super) fn take(data: &mut Map<String, Value>, field: &'static str) -> Result<Value, InvalidEffect> {
    data.remove(field).filter(|value| !value.is_null()).ok_or(InvalidEffect { field, fault: Fault::Missing })
}

/// Takes the first of these names that is there, as an id.
fn take_id(data: &mut Map<String, Value>, fields: &[&'static str]) -> Result<String, InvalidEffect> {
    let there = fields.iter().find_map(|field| take(data, field).ok().map(|value| (value, *field)));
    let (value, field) = there.ok_or(InvalidEffect { field: fields[0], fault: Fault::Missing })?;
    json::id(&value, field)
}

fn take_status(data: &mut Map<String, Value>) -> Result<String, InvalidEffect> {
    json::text(&take(data, "status")?, "status", MAX_STATUS)
}

/// An integer of minor units; `10.0`, `1e3` and `"10"` are refused rather than guessed at.
pub(super) fn amount(value: &Value) -> Result<i64, InvalidEffect> {
    if let Some(amount) = value.as_i64() {
        return Ok(amount);
    }
    let fault = match value {
        Value::Number(number) if number.as_f64().is_some_and(|float| float.abs() >= 9.2e18) => {
            Fault::OutOfRange
        }
        Value::Number(_) => Fault::NotAnInteger,
        _ => Fault::WrongType,
    };
    Err(InvalidEffect { field: "amount", fault })
}

/// Three letters, in capitals; whether ISO 4217 lists them is the sender's business.
pub(super) fn currency(value: &Value) -> Result<String, InvalidEffect> {
    let wrong = |fault| InvalidEffect { field: "currency", fault };
    let code = value.as_str().ok_or(wrong(Fault::WrongType))?;
    let is_code = code.len() == 3 && code.bytes().all(|b| b.is_ascii_alphabetic());
    if is_code { Ok(code.to_ascii_uppercase()) } else { Err(wrong(Fault::NotACurrency)) }
}

pub(super) fn attributes(data: Map<String, Value>) -> Result<Value, InvalidEffect> {
    let attributes = Value::Object(data);
    if json::holds_nul(&attributes) {
        return Err(InvalidEffect { field: "data", fault: Fault::NulCharacter });
    }
    Ok(attributes)
}

/// RFC 3339 with an offset, or a Unix time in seconds (fractions allowed) or milliseconds: from 10^11 on, a
/// number is milliseconds (as seconds that would be the year 5138). Cut to microseconds, as PostgreSQL keeps. Years
/// before 1 are out of range: PostgreSQL writes them differently, or not at all.
pub(super) fn time(value: &Value) -> Result<Timestamp, InvalidEffect> {
    let wrong = |fault| InvalidEffect { field: "occurredAt", fault };
    let time = match value {
        Value::String(text) => text.parse().map_err(|_| wrong(Fault::NotATime))?,
        Value::Number(number) => unix_time(number).ok_or(wrong(Fault::OutOfRange))?,
        _ => return Err(wrong(Fault::WrongType)),
    };
    let year_1 = -62_135_596_800;
    if time.as_second() < year_1 {
        return Err(wrong(Fault::OutOfRange));
    }
    Timestamp::from_microsecond(time.as_microsecond()).map_err(|_| wrong(Fault::OutOfRange))
}

fn unix_time(number: &serde_json::Number) -> Option<Timestamp> {
    const MILLISECONDS_FROM: i64 = 100_000_000_000;
    match number.as_i64() {
        Some(seconds @ 0..MILLISECONDS_FROM) => Timestamp::from_second(seconds).ok(),
        Some(millis) if (0..MILLISECONDS_FROM * 1000).contains(&millis) => {
            Timestamp::from_millisecond(millis).ok()
        }
        Some(_) => None,
        None => {
            let seconds = number.as_f64().filter(|seconds| (0.0..1e11).contains(seconds))?;
            Timestamp::from_duration(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
        }
    }
}

#[cfg(test)]
mod tests;
