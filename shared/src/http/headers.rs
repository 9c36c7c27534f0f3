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

/// Reads which versions `If-Match` allows to change ([RFC 9110,
/// 13.1.1](https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1)): a list of entity tags, which are compared strongly,
/// character by character. Where none of them is a tag that this service could have given, nothing can match: 412.
pub fn if_match(headers: &HeaderMap) -> Result<IfMatch, PublicError> {
    if !headers.contains_key("if-match") {
        return Ok(IfMatch::Any);
    }
    let tags: Vec<_> = listed(headers, "if-match").collect();
    if tags == ["*"] {
        return Ok(IfMatch::Any);
    }
    let versions: Vec<_> = tags.into_iter().filter_map(version_of).collect();
    if versions.is_empty() { Err(PublicError::Stale) } else { Ok(IfMatch::Versions(versions)) }
}

/// The version whose [`entity_tag`] `tag` is, if there is one.
fn version_of(tag: &str) -> Option<i32> {
    let version = tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()?;
    (entity_tag(version) == tag).then_some(version)
}

/// The entries of a header that is a list. A comma within a quoted tag cuts it in two, neither of which is a tag of ours.
fn listed<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|list| list.split(',')).map(str::trim)
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
    listed(headers, "if-none-match")
        .map(|candidate| candidate.trim_start_matches("W/"))
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
    fn only_strong_tags_of_ours_can_match() {
        let of = |value: &str| if_match(&headers("if-match", value));
        assert_eq!(if_match(&HeaderMap::new()), Ok(IfMatch::Any));
        assert_eq!(of("*"), Ok(IfMatch::Any));
        assert_eq!(of("\"7\""), Ok(IfMatch::Versions(vec![7])));
        assert_eq!(of("\"0\", \"1\" ,W/\"2\",\"a,b\",\"30\""), Ok(IfMatch::Versions(vec![0, 1, 30])));
        for value in [
            "",
            "7",
            "W/\"7\"",
            "\"abc\"",
            "\"\"",
            "\"99999999999\"",
            "\"01\"",
            "\"+1\"",
            "\" 1\"",
            "\"1,2\"",
            "*, *",
        ] {
            assert_eq!(of(value), Err(PublicError::Stale), "{value}");
        }
        assert_eq!(entity_tag(7), "\"7\"");
    }
}
