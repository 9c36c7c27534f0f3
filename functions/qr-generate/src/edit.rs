//! `PATCH` and `DELETE /qr/{shortId}`, and `POST /qr/{shortId}/rollback`: changes a code, deletes it, and gives it an
//! earlier target back.

use shared::fields::Fields;
use shared::http::{Body, HandlerResult, PublicError, Response, StatusCode, json_object};
use shared::qr::edit;
use shared::qr::id::ShortId;
use shared::qr::input::Changes;

use crate::api_request::{ApiRequest, MAX_BODY_BYTES, with_consistency_token};

pub(crate) async fn edit(api: ApiRequest, id: ShortId) -> HandlerResult {
    api.require_caller()?;
    let object = json_object(&api.http, MAX_BODY_BYTES)?;
    let changes = Changes::parse(object, &api.state.base)?;
    let edited = edit::edit(&api.state.database, &api.edit_context()?, &id, &changes).await?;
    Ok(with_consistency_token(api.code_response(StatusCode::OK, &edited.code), edited.token))
}

pub(crate) async fn roll_back(api: ApiRequest, id: ShortId) -> HandlerResult {
    api.require_caller()?;
    let mut fields = Fields::new(json_object(&api.http, MAX_BODY_BYTES)?);
    if !fields.has("version") {
        fields.wrong("version", "is needed");
    }
    let version = fields.take_integer("version", 1, i64::from(i32::MAX));
    fields.finish()?;
    let version = version.and_then(|version| i32::try_from(version).ok()).ok_or(PublicError::Internal)?;
    let edited = edit::roll_back(&api.state.database, &api.edit_context()?, &id, version).await?;
    Ok(with_consistency_token(api.code_response(StatusCode::OK, &edited.code), edited.token))
}

pub(crate) async fn delete(api: ApiRequest, id: ShortId) -> HandlerResult {
    api.require_caller()?;
    let token = edit::delete(&api.state.database, &api.edit_context()?, &id).await?;
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(with_consistency_token(response, token))
}
