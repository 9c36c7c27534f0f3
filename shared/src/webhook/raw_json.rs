//! JSON from outside, read without trust: any depth, any number, any repetition.
//!
//! The outside of a message is cut into raw slices, which takes no recursion and no copy; only what an effect
//! needs is then parsed, under [`MAX_DEPTH`]. A name that is repeated counts once, the last time, as it does
//! for PostgreSQL's `jsonb`, JavaScript and Python.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, from_str, value::RawValue};

use super::invalid_effect::{Fault, InvalidEffect, MAX_ID};

/// How deep the parsed part of a message may be nested; `serde_json` itself stops at 128.
const MAX_DEPTH: usize = 64;

/// The members of those names, as written; `null` counts as missing. Fails when the text is not an object.
pub(super) fn pick<'a, const N: usize>(
    object: &'a str,
    names: &[&str; N],
) -> Result<[Option<&'a RawValue>; N], serde_json::Error> {
    let picked = Pick(names).deserialize(&mut serde_json::Deserializer::from_str(object))?;
    Ok(picked.map(|value| value.filter(|value| value.get() != "null")))
}

struct Pick<'n, const N: usize>(&'n [&'n str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Pick<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Pick<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut picked = [None; N];
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match self.0.iter().position(|wanted| *wanted == name) {
                Some(index) => picked[index] = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(picked)
    }
}

/// The elements of an array, as written. One more than `limit` tells that there are more.
pub(super) fn elements(array: &str, limit: usize) -> Result<Vec<&RawValue>, serde_json::Error> {
    serde_json::Deserializer::from_str(array).deserialize_seq(Elements(limit))
}

struct Elements(usize);

impl<'de> Visitor<'de> for Elements {
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

/// Parses an object whole, so that PostgreSQL can keep it as `jsonb`: not deeper than [`MAX_DEPTH`], numbers
/// within the range of a double. Numbers beyond 64 bits lose digits here; the event's own bytes keep them.
pub(super) fn object(raw: &RawValue, field: &'static str) -> Result<Map<String, Value>, InvalidEffect> {
    let text = raw.get();
    if !text.starts_with('{') {
        return Err(InvalidEffect { field, fault: Fault::WrongType });
    }
    if depth(text) > MAX_DEPTH {
        return Err(InvalidEffect { field, fault: Fault::TooDeep });
    }
    from_str(text).map_err(|_| InvalidEffect { field, fault: Fault::Unreadable })
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

/// A short text.
pub(super) fn text(value: &Value, field: &'static str, max_chars: usize) -> Result<String, InvalidEffect> {
    let fault = match value {
        Value::String(text) if text.is_empty() => Fault::Empty,
        Value::String(text) if text.contains('\0') => Fault::NulCharacter,
        Value::String(text) if text.chars().count() > max_chars => Fault::TooLong,
        Value::String(text) => return Ok(text.clone()),
        _ => Fault::WrongType,
    };
    Err(InvalidEffect { field, fault })
}

/// An id of up to [`MAX_ID`] characters. A whole number is read as its digits: some senders number things.
pub(super) fn id(value: &Value, field: &'static str) -> Result<String, InvalidEffect> {
    match value {
        Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
        other => text(other, field, MAX_ID),
    }
}

/// A member that should be a string or a number. Objects and arrays are not looked into.
pub(super) fn scalar(raw: &RawValue, field: &'static str) -> Result<Value, InvalidEffect> {
    if raw.get().starts_with(['{', '[']) {
        return Err(InvalidEffect { field, fault: Fault::WrongType });
    }
    from_str(raw.get()).map_err(|_| InvalidEffect { field, fault: Fault::Unreadable })
}

/// PostgreSQL's `text` and `jsonb` hold every character but NUL.
pub(super) fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
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
        let [a, b, c] = pick(r#"{"a":1,"b":null,"\u0061":[2],"d":{}}"#, &["a", "b", "c"]).unwrap();
        assert_eq!((a.map(RawValue::get), b.is_none(), c.is_none()), (Some("[2]"), true, true));
        assert!(pick("[]", &["a"]).is_err());
    }

    #[test]
    fn elements_stop_one_past_the_limit() {
        assert_eq!(elements("[1,2,3,4,5]", 3).unwrap().len(), 4);
        assert_eq!(elements("[1,2,3]", 3).unwrap().len(), 3);
    }
}
