//! The cursors of lists: positions, in a form that callers do not take for a number to count with.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use shared::qr::list::ListPosition;

/// Microseconds since 1970 and the key of the row, 8 bytes each, as 22 characters of base64url.
pub(crate) fn encode(position: ListPosition) -> String {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&position.created_at.as_microsecond().to_be_bytes());
    bytes[8..].copy_from_slice(&position.id.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The position that a cursor stands for; `None` for what [`encode`] cannot have given.
pub(crate) fn decode(text: &str) -> Option<ListPosition> {
    let bytes: [u8; 16] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    let number = |half: &[u8]| half.try_into().ok().map(i64::from_be_bytes);
    // No code was made before 1970, and PostgreSQL's calendar begins later than ours.
    let microseconds = number(&bytes[..8]).filter(|&microseconds| microseconds >= 0)?;
    Some(ListPosition {
        created_at: Timestamp::from_microsecond(microseconds).ok()?,
        id: number(&bytes[8..])?,
    })
}

/// The number of a version, 4 bytes, as 6 characters of base64url.
pub(crate) fn encode_version(version: i32) -> String {
    URL_SAFE_NO_PAD.encode(version.to_be_bytes())
}

/// The version that a cursor of a history stands for; `None` for what [`encode_version`] cannot have given.
pub(crate) fn decode_version(text: &str) -> Option<i32> {
    let bytes: [u8; 4] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    Some(i32::from_be_bytes(bytes)).filter(|&version| version > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_as_it_went() {
        for (microseconds, id) in [(0, 1), (1_700_000_000_123_456, i64::MAX), (253_370_764_799_999_999, 7)] {
            let created_at = Timestamp::from_microsecond(microseconds).unwrap();
            let position = ListPosition { created_at, id };
            assert_eq!(decode(&encode(position)), Some(position));
        }
    }

    #[test]
    fn a_version_comes_back_as_it_went_and_nothing_else_is_one() {
        for version in [1, 801, i32::MAX] {
            assert_eq!(decode_version(&encode_version(version)), Some(version));
        }
        for text in
            ["", "7", "AAAAAA", "_____w", &encode(ListPosition { created_at: Timestamp::UNIX_EPOCH, id: 1 })]
        {
            assert_eq!(decode_version(text), None, "{text}");
        }
    }

    #[test]
    fn what_was_never_given_is_no_position() {
        let before_1970 = URL_SAFE_NO_PAD.encode([0xFF; 16]);
        let after_9999 = URL_SAFE_NO_PAD.encode([0x7F; 16]);
        for text in ["", "7", "AAAAAAAAAAA", "=", "ü", &before_1970, &after_9999] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
