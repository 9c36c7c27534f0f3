//! What may be wrong with what an event says: a closed list of codes, which holds no value of the sender's.

use std::fmt;

/// Characters of an id, at most.
pub const MAX_ID: usize = 255;

/// Why an event's effect cannot be: safe to log and to answer, since it holds no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidEffect {
    /// The field at fault, by its first name in the contract.
    pub field: &'static str,
    /// What is wrong with it.
    pub fault: Fault,
}

/// `status: missing`, the `reason` of a failed batch item.
impl fmt::Display for InvalidEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.fault)
    }
}

/// What may be wrong with a field of an event: a closed list of codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not there, or null.
    #[error("missing")]
    Missing,
    /// An empty text.
    #[error("empty")]
    Empty,
    /// Another JSON type was expected.
    #[error("wrong_type")]
    WrongType,
    /// A text longer than allowed.
    #[error("too_long")]
    TooLong,
    /// It holds U+0000, which PostgreSQL cannot keep in a text.
    #[error("nul_character")]
    NulCharacter,
    /// Nested deeper than 64 levels.
    #[error("too_deep")]
    TooDeep,
    /// Correct JSON that stands for nothing: half a surrogate pair, a number beyond a double.
    #[error("unreadable")]
    Unreadable,
    /// An amount with a fraction or an exponent.
    #[error("not_an_integer")]
    NotAnInteger,
    /// A number or time that does not fit.
    #[error("out_of_range")]
    OutOfRange,
    /// Not three letters.
    #[error("not_a_currency")]
    NotACurrency,
    /// Neither RFC 3339 with an offset nor a Unix time.
    #[error("not_a_time")]
    NotATime,
}
