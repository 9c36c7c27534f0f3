//! `POST /qr`: creates a code.

use shared::http::{
    HandlerResult, HeaderValue, PublicError, StatusCode, header, idempotency_key, json_object,
};
use shared::qr::create;
use shared::qr::input::NewCode;

use crate::api_request::{ApiRequest, MAX_BODY_BYTES, with_consistency_token};

pub(crate) async fn create(api: ApiRequest) -> HandlerResult {
    api.require_caller()?;
    let object = json_object(&api.http, MAX_BODY_BYTES)?;
    let new = NewCode::parse(object, &api.state.base)?;
    let key = idempotency_key(api.http.headers())?;
    let created = create::create(&api.state.database, &api.context, &new, key.as_ref()).await?;

    let mut response = api.code_response(StatusCode::CREATED, &created.code);
    let location = format!("/qr/{}", created.code.short_id);
    let location = HeaderValue::from_str(&location).map_err(|_| PublicError::Internal)?;
    response.headers_mut().insert(header::LOCATION, location);
    if created.replayed {
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    Ok(with_consistency_token(response, created.token))
}
