//! From text to modules: the segmentation with the fewest bits, then the symbol.

use qrcodegen::{QrCode, QrCodeEcc, QrSegment, Version};

/// The modes a URL can need, in the order of the arrays below.
const MODES: [Mode; 3] = [Mode::Byte, Mode::Alphanumeric, Mode::Numeric];

/// How a run of characters is written (ISO/IEC 18004, table 2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Byte,
    Alphanumeric,
    Numeric,
}

/// A range of versions whose segment headers have the same length (ISO/IEC 18004, table 3).
struct VersionRange {
    first: u8,
    last: u8,
    /// Bits of a segment's header for each of [`MODES`]: 4 for the mode, the rest for the character count.
    header_bits: [u32; 3],
}

const VERSION_RANGES: [VersionRange; 3] = [
    VersionRange { first: 1, last: 9, header_bits: [4 + 8, 4 + 9, 4 + 10] },
    VersionRange { first: 10, last: 26, header_bits: [4 + 16, 4 + 11, 4 + 12] },
    VersionRange { first: 27, last: 40, header_bits: [4 + 16, 4 + 13, 4 + 14] },
];

impl Mode {
    fn can_write(self, byte: u8) -> bool {
        match self {
            Self::Byte => true,
            Self::Alphanumeric => {
                byte.is_ascii_digit() || byte.is_ascii_uppercase() || b" $%*+-./:".contains(&byte)
            }
            Self::Numeric => byte.is_ascii_digit(),
        }
    }

    /// Sixths of a bit for one character: 8 bits a byte, 11 for two alphanumerics, 10 for three digits.
    fn sixths_per_character(self) -> u32 {
        match self {
            Self::Byte => 48,
            Self::Alphanumeric => 33,
            Self::Numeric => 20,
        }
    }
}

/// The smallest symbol that holds `text` at `level` or better; `None` when even version 40 is too small.
///
/// The level is raised when the same number of modules allows it: more damage survived at no cost.
pub(super) fn encode(text: &str, level: QrCodeEcc) -> Option<QrCode> {
    VERSION_RANGES.iter().find_map(|range| {
        let segments = segments(text, &range.header_bits);
        let (first, last) = (Version::new(range.first), Version::new(range.last));
        QrCode::encode_segments_advanced(&segments, level, first, last, None, true).ok()
    })
}

/// Cuts `text` into the segments that together take the fewest bits.
fn segments(text: &str, header_bits: &[u32; 3]) -> Vec<QrSegment> {
    let mut segments = Vec::new();
    let modes = best_modes(text.as_bytes(), header_bits);
    let mut start = 0;
    for run in modes.chunk_by(|a, b| a == b) {
        let end = start + run.len();
        let bytes = &text.as_bytes()[start..end];
        // The two narrow modes are ASCII, so that their runs are whole characters.
        segments.push(match (run[0], std::str::from_utf8(bytes)) {
            (Mode::Numeric, Ok(digits)) => QrSegment::make_numeric(digits),
            (Mode::Alphanumeric, Ok(text)) => QrSegment::make_alphanumeric(text),
            _ => QrSegment::make_bytes(bytes),
        });
        start = end;
    }
    segments
}

