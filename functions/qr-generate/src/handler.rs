//! Every request under `/qr`, read from top to bottom: the route, then one function a route.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use shared::digits::parse_digits;
use shared::fields::{FieldError, Fields, InvalidFields};
use shared::http::{
    self, Body, CONSISTENCY_TOKEN, HandlerError, HandlerResult, HeaderValue, Invocation, Method, PublicError,
    Request, RequestExt as _, Response, StatusCode, consistency_token, entity_tag, header, idempotency_key,
    if_match, json_object, query_pairs, segments,
};
use shared::qr::code::{Code, StoredCode};
use shared::qr::consistency::ConsistencyToken;
use shared::qr::create::create;
use shared::qr::edit::Edit;
use shared::qr::id::ShortId;
use shared::qr::input::{Changes, NewCode};
use shared::qr::read::{self, Filter, ReadContext, Version};
use shared::qr::scan_stats::{Format, GroupBy, ScanStat, ScanStatsQuery, scan_stats, to_csv};
use shared::request::{Caller, RequestContext};
use tessera_postgres::Database;
use tessera_symbol::Format as ImageFormat;
use url::Url;
use uuid::Uuid;

use crate::image::RequestedImage;

/// Bytes of a body, at most: a target of 8,192 bytes and everything else, escaped.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// What all requests of a container share.
pub(crate) struct State {
    pub(crate) database: Arc<Database>,
    pub(crate) base: Url,
    pub(crate) anonymous_owner: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    items: Vec<Code<'a>>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct History {
    items: Vec<Version>,
}

#[derive(Serialize)]
struct ScanStats {
    from: Timestamp,
    to: Timestamp,
    by: GroupBy,
    items: Vec<ScanStat>,
}

/// An HTTP request, with what its operation needs besides.
struct Call {
    state: Arc<State>,
    context: RequestContext,
    request: Request,
}

pub(crate) async fn handle(state: Arc<State>, invocation: Invocation, request: Request) -> HandlerResult {
    let caller = http::caller(&request, state.anonymous_owner.as_deref());
    let context = RequestContext { caller, id: Uuid::new_v4(), deadline: invocation.deadline };
    let path = request.raw_http_path().to_owned();
    let method = request.method().clone();
    let call = Call { state, context, request };
    match (segments(&path).as_slice(), &method) {
        (["qr"], &Method::POST) => call.create().await,
        (["qr"], &Method::GET) => call.list().await,
        (["qr"], _) => Err(PublicError::MethodNotAllowed("GET, POST").into()),

        (["qr", id], &Method::GET) => call.get(parse_id(id)?).await,
        (["qr", id], &Method::PATCH) => call.edit(parse_id(id)?).await,
        (["qr", id], &Method::DELETE) => call.delete(parse_id(id)?).await,
        (["qr", _], _) => Err(PublicError::MethodNotAllowed("GET, PATCH, DELETE").into()),

        (["qr", id, "image.svg"], &Method::GET | &Method::HEAD) => {
            call.image(parse_id(id)?, ImageFormat::Svg).await
        }
        (["qr", id, "image.png"], &Method::GET | &Method::HEAD) => {
            call.image(parse_id(id)?, ImageFormat::Png).await
        }
        (["qr", _, "image.svg" | "image.png"], _) => Err(PublicError::MethodNotAllowed("GET, HEAD").into()),

        (["qr", id, "history"], &Method::GET) => call.history(parse_id(id)?).await,
        (["qr", id, "scans"], &Method::GET) => call.scans(parse_id(id)?).await,
        (["qr", _, "history" | "scans"], _) => Err(PublicError::MethodNotAllowed("GET").into()),

        (["qr", id, "rollback"], &Method::POST) => call.roll_back(parse_id(id)?).await,
        (["qr", _, "rollback"], _) => Err(PublicError::MethodNotAllowed("POST").into()),
        _ => Err(PublicError::NotFound.into()),
    }
}

