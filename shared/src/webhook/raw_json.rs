//! Reads untrusted JSON, however deeply nested, however large its numbers and however often a name is repeated.
//!
//! The outer levels of a message are cut into raw slices without recursion or copies. Only what an effect needs is then
//! parsed, up to [`MAX_DEPTH`]. Of a repeated name the last member counts, as in PostgreSQL's `jsonb`, JavaScript and
//! Python.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, from_str, value::RawValue};

use super::invalid_effect::{FieldProblem, InvalidEffect, MAX_ID};

/// How deeply the parsed part of a message may be nested; `serde_json` itself stops at 128 levels.
const MAX_DEPTH: usize = 64;

/// The members of an object that have these names, as written. `null` counts as missing. Fails if the text is not an
/// object.
pub(super) fn members<'a, const N: usize>(
    object: &'a str,
    names: &[&str; N],
) -> Result<[Option<&'a RawValue>; N], serde_json::Error> {
    let found = MembersNamed(names).deserialize(&mut serde_json::Deserializer::from_str(object))?;
    Ok(found.map(|value| value.filter(|value| value.get() != "null")))
}

struct MembersNamed<'n, const N: usize>(&'n [&'n str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for MembersNamed<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for MembersNamed<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match self.0.iter().position(|wanted| *wanted == name) {
                Some(index) => found[index] = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// The elements of an array, as written. Returns one more than `limit` if the array has more.
pub(super) fn elements(array: &str, limit: usize) -> Result<Vec<&RawValue>, serde_json::Error> {
    serde_json::Deserializer::from_str(array).deserialize_seq(ElementsUpTo(limit))
}

struct ElementsUpTo(usize);

impl<'de> Visitor<'de> for ElementsUpTo {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            if elements.len() <= self.0 {
                elements.push(element);
            }
        }
        Ok(elements)
    }
}

/// Parses an object with all that is in it, so that PostgreSQL can hold it as `jsonb`: it must not be nested deeper
/// than [`MAX_DEPTH`], and its numbers must be in the range of a double. Numbers beyond 64 bits lose digits here; the
/// event's raw bytes keep them.
pub(super) fn parse_object(raw: &RawValue, field: &'static str) -> Result<Map<String, Value>, InvalidEffect> {
    let text = raw.get();
    if !text.starts_with('{') {
        return Err(InvalidEffect { field, problem: FieldProblem::WrongType });
    }
    if depth(text) > MAX_DEPTH {
        return Err(InvalidEffect { field, problem: FieldProblem::TooDeep });
    }
    from_str(text).map_err(|_| InvalidEffect { field, problem: FieldProblem::Unreadable })
}

/// The deepest nesting of brackets in a JSON text.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Reads a text of 1 to `max_chars` characters without U+0000.
pub(super) fn parse_text(
    value: &Value,
    field: &'static str,
    max_chars: usize,
) -> Result<String, InvalidEffect> {
    let problem = match value {
        Value::String(text) if text.is_empty() => FieldProblem::Empty,
        Value::String(text) if text.contains('\0') => FieldProblem::NulCharacter,
        Value::String(text) if text.chars().count() > max_chars => FieldProblem::TooLong,
        Value::String(text) => return Ok(text.clone()),
        _ => FieldProblem::WrongType,
    };
    Err(InvalidEffect { field, problem })
}

/// Reads an id of 1 to [`MAX_ID`] characters. A whole number is read as its digits, since some senders have numeric
/// ids.
pub(super) fn parse_id(value: &Value, field: &'static str) -> Result<String, InvalidEffect> {
    match value {
        Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
        other => parse_text(other, field, MAX_ID),
    }
}

/// Parses a string, a number, a boolean or `null`. Objects and arrays are refused without parsing them.
pub(super) fn parse_scalar(raw: &RawValue, field: &'static str) -> Result<Value, InvalidEffect> {
    if raw.get().starts_with(['{', '[']) {
        return Err(InvalidEffect { field, problem: FieldProblem::WrongType });
    }
    from_str(raw.get()).map_err(|_| InvalidEffect { field, problem: FieldProblem::Unreadable })
}

/// Whether a string or a name in `value` contains U+0000, the one character that PostgreSQL's `text` and `jsonb` cannot
/// hold.
pub(super) fn contains_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(contains_nul),
        Value::Object(members) => {
            members.iter().any(|(name, value)| name.contains('\0') || contains_nul(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_strings() {
        let cases =
            [("1", 0), ("[]", 1), (r#"{"a":[{}],"b":[]}"#, 3), (r#"["[[[\"[[\\",{}]"#, 2), (r#""[""#, 0)];
        for (text, expected) in cases {
            assert_eq!(depth(text), expected, "{text}");
        }
    }

    #[test]
    fn the_last_of_a_repeated_name_counts() {
        let [a, b, c] = members(r#"{"a":1,"b":null,"\u0061":[2],"d":{}}"#, &["a", "b", "c"]).unwrap();
        assert_eq!((a.map(RawValue::get), b.is_none(), c.is_none()), (Some("[2]"), true, true));
        assert!(members("[]", &["a"]).is_err());
    }

    #[test]
    fn elements_stop_one_past_the_limit() {
        assert_eq!(elements("[1,2,3,4,5]", 3).unwrap().len(), 4);
        assert_eq!(elements("[1,2,3]", 3).unwrap().len(), 3);
    }
}
