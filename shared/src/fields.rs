//! Reads a JSON object field by field, so that one response can name every field that is wrong.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};

/// A field of a request, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldError {
    /// The name of the field, query parameter or header.
    pub field: String,
    /// What is wrong with it, for a person.
    pub message: String,
}

impl FieldError {
    /// Makes an error that says `message` about `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    /// Makes an error about a name that the caller sent, which may be anything: only its first 64 characters are
    /// repeated, and no control characters.
    pub fn for_sent_name(name: &str, message: impl Into<String>) -> Self {
        Self::new(name.chars().filter(|c| !c.is_control()).take(64).collect::<String>(), message)
    }
}

/// Fields that are not valid, each with what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidFields(pub Vec<FieldError>);

impl InvalidFields {
    /// Makes the error of a single field.
    pub fn one(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self(vec![FieldError::new(field, message)])
    }
}

impl fmt::Display for InvalidFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, FieldError { field, message }) in self.0.iter().enumerate() {
            write!(f, "{}{field}: {message}", if n == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidFields {}

/// Takes fields out of an object one by one, and collects what is wrong with them.
///
/// A method that takes a field returns `None` if the field is missing or wrong. [`finish`](Fields::finish) then fails
/// if any field was wrong, or if fields are left that nobody has taken.
pub struct Fields {
    object: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Begins to read `object`.
    #[must_use]
    pub fn new(object: Map<String, Value>) -> Self {
        Self { object, errors: Vec::new() }
    }

    /// Records that `field` is wrong.
    pub fn wrong(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(FieldError::new(field, message));
    }

    /// Whether `field` was sent, and not taken yet.
    #[must_use]
    pub fn has(&self, field: &str) -> bool {
        self.object.contains_key(field)
    }

    /// Takes `field` without reading it, and returns whether it was sent.
    pub fn drop_field(&mut self, field: &str) -> bool {
        self.object.remove(field).is_some()
    }

    /// Takes `field` if it is `null`, which clears it, and returns whether it was.
    pub fn take_null(&mut self, field: &str) -> bool {
        let is_null = self.object.get(field).is_some_and(Value::is_null);
        if is_null {
            self.object.remove(field);
        }
        is_null
    }

    /// Takes a text of `minimum` to `maximum` characters, without control characters.
    pub fn take_text(&mut self, field: &str, minimum: usize, maximum: usize) -> Option<String> {
        let Value::String(text) = self.object.remove(field)? else {
            return self.refuse(field, "must be a string");
        };
        match check_text(&text, minimum, maximum) {
            Ok(()) => Some(text),
            Err(message) => self.refuse(field, message),
        }
    }

    /// Takes a list of up to `max_entries` texts of 1 to `maximum` characters each, and drops repeated ones.
    pub fn take_texts(&mut self, field: &str, max_entries: usize, maximum: usize) -> Option<Vec<String>> {
        let Value::Array(items) = self.object.remove(field)? else {
            return self.refuse(field, "must be a list of strings");
        };
        if items.len() > max_entries {
            return self.refuse(field, format!("must have at most {max_entries} entries"));
        }
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            let Value::String(text) = item else { return self.refuse(field, "must be a list of strings") };
            if let Err(message) = check_text(&text, 1, maximum) {
                return self.refuse(field, format!("each entry {message}"));
            }
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        Some(texts)
    }

    /// Takes a whole number from `minimum` to `maximum`.
    pub fn take_integer(&mut self, field: &str, minimum: i64, maximum: i64) -> Option<i64> {
        let value = self.object.remove(field)?;
        match value.as_i64().filter(|number| (minimum..=maximum).contains(number)) {
            Some(number) => Some(number),
            None => self.refuse(field, format!("must be a whole number from {minimum} to {maximum}")),
        }
    }

    /// Takes `true` or `false`.
    pub fn take_bool(&mut self, field: &str) -> Option<bool> {
        match self.object.remove(field)? {
            Value::Bool(value) => Some(value),
            _ => self.refuse(field, "must be true or false"),
        }
    }

    /// Takes a time as [`parse_time`] reads it.
    pub fn take_time(&mut self, field: &str) -> Option<Timestamp> {
        let value = self.object.remove(field)?;
        match value.as_str().and_then(parse_time) {
            Some(time) => Some(time),
            None => self.refuse(field, "must be a time such as 2030-01-31T12:00:00Z"),
        }
    }

    /// Fails if any field was wrong, or if fields are left, of which it names the first 20.
    pub fn finish(mut self) -> Result<(), InvalidFields> {
        let unknown = std::mem::take(&mut self.object);
        for field in unknown.keys().take(20) {
            self.errors.push(FieldError::for_sent_name(field, "is not a field of this request"));
        }
        if self.errors.is_empty() { Ok(()) } else { Err(InvalidFields(self.errors)) }
    }

    fn refuse<T>(&mut self, field: &str, message: impl Into<String>) -> Option<T> {
        self.wrong(field, message);
        None
    }
}

/// Reads a time in RFC 3339 from 1970 to 9998, which PostgreSQL and every client can represent, to the microsecond, which
/// is what PostgreSQL keeps.
#[must_use]
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok()?;
    let time = Timestamp::from_microsecond(time.as_microsecond()).ok()?;
    (0..253_370_764_800).contains(&time.as_second()).then_some(time)
}

/// Checks the length of a text, and that it has no control characters: PostgreSQL's `text` cannot hold U+0000, and the
/// others are never meant.
fn check_text(text: &str, minimum: usize, maximum: usize) -> Result<(), String> {
    let length = text.chars().count();
    if length < minimum || length > maximum {
        return Err(format!("must have {minimum} to {maximum} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("must not hold control characters".to_owned());
    }
    Ok(())
}
