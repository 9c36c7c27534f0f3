#![doc = include_str!("../README.md")]

mod color;
mod encode;
mod error;
mod layout;
mod options;
mod png;
mod svg;
#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

pub use self::color::{Color, MIN_CONTRAST};
pub use self::error::{InvalidOption, InvalidOptions, SymbolError};
use self::layout::Layout;
pub use self::options::{ImageOptions, Level};

/// Part of every [`fingerprint`]: to be raised with any change that gives the same request other bytes.
const RENDERING: u8 = 1;

/// The formats of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Scalable, for print.
    Svg,
    /// One bit a pixel.
    Png,
}

impl Format {
    /// The media type for `Content-Type`.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Svg => "image/svg+xml",
            Self::Png => "image/png",
        }
    }
}

/// Identifies an image without drawing it: equal exactly when text, title, options and format, and with them the
/// bytes, are equal.
#[must_use]
pub fn fingerprint(format: Format, text: &str, title: &str, options: &ImageOptions) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update([RENDERING, format as u8, options.margin(), options.level() as u8]);
    hash.update(options.size().to_be_bytes());
    hash.update(options.color().0);
    hash.update(options.background().0);
    // With its length in front, the text cannot run into the title.
    hash.update(text.len().to_be_bytes());
    hash.update(text);
    hash.update(title);
    let digest: [u8; 32] = hash.finalize().into();
    std::array::from_fn(|index| digest[index])
}

/// A symbol, laid out and ready to be drawn.
#[derive(Debug)]
pub struct Symbol {
    title: String,
    /// Rows of modules from the top, each from the left; dark is true.
    rows: Vec<Vec<bool>>,
    layout: Layout,
    color: Color,
    background: Color,
}

impl Symbol {
    /// Encodes `text`; `title` is what people who do not see the image are told that it is.
    ///
    /// Fails when the modules would be too few pixels wide to scan, and when no symbol of that level holds the text.
    pub fn new(text: &str, title: &str, options: &ImageOptions) -> Result<Self, SymbolError> {
        let code = encode::encode(text, options.level().into()).ok_or(SymbolError::TextTooLong)?;
        let rows: Vec<Vec<bool>> =
            (0..code.size()).map(|y| (0..code.size()).map(|x| code.get_module(x, y)).collect()).collect();
        let layout = Layout::new(rows.len(), options.margin().into(), options.size().into())
            .map_err(|smallest| SymbolError::ImageTooSmall { smallest })?;
        let (color, background) = (options.color(), options.background());
        Ok(Self { title: title.to_owned(), rows, layout, color, background })
    }

    /// The bytes of the image: a pure function of text, title, options and format.
    #[must_use]
    pub fn draw(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Svg => svg::draw(self).into_bytes(),
            Format::Png => png::draw(self),
        }
    }
}