/// The mode of each byte on the cheapest way through the text (a shortest path, one step a byte).
fn best_modes(text: &[u8], header_bits: &[u32; 3]) -> Vec<Mode> {
    // costs[m]: sixths of a bit for the text so far when its last byte is written in mode m.
    let mut costs = header_bits.map(|bits| Some(bits * 6));
    let mut came_from = Vec::with_capacity(text.len());
    for (index, &byte) in text.iter().enumerate() {
        let mut next = [None; 3];
        let mut from = [0; 3];
        for (to, mode) in MODES.into_iter().enumerate().filter(|(_, mode)| mode.can_write(byte)) {
            let arrivals = costs.iter().enumerate().filter_map(|(at, &cost)| match cost? {
                cost if at == to => Some((cost, at)),
                _ if index == 0 => None,
                // A segment ends on a whole bit.
                cost => Some((cost.next_multiple_of(6) + header_bits[to] * 6, at)),
            });
            if let Some((cost, at)) = arrivals.min() {
                next[to] = Some(cost + mode.sixths_per_character());
                from[to] = at;
            }
        }
        costs = next;
        came_from.push(from);
    }

    let last = (0..3).filter_map(|at| Some((costs[at]?, at))).min().map_or(0, |(_, at)| at);
    let mut at = last;
    let mut modes: Vec<Mode> = came_from
        .iter()
        .rev()
        .map(|from| {
            let mode = MODES[at];
            at = from[at];
            mode
        })
        .collect();
    modes.reverse();
    modes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bits(segments: &[QrSegment], header_bits: &[u32; 3]) -> usize {
        segments
            .iter()
            .map(|segment| {
                let header = match segment.mode() {
                    qrcodegen::QrSegmentMode::Byte => header_bits[0],
                    qrcodegen::QrSegmentMode::Alphanumeric => header_bits[1],
                    _ => header_bits[2],
                };
                header as usize + segment.data().len()
            })
            .sum()
    }

    /// The fewest bits by trying every cut and every mode: slow, and plainly right.
    fn fewest_bits(text: &str, header_bits: &[u32; 3]) -> usize {
        let mut fewest = vec![usize::MAX; text.len() + 1];
        fewest[0] = 0;
        for end in 1..=text.len() {
            for start in 0..end {
                let part = &text[start..end];
                let mut ways = vec![QrSegment::make_bytes(part.as_bytes())];
                if QrSegment::is_alphanumeric(part) {
                    ways.push(QrSegment::make_alphanumeric(part));
                }
                if QrSegment::is_numeric(part) {
                    ways.push(QrSegment::make_numeric(part));
                }
                for way in ways {
                    fewest[end] = fewest[end].min(fewest[start] + bits(&[way], header_bits));
                }
            }
        }
        fewest[text.len()]
    }

    #[test]
    fn an_upper_case_url_is_one_alphanumeric_segment() {
        let segments = segments("HTTPS://Q.EXAMPLE/R/K7M2Q9X", &VERSION_RANGES[0].header_bits);
        assert_eq!(segments.len(), 1);
        assert_eq!(segments[0].mode(), qrcodegen::QrSegmentMode::Alphanumeric);
    }

    #[test]
    fn a_narrow_mode_is_left_only_for_the_characters_that_need_it() {
        let segments = segments("HTTPS://Q.EXAMPLE/go/R/K7M2Q9X", &VERSION_RANGES[0].header_bits);
        let lengths: Vec<_> = segments.iter().map(QrSegment::num_chars).collect();
        assert_eq!(lengths, [18, 2, 10]);
    }

    #[test]
    fn upper_case_saves_a_version() {
        let of = |text| encode(text, QrCodeEcc::Medium).unwrap().size();
        assert_eq!(of("https://q.example.com/r/K7M2Q9XP"), 29);
        assert_eq!(of("HTTPS://Q.EXAMPLE.COM/R/K7M2Q9XP"), 25);
    }

    #[test]
    fn the_level_rises_when_it_costs_no_module() {
        assert_eq!(
            encode("HTTPS://Q.CO", QrCodeEcc::Low).unwrap().error_correction_level(),
            QrCodeEcc::Quartile
        );
    }

    #[test]
    fn a_text_too_long_for_any_version_is_refused() {
        assert!(encode(&"a".repeat(1273), QrCodeEcc::High).is_some());
        assert!(encode(&"a".repeat(1274), QrCodeEcc::High).is_none());
    }

    proptest! {
        #[test]
        fn no_other_segmentation_is_shorter(
            text in "([a-z_]{0,4}|[A-Z/.:]{0,12}|[0-9]{0,18}){0,6}",
            range in 0_usize..3,
        ) {
            let header_bits = &VERSION_RANGES[range].header_bits;
            let segments = segments(&text, header_bits);
            prop_assert_eq!(bits(&segments, header_bits), fewest_bits(&text, header_bits));
        }

        #[test]
        fn the_segments_hold_the_whole_text(text in "\\PC{0,60}") {
            let segments = segments(&text, &VERSION_RANGES[0].header_bits);
            prop_assert_eq!(segments.iter().map(QrSegment::num_chars).sum::<usize>(), text.len());
        }
    }
}
