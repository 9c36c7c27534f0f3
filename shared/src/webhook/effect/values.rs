//! Reads the values that an effect is made of: amounts, currencies, times and attributes.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::webhook::invalid_effect::{FieldProblem, InvalidEffect};
use crate::webhook::raw_json;

/// Takes a member out of `data`, so that only the attributes are left in the end.
pub(in crate::webhook) fn take(
    data: &mut Map<String, Value>,
    field: &'static str,
) -> Result<Value, InvalidEffect> {
    data.remove(field)
        .filter(|value| !value.is_null())
        .ok_or(InvalidEffect { field, problem: FieldProblem::Missing })
}

/// Reads an integer of minor units. `10.0`, `1e3` and `"10"` are refused, since what they mean would be a guess.
pub(in crate::webhook) fn amount(value: &Value) -> Result<i64, InvalidEffect> {
    if let Some(amount) = value.as_i64() {
        return Ok(amount);
    }
    let problem = match value {
        Value::Number(number) if number.as_f64().is_some_and(|float| float.abs() >= 9.2e18) => {
            FieldProblem::OutOfRange
        }
        Value::Number(_) => FieldProblem::NotAnInteger,
        _ => FieldProblem::WrongType,
    };
    Err(InvalidEffect { field: "amount", problem })
}

/// Reads three letters and returns them in capitals. They are not looked up in ISO 4217, which changes.
pub(in crate::webhook) fn currency(value: &Value) -> Result<String, InvalidEffect> {
    let wrong = |problem| InvalidEffect { field: "currency", problem };
    let code = value.as_str().ok_or(wrong(FieldProblem::WrongType))?;
    let is_code = code.len() == 3 && code.bytes().all(|b| b.is_ascii_alphabetic());
    if is_code { Ok(code.to_ascii_uppercase()) } else { Err(wrong(FieldProblem::NotACurrency)) }
}

/// Makes the attributes of what is left of `data`, which must not contain U+0000.
pub(in crate::webhook) fn attributes(data: Map<String, Value>) -> Result<Value, InvalidEffect> {
    let attributes = Value::Object(data);
    if raw_json::contains_nul(&attributes) {
        return Err(InvalidEffect { field: "data", problem: FieldProblem::NulCharacter });
    }
    Ok(attributes)
}

/// Reads a time in RFC 3339 with an offset, or a Unix time in seconds, with or without a fraction, or in milliseconds.
/// Numbers from 10^11 on are milliseconds: as seconds, they would be after the year 5138. The time is cut to
/// microseconds, which is PostgreSQL's resolution. Years before 1 are out of range, because PostgreSQL writes them
/// differently or not at all.
pub(in crate::webhook) fn time(value: &Value) -> Result<Timestamp, InvalidEffect> {
    let wrong = |problem| InvalidEffect { field: "occurredAt", problem };
    let time = match value {
        Value::String(text) => text.parse().map_err(|_| wrong(FieldProblem::NotATime))?,
        Value::Number(number) => unix_time(number).ok_or(wrong(FieldProblem::OutOfRange))?,
        _ => return Err(wrong(FieldProblem::WrongType)),
    };
    let year_1 = -62_135_596_800;
    if time.as_second() < year_1 {
        return Err(wrong(FieldProblem::OutOfRange));
    }
    Timestamp::from_microsecond(time.as_microsecond()).map_err(|_| wrong(FieldProblem::OutOfRange))
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
