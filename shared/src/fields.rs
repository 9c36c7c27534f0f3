//! Input that is read field by field, so that every wrong field is named at once.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};

/// A field of the request and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldError {
    /// Name of the field, query parameter or header.
    pub field: String,
    /// What is wrong, for a person.
    pub message: String,
}

impl FieldError {
    /// `field` is wrong because of `message`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// The fields that cannot be taken, each by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidFields(pub Vec<FieldError>);

impl InvalidFields {
    /// A single field is wrong.
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

/// Takes the fields of an object one by one and collects what is wrong with them.
///
/// `None` from a reader is a field that is absent or wrong; `finish` tells which fields were wrong or unknown.
pub struct Fields {
    object: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(object: Map<String, Value>) -> Self {
        Self { object, errors: Vec::new() }
    }

    /// Notes that `field` is wrong.
    pub fn wrong(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(FieldError::new(field, message));
    }

    /// Whether `field` was sent.
    #[must_use]
    pub fn has(&self, field: &str) -> bool {
        self.object.contains_key(field)
    }

    /// Takes `field` without reading it; whether it was sent.
    pub fn drop_field(&mut self, field: &str) -> bool {
        self.object.remove(field).is_some()
    }

    /// Whether `field` was sent as `null`, which clears it.
    pub fn take_null(&mut self, field: &str) -> bool {
        let is_null = self.object.get(field).is_some_and(Value::is_null);
        if is_null {
            self.object.remove(field);
        }
        is_null
    }

    /// Text of `minimum` to `maximum` characters, without control characters.
    pub fn take_text(&mut self, field: &str, minimum: usize, maximum: usize) -> Option<String> {
        let Value::String(text) = self.object.remove(field)? else {
            return self.refuse(field, "must be a string");
        };
        match check_text(&text, minimum, maximum) {
            Ok(()) => Some(text),
            Err(message) => self.refuse(field, message),
        }
    }

    /// Up to `max_entries` different texts of 1 to `maximum` characters.
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

    /// A whole number from `minimum` to `maximum`.
    pub fn take_integer(&mut self, field: &str, minimum: i64, maximum: i64) -> Option<i64> {
        let value = self.object.remove(field)?;
        match value.as_i64().filter(|number| (minimum..=maximum).contains(number)) {
            Some(number) => Some(number),
            None => self.refuse(field, format!("must be a whole number from {minimum} to {maximum}")),
        }
    }

    /// `true` or `false`.
    pub fn take_bool(&mut self, field: &str) -> Option<bool> {
        match self.object.remove(field)? {
            Value::Bool(value) => Some(value),
            _ => self.refuse(field, "must be true or false"),
        }
    }

    /// A moment as RFC 3339 writes it, from 1970 to 9998.
    pub fn take_time(&mut self, field: &str) -> Option<Timestamp> {
        let value = self.object.remove(field)?;
        let time = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
        match time.filter(|time| (0..253_370_764_800).contains(&time.as_second())) {
            Some(time) => Some(time),
            None => self.refuse(field, "must be a time such as 2030-01-31T12:00:00Z"),
        }
    }

    /// Ends the reading: fails if any field was wrong, or is left over.
    pub fn finish(mut self) -> Result<(), InvalidFields> {
        let unknown = std::mem::take(&mut self.object);
        for field in unknown.keys().take(20) {
            let name: String = field.chars().filter(|c| !c.is_control()).take(64).collect();
            self.wrong(&name, "is not a field of this request");
        }
        if self.errors.is_empty() { Ok(()) } else { Err(InvalidFields(self.errors)) }
    }

    fn refuse<T>(&mut self, field: &str, message: impl Into<String>) -> Option<T> {
        self.wrong(field, message);
        None
    }
}

/// PostgreSQL's text cannot hold NUL, and nobody means the other control characters.
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
