//! Responses of every kind that a handler gives.

use lambda_http::http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Response};

use super::error::HandlerError;

/// What a handler returns: a response, or the error that `serve` renders and logs.
pub type HandlerResult = Result<Response<Body>, HandlerError>;

/// Makes a JSON response that no cache may store, since what it holds is private and changes.
pub fn json(status: StatusCode, value: &impl serde::Serialize) -> Response<Body> {
    let text = serde_json::to_string(value).expect("responses have string keys and finite numbers");
    respond(status, "application/json", Body::Text(text))
}

/// Makes a response of `content_type` that no cache may store.
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

/// Makes a 304 response, for a caller who has the representation already.
#[must_use]
pub fn not_modified() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response
}
