//! Who calls: the holder of a key, the subject of a token that API Gateway has verified, or nobody.

use std::collections::HashMap;

use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};
use sha2::{Digest, Sha256};

use crate::request::Caller;

/// The most characters of a subject
/// ([OpenID Connect Core 1.0, 2](https://openid.net/specs/openid-connect-core-1_0.html#IDToken)).
const MAX_SUBJECT_CHARS: usize = 255;

/// Finds the caller: the subject of a verified JWT, or else the key in `Authorization: Bearer KEY` or `X-Api-Key: KEY`,
/// or else the anonymous owner.
///
/// A caller who sends a key or a token never acts as the anonymous owner, however wrong it is.
#[must_use]
pub fn caller(request: &Request, anonymous_owner: Option<&str>) -> Caller {
    let claims = jwt_claims(request);
    if let Some(subject) = claims.and_then(|claims| claims.get("sub")).filter(|subject| is_owner(subject)) {
        return Caller::Owner(subject.clone());
    }
    if let Some(key) = sent_key(request) {
        return Caller::Key(Sha256::digest(key).into());
    }
    match anonymous_owner {
        Some(owner) if claims.is_none() => Caller::Owner(owner.to_owned()),
        _ => Caller::Nobody,
    }
}

fn sent_key(request: &Request) -> Option<&[u8]> {
    let headers = request.headers();
    if let Some(authorization) = headers.get("authorization") {
        let (scheme, key) = authorization.as_bytes().split_at_checked(7).unwrap_or((b"", b""));
        return Some(if scheme.eq_ignore_ascii_case(b"bearer ") { key.trim_ascii() } else { b"" });
    }
    headers.get("x-api-key").map(|key| key.as_bytes().trim_ascii())
}

/// The claims that API Gateway's JWT authoriser has verified, which a client cannot forge.
fn jwt_claims(request: &Request) -> Option<&HashMap<String, String>> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV2(context) => Some(&context.authorizer.as_ref()?.jwt.as_ref()?.claims),
        _ => None,
    }
}

/// Whether a subject can own codes. An empty one names nobody, and PostgreSQL's `text` cannot hold U+0000.
fn is_owner(subject: &str) -> bool {
    !subject.trim().is_empty()
        && subject.chars().count() <= MAX_SUBJECT_CHARS
        && !subject.chars().any(char::is_control)
}

/// The IP address from which API Gateway or CloudFront was called; empty if neither says. `X-Forwarded-For` is not
/// read, because a client can set it to anything.
#[must_use]
pub fn source_address(request: &Request) -> &str {
    let behind_cdn = request.headers().get("cloudfront-viewer-address");
    if let Some((address, _port)) = behind_cdn.and_then(|value| value.to_str().ok()?.rsplit_once(':')) {
        return address;
    }
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref().unwrap_or_default(),
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::Body;
    use lambda_http::http::Request as HttpRequest;

    fn with(name: &str, value: &str) -> Request {
        HttpRequest::builder().header(name, value).body(Body::Empty).unwrap()
    }

    #[test]
    fn a_key_is_taken_from_either_header_and_only_hashed() {
        let hash = Caller::Key(Sha256::digest(b"tsk_1").into());
        for (name, value) in [
            ("authorization", "Bearer tsk_1"),
            ("authorization", "bearer  tsk_1"),
            ("x-api-key", "tsk_1"),
            ("x-api-key", " tsk_1 "),
        ] {
            assert_eq!(caller(&with(name, value), Some("anonymous")), hash, "{name}: {value}");
        }
    }

    #[test]
    fn a_wrong_key_is_never_the_anonymous_owner() {
        for value in ["Basic dXNlcg==", "", "Bearer", "x", "é"] {
            let request = with("authorization", value);
            assert!(matches!(caller(&request, Some("anonymous")), Caller::Key(_)), "{value}");
        }
    }

    #[test]
    fn without_a_key_one_is_the_anonymous_owner_or_nobody() {
        let request = HttpRequest::new(Body::Empty);
        assert_eq!(caller(&request, Some("anonymous")), Caller::Owner("anonymous".to_owned()));
        assert_eq!(caller(&request, None), Caller::Nobody);
    }
}
