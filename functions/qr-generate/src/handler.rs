//! The routes under `/qr`, each of which is a function in a file of its own.

use std::sync::Arc;

use shared::http::{
    self, HandlerResult, Invocation, Method, PublicError, Request, RequestExt as _, segments,
};
use shared::qr::id::ShortId;
use shared::request::RequestContext;
use tessera_symbol::Format as ImageFormat;
use uuid::Uuid;

use crate::api_request::{ApiRequest, State};
use crate::{create, edit, get, history, image, list, scans};

pub(crate) async fn handle(state: Arc<State>, invocation: Invocation, request: Request) -> HandlerResult {
    let caller = http::caller(&request, state.anonymous_owner.as_deref());
    let context = RequestContext { caller, id: Uuid::new_v4(), deadline: invocation.deadline };
    let path = request.raw_http_path().to_owned();
    let method = request.method().clone();
    let api = ApiRequest { state, context, http: request };
    match (segments(&path).as_slice(), &method) {
        (["qr"], &Method::POST) => create::create(api).await,
        (["qr"], &Method::GET) => list::list(api).await,
        (["qr"], _) => Err(PublicError::MethodNotAllowed("GET, POST").into()),

        (["qr", id], &Method::GET) => get::get(api, parse_id(id)?).await,
        (["qr", id], &Method::PATCH) => edit::edit(api, parse_id(id)?).await,
        (["qr", id], &Method::DELETE) => edit::delete(api, parse_id(id)?).await,
        (["qr", _], _) => Err(PublicError::MethodNotAllowed("GET, PATCH, DELETE").into()),

        (["qr", id, "image.svg"], &Method::GET | &Method::HEAD) => {
            image::image(api, parse_id(id)?, ImageFormat::Svg).await
        }
        (["qr", id, "image.png"], &Method::GET | &Method::HEAD) => {
            image::image(api, parse_id(id)?, ImageFormat::Png).await
        }
        (["qr", _, "image.svg" | "image.png"], _) => Err(PublicError::MethodNotAllowed("GET, HEAD").into()),

        (["qr", id, "history"], &Method::GET) => history::history(api, parse_id(id)?).await,
        (["qr", id, "scans"], &Method::GET) => scans::scans(api, parse_id(id)?).await,
        (["qr", _, "history" | "scans"], _) => Err(PublicError::MethodNotAllowed("GET").into()),

        (["qr", id, "rollback"], &Method::POST) => edit::roll_back(api, parse_id(id)?).await,
        (["qr", _, "rollback"], _) => Err(PublicError::MethodNotAllowed("POST").into()),
        _ => Err(PublicError::NotFound.into()),
    }
}

/// Reads the id in the path. A text that cannot be an id is no code's, so the response is 404 without asking the
/// database.
fn parse_id(id: &str) -> Result<ShortId, PublicError> {
    ShortId::parse(id).ok_or(PublicError::NotFound)
}
