//! The symbol: what is encoded, and how it is drawn as SVG and PNG.
//!
//! A URL in upper case takes alphanumeric mode, which needs 5.5 bits a character instead of 8, so the symbol has
//! fewer modules and each of them prints larger.

mod color;
mod encode;
mod layout;
mod options;
mod png;
mod svg;
#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};
use url::{Position, Url};

pub use self::color::{Color, MIN_CONTRAST};
use self::layout::Layout;
pub use self::options::{ImageOptions, Level};
use crate::fields::FieldError;

/// Part of every [`etag`]: to be raised with any change that gives the same request other bytes.
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

/// The URL as people see it: `https://q.example/r/K7M2Q9X`.
///
/// `base` is `PUBLIC_BASE_URL`, without query and fragment; `id` is letters, digits, `-` and `_`.
#[must_use]
pub fn short_url(base: &Url, id: &str) -> String {
    format!("{}/r/{id}", without_final_slash(base))
}

/// The same URL as the symbol holds it: `HTTPS://Q.EXAMPLE/R/K7M2Q9X`.
///
/// Upper case where that means the same: scheme and host are compared without case (RFC 3986, 6.2.2.1), ids too,
/// and the route exists as `/R/`. A path in `base` is kept as it is.
#[must_use]
pub fn symbol_url(base: &Url, id: &str) -> String {
    let (origin, path) = without_final_slash(base).split_at(base[..Position::BeforePath].len());
    format!("{}{path}/R/{}", origin.to_ascii_uppercase(), id.to_ascii_uppercase())
}

fn without_final_slash(base: &Url) -> &str {
    base[..Position::AfterPath].trim_end_matches('/')
}

/// The strong entity tag of an image, quotes included, without drawing it: equal exactly when the bytes are.
#[must_use]
pub fn etag(format: Format, base: &Url, id: &str, options: &ImageOptions) -> String {
    let mut hash = Sha256::new();
    hash.update([RENDERING, format as u8, options.margin(), options.level() as u8]);
    hash.update(options.size().to_be_bytes());
    hash.update(options.color().0);
    hash.update(options.background().0);
    hash.update(short_url(base, id));
    format!("\"{}\"", hex::encode(&hash.finalize()[..16]))
}

/// A symbol, laid out and ready to be drawn.
#[derive(Debug)]
pub struct Symbol {
    /// What people see: the title of the SVG.
    url: String,
    /// Rows of modules from the top, each from the left; dark is true.
    rows: Vec<Vec<bool>>,
    layout: Layout,
    color: Color,
    background: Color,
}

impl Symbol {
    /// Encodes the short URL of `id`.
    ///
    /// Fails on `size` (the smallest one that scans is named) when the modules would be too few pixels wide, and
    /// on `level` when no symbol of that level is large enough, which takes a base URL of more than 1,000 bytes.
    pub fn new(base: &Url, id: &str, options: &ImageOptions) -> Result<Self, FieldError> {
        let code = encode::encode(&symbol_url(base, id), options.level().into()).ok_or_else(|| {
            FieldError::new("level", "leaves too little room for the URL; choose a lower one")
        })?;
        let rows: Vec<Vec<bool>> =
            (0..code.size()).map(|y| (0..code.size()).map(|x| code.get_module(x, y)).collect()).collect();
        let layout =
            Layout::new(rows.len(), options.margin().into(), options.size().into()).map_err(|smallest| {
                FieldError::new("size", format!("must be at least {smallest} pixels for this symbol to scan"))
            })?;
        let (color, background) = (options.color(), options.background());
        Ok(Self { url: short_url(base, id), rows, layout, color, background })
    }

    /// The bytes of the image: a pure function of the URL, the options and the format.
    #[must_use]
    pub fn draw(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Svg => svg::draw(self).into_bytes(),
            Format::Png => png::draw(self),
        }
    }
}
