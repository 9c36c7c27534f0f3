//! Why an event has no valid effect: a closed list of codes, which holds none of the sender's values.

use std::fmt;

/// The most characters that an id may have.
pub const MAX_ID: usize = 255;

/// Why an event has no valid effect. It is safe to log and to send back, since it holds none of the sender's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidEffect {
    /// The field that is wrong, by the first of its names in the API's description.
    pub field: &'static str,
    /// What is wrong with the field.
    pub problem: FieldProblem,
}

/// Writes field and code, as in `status: missing`: the `reason` of a failed item in the response to a batch.
impl fmt::Display for InvalidEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

/// What is wrong with a field of an event: a closed list of codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FieldProblem {
    /// The field is missing or null.
    #[error("missing")]
    Missing,
    /// The text is empty.
    #[error("empty")]
    Empty,
    /// The value has another JSON type than the one expected.
    #[error("wrong_type")]
    WrongType,
    /// The text is longer than allowed.
    #[error("too_long")]
    TooLong,
    /// The text contains U+0000, which PostgreSQL's `text` and `jsonb` cannot hold.
    #[error("nul_character")]
    NulCharacter,
    /// The value is nested deeper than 64 levels.
    #[error("too_deep")]
    TooDeep,
    /// The JSON is well-formed, but has no value: half a surrogate pair, or a number beyond the range of a double.
    #[error("unreadable")]
    Unreadable,
    /// The amount has a fraction or an exponent.
    #[error("not_an_integer")]
    NotAnInteger,
    /// The number or time is out of range.
    #[error("out_of_range")]
    OutOfRange,
    /// The currency is not three letters.
    #[error("not_a_currency")]
    NotACurrency,
    /// The time is neither RFC 3339 with an offset nor a Unix time.
    #[error("not_a_time")]
    NotATime,
}
