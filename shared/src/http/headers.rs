//! Headers that make writes safe: `Idempotency-Key`, `ETag` and `If-Match`.

use lambda_http::http::{HeaderMap, HeaderValue};

use crate::error::PublicError;
use crate::qr::consistency::ConsistencyToken;

/// Names the write that an answer tells of, in both directions.
pub const CONSISTENCY_TOKEN: &str = "consistency-token";

/// A key that the caller made up for one request, kept for 24 hours
/// ([draft-ietf-httpapi-idempotency-key-header](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    const HEADER: &'static str = "Idempotency-Key";

    /// From the headers: bare or quoted, 1 to 255 visible characters.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, PublicError> {
        let mut values = headers.get_all(Self::HEADER).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let wrong = |message| PublicError::invalid(Self::HEADER, message);
        if values.next().is_some() {
            return Err(wrong("must be sent once"));
        }
        let text = value.to_str().map_err(|_| wrong("must be printable ASCII"))?.trim();
        let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let key = quoted.unwrap_or(text);
        if key.is_empty() || key.len() > 255 {
            return Err(wrong("must have 1 to 255 characters"));
        }
        Ok(Some(Self(key.to_owned())))
    }

    /// Without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The versions that the caller is ready to change ([RFC 9110, 13.1.1](https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMatch {
    /// None was named, or `*`: the newest will do.
    Any,
    /// Only this one.
    Version(i32),
}

impl IfMatch {
    /// From the headers. A tag that this service never gave can match nothing: 412.
    pub fn of(headers: &HeaderMap) -> Result<Self, PublicError> {
        let Some(value) = headers.get("if-match") else { return Ok(Self::Any) };
        match value.to_str().map(str::trim) {
            Ok("*") => Ok(Self::Any),
            Ok(text) => text
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
                .and_then(|version| version.parse().ok())
                .map(Self::Version)
                .ok_or(PublicError::Stale),
            Err(_) => Err(PublicError::Stale),
        }
    }

    /// Parameter of the statements that check it.
    #[must_use]
    pub fn version(self) -> Option<i32> {
        match self {
            Self::Any => None,
            Self::Version(version) => Some(version),
        }
    }
}

/// The write that the caller must not be shown anything older than, from `Consistency-Token`.
pub fn consistency_token(headers: &HeaderMap) -> Result<Option<ConsistencyToken>, PublicError> {
    let Some(value) = headers.get(CONSISTENCY_TOKEN) else { return Ok(None) };
    let token = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    token.map(Some).ok_or_else(|| PublicError::invalid("Consistency-Token", "was not given by this service"))
}

/// The `ETag` of a version.
#[must_use]
pub fn entity_tag(version: i32) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).expect("digits and quotes are visible")
}

/// Whether the caller holds the representation `tag` already ([RFC 9110, 13.1.2](https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2)).
#[must_use]
pub fn holds(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let Ok(tag) = tag.to_str() else { return false };
    headers
        .get_all("if-none-match")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(|held| held.trim().trim_start_matches("W/"))
        .any(|held| held == "*" || held == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())])
    }

    #[test]
    fn a_key_may_be_bare_or_quoted() {
        for value in ["abc", "\"abc\"", " abc "] {
            let key = IdempotencyKey::of(&headers("idempotency-key", value)).unwrap().unwrap();
            assert_eq!(key.as_str(), "abc");
        }
        assert_eq!(IdempotencyKey::of(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn a_key_that_cannot_be_taken_is_named() {
        let long = "k".repeat(256);
        for value in ["", "\"\"", "ключ", long.as_str()] {
            let Err(PublicError::Invalid(errors)) = IdempotencyKey::of(&headers("idempotency-key", value))
            else {
                panic!("{value} was taken");
            };
            assert_eq!(errors[0].field, "Idempotency-Key");
        }
        let longest = "k".repeat(255);
        assert!(IdempotencyKey::of(&headers("idempotency-key", &longest)).is_ok());
    }

    #[test]
    fn only_a_strong_tag_of_ours_can_match() {
        assert_eq!(IfMatch::of(&headers("if-match", "\"7\"")), Ok(IfMatch::Version(7)));
        assert_eq!(IfMatch::of(&headers("if-match", "*")), Ok(IfMatch::Any));
        for value in ["7", "W/\"7\"", "\"abc\"", "\"\"", "\"99999999999\""] {
            assert_eq!(IfMatch::of(&headers("if-match", value)), Err(PublicError::Stale), "{value}");
        }
        assert_eq!(entity_tag(7), "\"7\"");
    }
}
