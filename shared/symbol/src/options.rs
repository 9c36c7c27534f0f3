//! The options of an image, and how they are read from text.

use std::str::FromStr;

use qrcodegen::QrCodeEcc;

use crate::color::{self, Color};
use crate::error::{InvalidOption, InvalidOptions};

/// How much of a symbol may be lost before it no longer reads (ISO/IEC 18004).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// About 7 %.
    L,
    /// About 15 %.
    M,
    /// About 25 %.
    Q,
    /// About 30 %.
    H,
}

impl From<Level> for QrCodeEcc {
    fn from(level: Level) -> Self {
        match level {
            Level::L => Self::Low,
            Level::M => Self::Medium,
            Level::Q => Self::Quartile,
            Level::H => Self::High,
        }
    }
}

/// How a symbol is drawn. The fields hold only values that can be drawn and scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageOptions {
    size: u16,
    margin: u8,
    level: Level,
    color: Color,
    background: Color,
}

/// 256 px, a margin of 4 modules (the quiet zone of ISO/IEC 18004), level M, black on white.
impl Default for ImageOptions {
    fn default() -> Self {
        Self { size: 256, margin: 4, level: Level::M, color: Color::BLACK, background: Color::WHITE }
    }
}

impl ImageOptions {
    /// Reads options as pairs of name and value, such as a query string has once it is decoded: `size` in pixels (64 to
    /// 4096), `margin` in modules (0 to 16), `level` (L, M, Q or H), `color` and `background` (RRGGBB). What is not
    /// given has its default.
    ///
    /// The error names every option that is unknown, repeated or out of its range, in the order of the pairs.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, InvalidOptions> {
        let mut options = Self::default();
        let mut seen = Vec::new();
        let mut errors = Vec::new();
        for (field, value) in pairs {
            let read = if seen.contains(&field) {
                Err("may be given only once")
            } else {
                options.read(field, value)
            };
            if let Err(message) = read {
                errors.push(InvalidOption::new(field, message));
            }
            seen.push(field);
        }
        if errors.is_empty() {
            // The field to change is the one that was given.
            let field =
                if seen.contains(&"background") && !seen.contains(&"color") { "background" } else { "color" };
            errors.extend(
                color::objection(options.color, options.background)
                    .map(|message| InvalidOption::new(field, message)),
            );
        }
        if errors.is_empty() { Ok(options) } else { Err(InvalidOptions(errors)) }
    }

    fn read(&mut self, field: &str, value: &str) -> Result<(), &'static str> {
        match field {
            "size" => {
                self.size = number(value)
                    .filter(|size| (64..=4096).contains(size))
                    .ok_or("must be a whole number of pixels from 64 to 4096")?;
            }
            "margin" => {
                self.margin = number(value)
                    .filter(|margin| *margin <= 16)
                    .ok_or("must be a whole number of modules from 0 to 16")?;
            }
            "level" => {
                self.level = match value {
                    "L" | "l" => Level::L,
                    "M" | "m" => Level::M,
                    "Q" | "q" => Level::Q,
                    "H" | "h" => Level::H,
                    _ => return Err("must be L, M, Q or H"),
                };
            }
            "color" => self.color = Color::from_hex(value).ok_or("must be six hexadecimal digits, RRGGBB")?,
            "background" => {
                self.background = Color::from_hex(value).ok_or("must be six hexadecimal digits, RRGGBB")?;
            }
            _ => return Err("is not a known field; known are size, margin, level, color and background"),
        }
        Ok(())
    }

    /// Width and height in pixels, 64 to 4096.
    #[must_use]
    pub fn size(&self) -> u16 {
        self.size
    }

    /// Modules of background on each side, 0 to 16.
    #[must_use]
    pub fn margin(&self) -> u8 {
        self.margin
    }

    /// The least error correction level.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// The colour of the dark modules.
    #[must_use]
    pub fn color(&self) -> Color {
        self.color
    }

    /// The colour of everything else.
    #[must_use]
    pub fn background(&self) -> Color {
        self.background
    }
}

/// Digits alone: no sign, no space, nothing past the type's range.
fn number<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn errors(query: &[(&str, &str)]) -> Vec<String> {
        ImageOptions::from_pairs(query.iter().copied())
            .expect_err("the query is wrong")
            .0
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn an_empty_query_gives_the_defaults() {
        let options = ImageOptions::from_pairs([]).unwrap();
        assert_eq!(options, ImageOptions::default());
        assert_eq!((options.size(), options.margin(), options.level()), (256, 4, Level::M));
    }

    #[test]
    fn every_field_is_read() {
        let query = [
            ("size", "4096"),
            ("margin", "0"),
            ("level", "h"),
            ("color", "000080"),
            ("background", "#ffffe0"),
        ];
        assert_eq!(
            ImageOptions::from_pairs(query).unwrap(),
            ImageOptions {
                size: 4096,
                margin: 0,
                level: Level::H,
                color: Color([0, 0, 0x80]),
                background: Color([0xFF, 0xFF, 0xE0]),
            }
        );
    }

    #[test]
    fn bad_values_are_refused() {
        let table = [
            (
                "size",
                ["", "63", "4097", "-64", "+64", "64.0", " 64", "1e3", "99999999999999999999", "64,65"]
                    .as_slice(),
            ),
            ("margin", &["", "17", "-1", "256", "four", "0x4"]),
            ("level", &["", "LOW", "X", "LL", "1"]),
            ("color", &["", "black", "000", "0000000", "#00000", "00000G"]),
            ("background", &["", "white", "FFF", "FFFFFFFF", "##FFFFFF"]),
        ];
        for (field, values) in table {
            for value in values {
                let errors = errors(&[(field, value)]);
                assert_eq!(errors.len(), 1, "{field}={value}: {errors:?}");
                assert!(errors[0].starts_with(field), "{field}={value}: {errors:?}");
            }
        }
    }

    #[test]
    fn every_bad_field_is_named() {
        assert_eq!(
            errors(&[("size", "1"), ("colour", "000000"), ("margin", "4"), ("margin", "4"), ("level", "Z")]),
            [
                "size must be a whole number of pixels from 64 to 4096",
                "colour is not a known field; known are size, margin, level, color and background",
                "margin may be given only once",
                "level must be L, M, Q or H",
            ]
        );
    }

    #[test]
    fn colours_that_would_not_scan_are_laid_to_the_one_that_was_given() {
        assert!(errors(&[("color", "FFFF00")])[0].starts_with("color color needs a contrast"));
        assert!(errors(&[("background", "000000")])[0].starts_with("background color must be darker"));
        assert!(
            errors(&[("background", "000000"), ("color", "FFFFFF")])[0]
                .starts_with("color color must be darker")
        );
    }

    proptest! {
        #[test]
        fn any_query_is_read_or_refused_by_name(
            query in prop::collection::vec(
                ("\\PC{0,9}|size|margin|level|color|background", "\\PC{0,9}|[0-9]{0,5}"),
                0..6,
            ),
        ) {
            let pairs = || query.iter().map(|(field, value)| (field.as_str(), value.as_str()));
            match ImageOptions::from_pairs(pairs()) {
                Ok(options) => prop_assert!((64..=4096).contains(&options.size()) && options.margin() <= 16),
                Err(errors) => {
                    for error in errors.0 {
                        prop_assert!(pairs().any(|(field, _)| field == error.name));
                    }
                }
            }
        }
    }
}
