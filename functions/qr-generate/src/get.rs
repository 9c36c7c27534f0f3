//! `GET /qr/{shortId}`: reads a code.

use shared::http::{HandlerResult, StatusCode};
use shared::qr::id::ShortId;
use shared::qr::read;

use crate::api_request::ApiRequest;

pub(crate) async fn get(api: ApiRequest, id: ShortId) -> HandlerResult {
    api.require_caller()?;
    let code = read::get(&api.state.database, &api.read_context()?, &id).await?;
    Ok(api.code_response(StatusCode::OK, &code))
}
