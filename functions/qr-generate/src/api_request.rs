//! A request under `/qr`, with what its route needs besides, and the parts that responses have in common.

use std::sync::Arc;

use shared::http::{
    self, Body, CONSISTENCY_TOKEN, HeaderValue, PublicError, Request, Response, StatusCode,
    consistency_token, entity_tag, header, if_match,
};
use shared::qr::code::StoredCode;
use shared::qr::consistency::ConsistencyToken;
use shared::qr::edit::EditContext;
use shared::qr::read::ReadContext;
use shared::request::{Caller, RequestContext};
use tessera_postgres::Database;
use url::Url;

/// The most bytes that a body may have: a target of 8,192 bytes and everything else, escaped.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;

/// What all requests of a container share.
pub(crate) struct State {
    /// The primary, and the replica if one is configured.
    pub(crate) database: Arc<Database>,
    /// The public URL of this service, which codes encode.
    pub(crate) base: Url,
    /// The owner that callers without a key act as, if there is one.
    pub(crate) anonymous_owner: Option<String>,
}

/// A request under `/qr`, with what its route needs besides.
pub(crate) struct ApiRequest {
    /// What all requests of a container share.
    pub(crate) state: Arc<State>,
    /// The request as the domain sees it.
    pub(crate) context: RequestContext,
    /// The HTTP request.
    pub(crate) http: Request,
}

impl ApiRequest {
    /// Refuses a request without any credentials before anything else of it is read. Whether a key is valid is found out by the
    /// statement of the operation itself.
    pub(crate) fn require_caller(&self) -> Result<(), PublicError> {
        if self.context.caller == Caller::Nobody { Err(PublicError::Unauthenticated) } else { Ok(()) }
    }

    /// What an edit needs to know: the request, and the versions that its `If-Match` names.
    pub(crate) fn edit_context(&self) -> Result<EditContext<'_>, PublicError> {
        Ok(EditContext { request: &self.context, if_match: if_match(self.http.headers())? })
    }

    /// What a read needs to know: the request, and the write that its `Consistency-Token` names.
    pub(crate) fn read_context(&self) -> Result<ReadContext<'_>, PublicError> {
        let token = consistency_token(self.http.headers())?;
        Ok(ReadContext { request: &self.context, token })
    }

    /// Makes the response that shows `code`, with its version as `ETag`.
    pub(crate) fn code_response(&self, status: StatusCode, code: &StoredCode) -> Response<Body> {
        let mut response = http::json(status, &code.public(&self.state.base));
        response.headers_mut().insert(header::ETAG, entity_tag(code.version));
        response
    }
}

/// Adds the `Consistency-Token` header, which a caller sends back with reads that must see this write.
pub(crate) fn with_consistency_token(
    mut response: Response<Body>,
    token: ConsistencyToken,
) -> Response<Body> {
    let value = HeaderValue::from_str(&token.to_string()).expect("base64url is visible ASCII");
    response.headers_mut().insert(CONSISTENCY_TOKEN, value);
    response
}
