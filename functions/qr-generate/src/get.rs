//! `GET /qr/{shortId}` and `GET /qr/{shortId}/history`: reads a code, and its targets past and present.

use serde::Serialize;
use shared::http::{self, HandlerResult, StatusCode};
use shared::qr::id::ShortId;
use shared::qr::read::{self, Version};

use crate::api_request::ApiRequest;

/// The versions of a code.
#[derive(Serialize)]
struct History {
    items: Vec<Version>,
}

pub(crate) async fn get(api: ApiRequest, id: ShortId) -> HandlerResult {
    api.require_caller()?;
    let code = read::get(&api.state.database, &api.read_context()?, &id).await?;
    Ok(api.code_response(StatusCode::OK, &code))
}

pub(crate) async fn history(api: ApiRequest, id: ShortId) -> HandlerResult {
    api.require_caller()?;
    let versions = read::history(&api.state.database, &api.read_context()?, &id).await?;
    Ok(http::json(StatusCode::OK, &History { items: versions }))
}
