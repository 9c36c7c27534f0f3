//! The effects of events on accounts and transactions.
//!
//! Events that are not in a vendor's own form are read like this: `account.*` has `accountId` or `externalId`,
//! `status`, and any attributes; `transaction.*` has `transactionId` or `externalId`, `accountId`, `amount`,
//! `currency`, `status`, and any attributes.

mod finality;
mod values;

use jiff::Timestamp;
use serde_json::{Map, Value, value::RawValue};

use super::invalid_effect::{FieldProblem, InvalidEffect};
use super::raw_json;

pub use finality::finality;
pub(super) use values::{amount, attributes, currency, take, time};

/// The most characters that a status may have.
pub const MAX_STATUS: usize = 64;

/// A change to one account or transaction. It applies only if its [`precedence`](Effect::precedence) is not lower than
/// that of the stored state.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// The new state of an account.
    Account {
        /// The sender's id of the account.
        external_id: String,
        /// The status, as the sender spells it.
        status: String,
        /// Everything else that the sender said, as a JSON object without U+0000.
        attributes: Value,
        /// When it came into this state.
        occurred_at: Timestamp,
        /// How final the status is; see [`finality`].
        finality: i16,
    },
    /// The new state of a transaction.
    Transaction {
        /// The sender's id of the transaction.
        external_id: String,
        /// The sender's id of the account; `None` for a guest's payment at Stripe.
        account_id: Option<String>,
        /// The amount in minor units of the currency (cents for USD, whole yen for JPY), which may be negative.
        amount: i64,
        /// The currency as three capital letters, as in ISO 4217.
        currency: String,
        /// The status, as the sender spells it.
        status: String,
        /// Everything else that the sender said, as a JSON object without U+0000.
        attributes: Value,
        /// When it came into this state.
        occurred_at: Timestamp,
        /// How final the status is; see [`finality`].
        finality: i16,
    },
}

impl Effect {
    /// Decides which of two states of a row is kept: the later one, and of two at the same time the more final one. Of
    /// equal ones, that which arrives last replaces the other, so that a row is replaced if `(new.occurred_at,
    /// new.finality) >= (old.occurred_at, old.finality)`.
    #[must_use]
    pub fn precedence(&self) -> (Timestamp, i16) {
        match self {
            Self::Account { occurred_at, finality, .. } | Self::Transaction { occurred_at, finality, .. } => {
                (*occurred_at, *finality)
            }
        }
    }
}

/// Reads the effect of an event that is not in a vendor's own form, from its `data`. Other types than `account.*` and
/// `transaction.*` have none.
pub(super) fn parse_common(
    event_type: &str,
    data: Option<&RawValue>,
    occurred_at: Result<Option<Timestamp>, InvalidEffect>,
) -> Result<Vec<Effect>, InvalidEffect> {
    let parse = if event_type.starts_with("account.") {
        account
    } else if event_type.starts_with("transaction.") {
        transaction
    } else {
        return Ok(Vec::new());
    };
    let occurred_at =
        occurred_at?.ok_or(InvalidEffect { field: "occurredAt", problem: FieldProblem::Missing })?;
    let data = data.ok_or(InvalidEffect { field: "data", problem: FieldProblem::Missing })?;
    Ok(vec![parse(raw_json::parse_object(data, "data")?, occurred_at)?])
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

/// Takes the first of these members that is present, as an id.
fn take_id(data: &mut Map<String, Value>, fields: &[&'static str]) -> Result<String, InvalidEffect> {
    let first = fields.iter().find_map(|field| take(data, field).ok().map(|value| (value, *field)));
    let (value, field) = first.ok_or(InvalidEffect { field: fields[0], problem: FieldProblem::Missing })?;
    raw_json::parse_id(&value, field)
}

fn take_status(data: &mut Map<String, Value>) -> Result<String, InvalidEffect> {
    raw_json::parse_text(&take(data, "status")?, "status", MAX_STATUS)
}

#[cfg(test)]
mod tests;
