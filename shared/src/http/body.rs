//! Request bodies in JSON.

use lambda_http::Request;
use serde_json::{Map, Value};

use super::error::PublicError;

/// Reads the body as a JSON object of at most `limit` bytes, whose `Content-Type`, if there is one, is JSON.
pub fn json_object(request: &Request, limit: usize) -> Result<Map<String, Value>, PublicError> {
    let body: &[u8] = request.body();
    if body.len() > limit {
        return Err(PublicError::TooLarge(limit));
    }
    if let Some(content_type) = request.headers().get("content-type") {
        let essence = content_type.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let essence = essence.to_ascii_lowercase();
        if essence != "application/json"
            && !(essence.starts_with("application/") && essence.ends_with("+json"))
        {
            return Err(PublicError::NotJson);
        }
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(PublicError::Malformed("The body must be a JSON object.")),
        Err(_) => Err(PublicError::Malformed("The body is not valid JSON.")),
    }
}
