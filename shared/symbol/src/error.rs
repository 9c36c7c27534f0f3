//! What can be wrong with a request for an image.

use std::fmt;

/// An option that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} {message}")]
pub struct InvalidOption {
    /// The option's name, as it was given.
    pub name: String,
    /// What is wrong with it, for a person: the rest of a sentence that begins with the name.
    pub message: String,
}

impl InvalidOption {
    pub(crate) fn new(name: &str, message: impl Into<String>) -> Self {
        Self { name: name.to_owned(), message: message.into() }
    }
}

/// Every option that cannot be used, in the order in which they were given; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidOptions(pub Vec<InvalidOption>);

impl fmt::Display for InvalidOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, option) in self.0.iter().enumerate() {
            write!(f, "{}{option}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidOptions {}

/// Why there is no symbol for this text with these options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SymbolError {
    /// The modules would be fewer than 2 pixels wide.
    #[error("must be at least {smallest} pixels for this symbol to scan")]
    ImageTooSmall {
        /// The least width of the image, in pixels, at which it scans.
        smallest: usize,
    },
    /// The largest symbol, of version 40, does not hold the text at this level of error correction: at level H it
    /// holds 1,273 bytes, at level L 2,953 (ISO/IEC 18004, table 7).
    #[error("leaves too little room for the text; choose a lower one")]
    TextTooLong,
}

impl SymbolError {
    /// The name of the option that a caller has to change.
    #[must_use]
    pub fn option(self) -> &'static str {
        match self {
            Self::ImageTooSmall { .. } => "size",
            Self::TextTooLong => "level",
        }
    }
}
