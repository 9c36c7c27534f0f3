//! What every function does with HTTP: who calls, which preconditions they state, how errors are told, how to serve.

mod body;
mod caller;
mod error;
mod event;
mod headers;
mod problem;
mod serve;

pub use body::json_object;
pub use caller::{caller, source_address};
pub use error::{HandlerError, PublicError};
pub use headers::{
    CONSISTENCY_TOKEN, consistency_token, entity_tag, idempotency_key, if_match, if_none_match_matches,
};
pub use lambda_http::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
pub use lambda_http::{Body, Request, RequestExt, Response};
pub use problem::ErrorFormat;
pub use serve::{App, Invocation, serve};

/// What a handler gives back.
pub type Answer = Result<Response<Body>, HandlerError>;

/// A JSON answer. It is private and changes, so no cache may keep it.
pub fn json(status: StatusCode, value: &impl serde::Serialize) -> Response<Body> {
    let text = serde_json::to_string(value).expect("answers have string keys and finite numbers");
    respond(status, "application/json", Body::Text(text))
}

/// An answer of `content_type` that no cache may keep.
#[must_use]
pub fn respond(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// 304, to a caller who holds the representation already.
#[must_use]
pub fn not_modified() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response
}

/// Path segments of a request, percent-decoding left to whoever reads them: ids have nothing to decode.
#[must_use]
pub fn segments(path: &str) -> Vec<&str> {
    path.trim_matches('/').split('/').collect()
}

/// Query parameters in order, decoded.
#[must_use]
pub fn query_pairs(request: &Request) -> Vec<(String, String)> {
    let query = request.uri().query().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}
