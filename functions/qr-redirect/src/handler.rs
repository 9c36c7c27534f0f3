//! `GET` and `HEAD /r/{shortId}`: redirects to a code's target.

use std::sync::Arc;

use shared::http::{
    Body, HandlerError, HandlerResult, HeaderValue, Invocation, Method, PublicError, Request,
    RequestExt as _, Response, StatusCode, header, segments, source_address,
};
use shared::qr::id::ShortId;
use shared::qr::scan::follow;
use shared::qr::target::location;
use shared::qr::visit::Visit;
use tessera_postgres::Database;

pub(crate) async fn handle(
    database: Arc<Database>,
    invocation: Invocation,
    request: Request,
) -> HandlerResult {
    let id = parse_path(request.raw_http_path())?;
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(PublicError::MethodNotAllowed("GET, HEAD").into());
    }
    let visit = Visit::new(request.method(), request.headers(), source_address(&request));
    let redirect = follow(&database, &id, &visit, invocation.deadline).await?;

    let forwarded = request.uri().query().filter(|_| redirect.forward_query);
    let location = location(&redirect.target_url, forwarded)
        .ok_or_else(|| HandlerError::caused(PublicError::Internal, "a stored target is not a URL"))?;
    let status = StatusCode::from_u16(redirect.status).map_err(|_| PublicError::Internal)?;
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control(status)));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer-when-downgrade"));
    headers.insert("x-robots-tag", HeaderValue::from_static("noindex"));
    Ok(response)
}

/// The `Cache-Control` of a redirect. A temporary one that a browser keeps hides edits and scans. An owner who asks for
/// a permanent one wants it kept, but a printed code must not be lost to a browser's cache for ever.
fn cache_control(status: StatusCode) -> &'static str {
    match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::PERMANENT_REDIRECT => "private, max-age=86400",
        _ => "no-store",
    }
}

/// The id in the path. Text that cannot be an id is the id of no code: 404, without asking the database.
fn parse_path(path: &str) -> Result<ShortId, PublicError> {
    match segments(path)[..] {
        ["r" | "R", id] => ShortId::parse(id).ok_or(PublicError::NotFound),
        _ => Err(PublicError::NotFound),
    }
}
