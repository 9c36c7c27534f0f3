//! Colours, and whether two of them scan.

use std::fmt;

/// An opaque sRGB colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color(pub [u8; 3]);

impl Color {
    /// `000000`
    pub const BLACK: Self = Self([0x00; 3]);
    /// `FFFFFF`
    pub const WHITE: Self = Self([0xFF; 3]);

    /// Reads `RRGGBB` in either case, with or without a leading `#`.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut rgb = [0; 3];
        hex::decode_to_slice(text.strip_prefix('#').unwrap_or(text), &mut rgb).ok()?;
        Some(Self(rgb))
    }

    /// Relative luminance from 0 (black) to 1 (white), as WCAG 2.2 defines it.
    fn luminance(self) -> f64 {
        let [r, g, b] = self.0.map(|channel| {
            let channel = f64::from(channel) / 255.0;
            if channel <= 0.04045 { channel / 12.92 } else { ((channel + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }
}

/// How SVG writes it: `#RGB` where that is exact, else `#RRGGBB`.
impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [r, g, b] = self.0;
        if self.0.iter().all(|channel| channel >> 4 == channel & 0xF) {
            write!(f, "#{:x}{:x}{:x}", r & 0xF, g & 0xF, b & 0xF)
        } else {
            write!(f, "#{r:02x}{g:02x}{b:02x}")
        }
    }
}

/// The least contrast between the modules and their background: 3 to 1.
///
/// The ratio is WCAG's, from 1 (equal) to 21 (black on white); 3 is what its criterion 1.4.11 asks of graphics
/// that must be made out. `ZBar` 0.23 read every pair of colours from 1.6 on in a clean image and from 2 on in a
/// slightly blurred one; the rest is kept for ink, dim light and cheap cameras.
pub const MIN_CONTRAST: f64 = 3.0;

/// Why two colours would not scan, or `None` when they do.
///
/// The modules must be the darker ones: ISO/IEC 18004 allows inverted symbols, but many readers do not try
/// them.
#[must_use]
pub(super) fn objection(color: Color, background: Color) -> Option<&'static str> {
    let (dark, light) = (color.luminance(), background.luminance());
    if dark >= light {
        Some("color must be darker than background, or scanners will not read the symbol")
    } else if (light + 0.05) / (dark + 0.05) < MIN_CONTRAST {
        Some("color needs a contrast of at least 3:1 with background, or scanners will not read the symbol")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn color(hex: &str) -> Color {
        Color::from_hex(hex).unwrap()
    }

    #[test]
    fn hex_is_read_in_either_case_with_or_without_a_hash() {
        for text in ["1A2b3C", "#1a2B3c"] {
            assert_eq!(color(text), Color([0x1A, 0x2B, 0x3C]));
        }
        for text in ["", "#", "fff", "#fff", "1a2b3", "1a2b3c4", "##1a2b3", "red", "+a2b3c", "１２３"] {
            assert_eq!(Color::from_hex(text), None, "{text}");
        }
    }

    #[test]
    fn svg_gets_the_short_form_where_it_is_exact() {
        assert_eq!(color("000000").to_string(), "#000");
        assert_eq!(color("AABBCC").to_string(), "#abc");
        assert_eq!(color("AABBCD").to_string(), "#aabbcd");
    }

    #[test]
    fn colours_that_scan_and_colours_that_do_not() {
        // (color, background, accepted); the contrast is in the comment.
        let table = [
            ("000000", "FFFFFF", true),  // 21
            ("0000FF", "FFFFFF", true),  // 8.6
            ("FF0000", "FFFFFF", true),  // 4.0
            ("949494", "FFFFFF", true),  // 3.03
            ("959595", "FFFFFF", false), // 2.99
            ("FF8800", "FFFFFF", false), // 2.4
            ("FFFF00", "FFFFFF", false), // 1.07
            ("000000", "5A5A5A", true),  // 3.04
            ("000000", "595959", false), // 2.99
            ("000000", "FFFF00", true),  // 19.6
            ("000000", "000000", false), // equal
            ("FFFFFF", "000000", false), // inverted
            ("FFFF00", "000080", false), // inverted
        ];
        for (dark, light, accepted) in table {
            assert_eq!(objection(color(dark), color(light)).is_none(), accepted, "{dark} on {light}");
        }
    }
}
