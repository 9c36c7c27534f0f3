//! Consistency tokens, by which a read from a replica never returns less than what the caller has seen.
//!
//! A write's answer carries a token that names the row it left in `code_versions`. A read that brings the token asks
//! for that row in its own statement, so it is checked in the very snapshot that the answer comes from; a log position
//! would be compared before or after it. It works wherever rows are replicated: standbys, Aurora, Neon, logical
//! replication, behind any pooler.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// Names a write that a read must see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsistencyToken {
    /// The code that was written.
    pub code: i64,
    /// The request that wrote it.
    pub edit: Uuid,
}

/// Writes the token as 24 bytes in base64url, which are opaque to callers.
impl fmt::Display for ConsistencyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.code.to_be_bytes()[..], self.edit.as_bytes()].concat();
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for ConsistencyToken {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(text).map_err(drop)?.try_into().map_err(drop)?;
        let (code, edit) = bytes.split_first_chunk().ok_or(())?;
        Ok(Self { code: i64::from_be_bytes(*code), edit: Uuid::from_slice(edit).map_err(drop)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_as_it_was_given() {
        let token = ConsistencyToken { code: 42, edit: Uuid::from_u128(7) };
        assert_eq!(token.to_string().parse(), Ok(token));
        for wrong in ["", "abc", "!", &"A".repeat(31), &"A".repeat(33)] {
            assert_eq!(wrong.parse::<ConsistencyToken>(), Err(()), "{wrong}");
        }
    }
}
