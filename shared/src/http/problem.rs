//! Renders an error as `application/problem+json` ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)), or as a small
//! page for a person who scanned a code.

use lambda_http::http::{HeaderMap, HeaderValue, StatusCode, header};
use lambda_http::{Body, Response};
use serde::Serialize;

use super::error::PublicError;
use super::response::respond;
use crate::fields::FieldError;

/// The format of a function's errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorFormat {
    /// `application/problem+json`, for programs.
    Json,
    /// An HTML page, unless the request's `Accept` asks for JSON.
    Page,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    request_id: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

/// Renders `error` for the caller.
pub(super) fn render(
    error: &PublicError,
    format: ErrorFormat,
    headers: &HeaderMap,
    request_id: &str,
) -> Response<Body> {
    let mut response = match format {
        ErrorFormat::Page if !asks_for_json(headers) => page(error, request_id),
        _ => problem(error, request_id),
    };
    let headers = response.headers_mut();
    headers.insert("x-robots-tag", HeaderValue::from_static("noindex"));
    if let Some(seconds) = error.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    match error {
        PublicError::Unauthenticated | PublicError::UnknownKey => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tessera\""));
        }
        PublicError::BadSignature => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Signature realm=\"tessera\""));
        }
        PublicError::MethodNotAllowed(allowed) => {
            headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        _ => {}
    }
    response
}

fn asks_for_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.contains("json") && !accept.contains("text/html")
}

fn status_of(error: &PublicError) -> (StatusCode, &'static str, &'static str) {
    let (status, name, title) = error.status();
    (StatusCode::from_u16(status).expect("the list holds HTTP statuses"), name, title)
}

fn problem(error: &PublicError, request_id: &str) -> Response<Body> {
    let (status, name, title) = status_of(error);
    let problem = Problem {
        kind: format!("urn:tessera:{name}"),
        title,
        status: status.as_u16(),
        detail: error.detail(),
        request_id,
        errors: match error {
            PublicError::Invalid(fields) => &fields.0,
            _ => &[],
        },
    };
    let text = serde_json::to_string(&problem).expect("a problem has string keys and whole numbers");
    respond(status, "application/problem+json", Body::Text(text))
}

fn page(error: &PublicError, request_id: &str) -> Response<Body> {
    let (status, _, title) = status_of(error);
    let detail = escape(&error.detail());
    let request_id = escape(request_id);
    let text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>body{{font:1.125rem/1.5 system-ui,sans-serif;max-width:34rem;margin:20vh auto 0;padding:0 1.5rem}}\
         h1{{font-size:1.75rem;line-height:1.2;margin:0 0 .5rem}}p{{margin:0 0 1rem}}\
         small{{opacity:.75;overflow-wrap:anywhere}}</style>\n\
         <main>\n<h1>{title}</h1>\n<p>{detail}</p>\n<p><small>Request {request_id}</small></p>\n</main>\n</html>\n"
    );
    let mut response = respond(status, "text/html; charset=utf-8", Body::Text(text));
    response.headers_mut().insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
    );
    response
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
