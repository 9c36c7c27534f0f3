//! Headers of conditional and repeatable requests: `Idempotency-Key`, `ETag`, `If-Match`, `If-None-Match` and
//! `Consistency-Token`.

use lambda_http::http::{HeaderMap, HeaderValue};

use super::error::PublicError;
use crate::qr::consistency::ConsistencyToken;
use crate::request::{IdempotencyKey, IfMatch};

/// The header with the token of a write: a response to a write has it, and a read that must see that write sends it.
pub const CONSISTENCY_TOKEN: &str = "consistency-token";

/// Reads the `Idempotency-Key`, if the caller sent one: bare or quoted, 1 to 255 visible characters.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, PublicError> {
    const NAME: &str = "Idempotency-Key";
    let mut values = headers.get_all(NAME).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let wrong = |message| PublicError::invalid(NAME, message);
    if values.next().is_some() {
        return Err(wrong("must be sent once"));
    }
    let text = value.to_str().map_err(|_| wrong("must be printable ASCII"))?.trim();
    let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let key = quoted.unwrap_or(text);
    if key.is_empty() || key.len() > 255 {
        return Err(wrong("must have 1 to 255 characters"));
    }
    Ok(Some(IdempotencyKey::new(key)))
}

/// Reads which version `If-Match` allows to change ([RFC 9110,
/// 13.1.1](https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1)). A tag that this service never gave cannot match, so
/// that it is answered with 412.
pub fn if_match(headers: &HeaderMap) -> Result<IfMatch, PublicError> {
    let Some(value) = headers.get("if-match") else { return Ok(IfMatch::Any) };
    match value.to_str().map(str::trim) {
        Ok("*") => Ok(IfMatch::Any),
        Ok(text) => text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .and_then(|version| version.parse().ok())
            .map(IfMatch::Version)
            .ok_or(PublicError::Stale),
        Err(_) => Err(PublicError::Stale),
    }
}

/// Reads the `Consistency-Token`, if the caller sent one: the write that the response must not be older than.
pub fn consistency_token(headers: &HeaderMap) -> Result<Option<ConsistencyToken>, PublicError> {
    let Some(value) = headers.get(CONSISTENCY_TOKEN) else { return Ok(None) };
    let token = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    token.map(Some).ok_or_else(|| PublicError::invalid("Consistency-Token", "was not given by this service"))
}

/// Makes the `ETag` of a version.
#[must_use]
pub fn entity_tag(version: i32) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).expect("digits and quotes are visible")
}

/// Whether `If-None-Match` names `tag`, so that the caller has that representation already
/// ([RFC 9110, 13.1.2](https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2)).
#[must_use]
pub fn if_none_match_matches(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let Ok(tag) = tag.to_str() else { return false };
    headers
        .get_all("if-none-match")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(|candidate| candidate.trim().trim_start_matches("W/"))
        .any(|candidate| candidate == "*" || candidate == tag)
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
            let key = idempotency_key(&headers("idempotency-key", value)).unwrap().unwrap();
            assert_eq!(key.as_str(), "abc");
        }
        assert_eq!(idempotency_key(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn an_invalid_key_is_refused_by_the_name_of_its_header() {
        let long = "k".repeat(256);
        for value in ["", "\"\"", "ключ", long.as_str()] {
            let Err(PublicError::Invalid(errors)) = idempotency_key(&headers("idempotency-key", value))
            else {
                panic!("{value} was accepted");
            };
            assert_eq!(errors.0[0].field, "Idempotency-Key");
        }
        let longest = "k".repeat(255);
        assert!(idempotency_key(&headers("idempotency-key", &longest)).is_ok());
    }

    #[test]
    fn only_a_strong_tag_of_ours_can_match() {
        assert_eq!(if_match(&headers("if-match", "\"7\"")), Ok(IfMatch::Version(7)));
        assert_eq!(if_match(&headers("if-match", "*")), Ok(IfMatch::Any));
        for value in ["7", "W/\"7\"", "\"abc\"", "\"\"", "\"99999999999\""] {
            assert_eq!(if_match(&headers("if-match", value)), Err(PublicError::Stale), "{value}");
        }
        assert_eq!(entity_tag(7), "\"7\"");
    }
}