/// Text that cannot be an id is the id of no code: 404, without asking the database.
fn parse_id(id: &str) -> Result<ShortId, PublicError> {
    ShortId::parse(id).ok_or(PublicError::NotFound)
}

impl Call {
    async fn create(self) -> HandlerResult {
        self.require_caller()?;
        let object = json_object(&self.request, MAX_BODY_BYTES)?;
        let new = NewCode::parse(object, &self.state.base)?;
        let key = idempotency_key(self.request.headers())?;
        let created = create(&self.state.database, &self.context, &new, key.as_ref()).await?;

        let mut response = self.code_response(StatusCode::CREATED, &created.code);
        let location = format!("/qr/{}", created.code.short_id);
        let location = HeaderValue::from_str(&location).map_err(|_| PublicError::Internal)?;
        response.headers_mut().insert(header::LOCATION, location);
        if created.replayed {
            response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
        }
        Ok(with_consistency_token(response, created.token))
    }

    async fn list(self) -> HandlerResult {
        let filter = parse_filter(&query_pairs(&self.request))?;
        let page = read::list(&self.state.database, &self.read_context()?, &filter).await?;
        let items = page.codes.iter().map(|code| code.public(&self.state.base)).collect();
        Ok(http::json(StatusCode::OK, &List { items, next_cursor: page.next.map(cursor::encode) }))
    }

    async fn get(self, id: ShortId) -> HandlerResult {
        let code = read::get(&self.state.database, &self.read_context()?, &id).await?;
        Ok(self.code_response(StatusCode::OK, &code))
    }

    async fn edit(self, id: ShortId) -> HandlerResult {
        self.require_caller()?;
        let object = json_object(&self.request, MAX_BODY_BYTES)?;
        let changes = Changes::parse(object, &self.state.base)?;
        let edit = self.new_edit(&id)?;
        let code = edit.change(&self.state.database, &changes).await?;
        Ok(with_consistency_token(self.code_response(StatusCode::OK, &code), edit.token(code.id)))
    }

    async fn roll_back(self, id: ShortId) -> HandlerResult {
        self.require_caller()?;
        let mut fields = Fields::new(json_object(&self.request, MAX_BODY_BYTES)?);
        if !fields.has("version") {
            fields.wrong("version", "is needed");
        }
        let version = fields.take_integer("version", 1, i64::from(i32::MAX));
        fields.finish()?;
        let version = version.and_then(|version| i32::try_from(version).ok()).ok_or(PublicError::Internal)?;
        let edit = self.new_edit(&id)?;
        let code = edit.roll_back(&self.state.database, version).await?;
        Ok(with_consistency_token(self.code_response(StatusCode::OK, &code), edit.token(code.id)))
    }

    async fn delete(self, id: ShortId) -> HandlerResult {
        let token = self.new_edit(&id)?.delete(&self.state.database).await?;
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok(with_consistency_token(response, token))
    }

    async fn history(self, id: ShortId) -> HandlerResult {
        let versions = read::history(&self.state.database, &self.read_context()?, &id).await?;
        Ok(http::json(StatusCode::OK, &History { items: versions }))
    }

    async fn scans(self, id: ShortId) -> HandlerResult {
        let query = ScanStatsQuery::parse(&query_pairs(&self.request))?;
        let stats = scan_stats(&self.state.database, &self.read_context()?, &id, &query).await?;
        match query.format {
            Format::Json => {
                let ScanStatsQuery { from, to, by, .. } = query;
                Ok(http::json(StatusCode::OK, &ScanStats { from, to, by, items: stats }))
            }
            Format::Csv => {
                let text = to_csv(query.by, &stats)
                    .map_err(|error| HandlerError::caused(PublicError::Internal, error))?;
                Ok(http::respond(StatusCode::OK, "text/csv; charset=utf-8", Body::Text(text)))
            }
        }
    }

