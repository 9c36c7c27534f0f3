//! The path and the query of a request.

use lambda_http::Request;

/// The segments of a path as they were sent. They are not percent-decoded, since ids have nothing to decode.
#[must_use]
pub fn segments(path: &str) -> Vec<&str> {
    path.trim_matches('/').split('/').collect()
}

/// The query's parameters in their order, decoded as those of an HTML form are.
#[must_use]
pub fn query_pairs(request: &Request) -> Vec<(String, String)> {
    let query = request.uri().query().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}
