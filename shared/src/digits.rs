//! Reads whole numbers in headers and queries, in the only spelling that is accepted.

use std::str::FromStr;

/// Reads decimal digits, without a sign, a fraction or spaces. `None` for anything else, and for numbers that `N`
/// cannot hold.
#[must_use]
pub fn parse_digits<N: FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_digits_is_a_number() {
        assert_eq!(parse_digits("0120"), Some(120_i64));
        assert_eq!(parse_digits::<u8>("256"), None);
        for wrong in ["", "+5", "-5", " 5", "5 ", "5.0", "5e1", "0x5", "٥"] {
            assert_eq!(parse_digits::<i64>(wrong), None, "{wrong:?}");
        }
    }
}