    async fn image(self, id: ShortId, format: ImageFormat) -> HandlerResult {
        let base = &self.state.base;
        let image = RequestedImage::parse(format, &query_pairs(&self.request))?;
        // A symbol that these options leave no room for is refused for any spelling of its id.
        image.symbol(base, id.as_str())?;
        let short_id = read::image_id(&self.state.database, &id, self.context.deadline).await?;
        let tag =
            HeaderValue::from_str(&image.entity_tag(base, &short_id)).map_err(|_| PublicError::Internal)?;
        let mut response = if http::if_none_match_matches(self.request.headers(), &tag) {
            http::not_modified()
        } else {
            http::respond(StatusCode::OK, format.media_type(), image.body(base, &short_id)?)
        };
        let headers = response.headers_mut();
        headers
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
        headers.insert(header::ETAG, tag);
        Ok(response)
    }

    /// Refuses a request without any credentials before its body is read. Whether a key is good, the operation's own
    /// statement finds out.
    fn require_caller(&self) -> Result<(), PublicError> {
        if self.context.caller == Caller::Nobody { Err(PublicError::Unauthenticated) } else { Ok(()) }
    }

    /// A change to the code `id` by this request, under the version that its `If-Match` names.
    fn new_edit<'a>(&'a self, id: &'a ShortId) -> Result<Edit<'a>, PublicError> {
        Ok(Edit { request: &self.context, id, if_match: if_match(self.request.headers())? })
    }

    fn read_context(&self) -> Result<ReadContext<'_>, PublicError> {
        let token = consistency_token(self.request.headers())?;
        Ok(ReadContext { request: &self.context, token })
    }

    fn code_response(&self, status: StatusCode, code: &StoredCode) -> Response<Body> {
        let mut response = http::json(status, &code.public(&self.state.base));
        response.headers_mut().insert(header::ETAG, entity_tag(code.version));
        response
    }
}

/// Adds the `Consistency-Token` header, which the caller sends along for reads that must see this write.
fn with_consistency_token(mut response: Response<Body>, token: ConsistencyToken) -> Response<Body> {
    let value = HeaderValue::from_str(&token.to_string()).expect("base64url is visible ASCII");
    response.headers_mut().insert(CONSISTENCY_TOKEN, value);
    response
}

/// Reads the query of a list, and names every parameter that is wrong.
fn parse_filter(pairs: &[(String, String)]) -> Result<Filter, InvalidFields> {
    let mut filter = Filter { limit: 50, ..Filter::default() };
    let mut errors = Vec::new();
    let text =
        |value: &str| (!value.contains('\0') && value.chars().count() <= 200).then(|| value.to_owned());
    for (name, value) in pairs {
        let parsed = match name.as_str() {
            "userId" => {
                text(value).map(|text| filter.user_id = Some(text)).ok_or("must have at most 200 characters")
            }
            "tag" => {
                text(value).map(|text| filter.tag = Some(text)).ok_or("must have at most 200 characters")
            }
            "search" => {
                text(value).map(|text| filter.search = Some(text)).ok_or("must have at most 200 characters")
            }
            "limit" => parse_digits(value)
                .filter(|limit| (1..=200).contains(limit))
                .map(|limit| filter.limit = limit)
                .ok_or("must be a whole number from 1 to 200"),
            "cursor" => cursor::decode(value)
                .map(|id| filter.before = Some(id))
                .ok_or("is not a nextCursor of a list"),
            _ => Err("is not a parameter of this request"),
        };
        if let Err(message) = parsed {
            errors.push(FieldError::new(name.chars().take(64).collect::<String>(), message));
        }
    }
    if errors.is_empty() { Ok(filter) } else { Err(InvalidFields(errors)) }
}

/// The cursor of a list: the key of a page's last row, in a form that callers do not take for a number to count with.
mod cursor {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    pub(super) fn encode(id: i64) -> String {
        URL_SAFE_NO_PAD.encode(id.to_be_bytes())
    }

    pub(super) fn decode(text: &str) -> Option<i64> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(i64::from_be_bytes)
    }
}
