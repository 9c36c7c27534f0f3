//! Every request under `/qr`, read from top to bottom: the route, then one function a route.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use shared::error::{FieldError, PublicError};
use shared::http::{
    self, Answer, Body, CONSISTENCY_TOKEN, Caller, Context, Fields, HeaderValue, IdempotencyKey, IfMatch,
    Method, Request, RequestExt as _, Response, StatusCode, consistency_token, entity_tag, header,
    json_object, query_pairs, segments,
};
use shared::qr::code::{Code, StoredCode};
use shared::qr::consistency::ConsistencyToken;
use shared::qr::create::create;
use shared::qr::edit::Edit;
use shared::qr::id::ShortId;
use shared::qr::input::{Changes, NewCode};
use shared::qr::numbers::{By, Format, Number, Question, numbers, to_csv};
use shared::qr::read::{self, Filter, Reader, Version};
use shared::qr::symbol::{self, Format as ImageFormat, ImageOptions, Symbol};
use tessera_postgres::Database;
use url::Url;
use uuid::Uuid;

/// Longest body: a target of 8,192 bytes and everything else, escaped.
const LONGEST_BODY: usize = 64 * 1024;

/// What requests share.
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
struct Numbers {
    from: Timestamp,
    to: Timestamp,
    by: By,
    items: Vec<Number>,
}

/// A request and what is known of it before anything is done.
struct Call {
    state: Arc<State>,
    context: Context,
    caller: Caller,
    request: Request,
}

pub(crate) async fn handle(state: Arc<State>, context: Context, request: Request) -> Answer {
    let caller = http::caller(&request, state.anonymous_owner.as_deref());
    let path = request.raw_http_path().to_owned();
    let method = request.method().clone();
    let call = Call { state, context, caller, request };
    match (segments(&path).as_slice(), &method) {
        (["qr"], &Method::POST) => call.create().await,
        (["qr"], &Method::GET) => call.list().await,
        (["qr"], _) => Err(PublicError::MethodNotAllowed("GET, POST")),

        (["qr", id], &Method::GET) => call.get(known(id)?).await,
        (["qr", id], &Method::PATCH) => call.edit(known(id)?).await,
        (["qr", id], &Method::DELETE) => call.delete(known(id)?).await,
        (["qr", _], _) => Err(PublicError::MethodNotAllowed("GET, PATCH, DELETE")),

        (["qr", id, "image.svg"], &Method::GET | &Method::HEAD) => {
            call.image(known(id)?, ImageFormat::Svg).await
        }
        (["qr", id, "image.png"], &Method::GET | &Method::HEAD) => {
            call.image(known(id)?, ImageFormat::Png).await
        }
        (["qr", _, "image.svg" | "image.png"], _) => Err(PublicError::MethodNotAllowed("GET, HEAD")),

        (["qr", id, "history"], &Method::GET) => call.history(known(id)?).await,
        (["qr", id, "scans"], &Method::GET) => call.scans(known(id)?).await,
        (["qr", _, "history" | "scans"], _) => Err(PublicError::MethodNotAllowed("GET")),

        (["qr", id, "rollback"], &Method::POST) => call.roll_back(known(id)?).await,
        (["qr", _, "rollback"], _) => Err(PublicError::MethodNotAllowed("POST")),
        _ => Err(PublicError::NotFound),
    }
}

/// What cannot be an id names nothing.
fn known(id: &str) -> Result<ShortId, PublicError> {
    ShortId::parse(id).ok_or(PublicError::NotFound)
}

impl Call {
    async fn create(self) -> Answer {
        self.somebody()?;
        let object = json_object(&self.request, LONGEST_BODY)?;
        let new = NewCode::parse(object, &self.state.base)?;
        let key = IdempotencyKey::of(self.request.headers())?;
        let (database, deadline) = (&self.state.database, self.context.deadline);
        let created = create(database, &self.caller, &new, key.as_ref(), Uuid::new_v4(), deadline).await?;

        let mut response = self.code(StatusCode::CREATED, &created.code);
        let location = format!("/qr/{}", created.code.short_id);
        let location = HeaderValue::from_str(&location).map_err(|_| PublicError::Internal)?;
        response.headers_mut().insert(header::LOCATION, location);
        if created.replayed {
            response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
        }
        Ok(written(response, created.token))
    }

    async fn list(self) -> Answer {
        let filter = filter(&query_pairs(&self.request))?;
        let page = read::list(&self.state.database, &self.reader()?, &filter).await?;
        let items = page.codes.iter().map(|code| code.public(&self.state.base)).collect();
        Ok(http::json(StatusCode::OK, &List { items, next_cursor: page.next.map(cursor::encode) }))
    }

    async fn get(self, id: ShortId) -> Answer {
        let code = read::get(&self.state.database, &self.reader()?, &id).await?;
        Ok(self.code(StatusCode::OK, &code))
    }

    async fn edit(self, id: ShortId) -> Answer {
        self.somebody()?;
        let object = json_object(&self.request, LONGEST_BODY)?;
        let changes = Changes::parse(object, &self.state.base)?;
        let edit = self.change(&id)?;
        let code = edit.change(&self.state.database, &changes).await?;
        Ok(written(self.code(StatusCode::OK, &code), edit.token(code.id)))
    }

    async fn roll_back(self, id: ShortId) -> Answer {
        self.somebody()?;
        let mut fields = Fields::new(json_object(&self.request, LONGEST_BODY)?);
        if !fields.has("version") {
            fields.wrong("version", "is needed");
        }
        let version = fields.take_integer("version", 1, i64::from(i32::MAX));
        fields.finish()?;
        let version = version.and_then(|version| i32::try_from(version).ok()).ok_or(PublicError::Internal)?;
        let edit = self.change(&id)?;
        let code = edit.roll_back(&self.state.database, version).await?;
        Ok(written(self.code(StatusCode::OK, &code), edit.token(code.id)))
    }

    async fn delete(self, id: ShortId) -> Answer {
        let token = self.change(&id)?.delete(&self.state.database).await?;
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok(written(response, token))
    }

    async fn history(self, id: ShortId) -> Answer {
        let versions = read::history(&self.state.database, &self.reader()?, &id).await?;
        Ok(http::json(StatusCode::OK, &History { items: versions }))
    }

    async fn scans(self, id: ShortId) -> Answer {
        let question = Question::parse(&query_pairs(&self.request))?;
        let numbers = numbers(&self.state.database, &self.reader()?, &id, &question).await?;
        match question.format {
            Format::Json => {
                let Question { from, to, by, .. } = question;
                Ok(http::json(StatusCode::OK, &Numbers { from, to, by, items: numbers }))
            }
            Format::Csv => {
                let text = to_csv(question.by, &numbers).map_err(|error| {
                    tracing::error!(%error, "numbers as CSV");
                    PublicError::Internal
                })?;
                Ok(http::respond(StatusCode::OK, "text/csv; charset=utf-8", Body::Text(text)))
            }
        }
    }

    async fn image(self, id: ShortId, format: ImageFormat) -> Answer {
        let pairs = query_pairs(&self.request);
        let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let options = ImageOptions::from_query(pairs).map_err(PublicError::Invalid)?;
        let encode = |id: &str| {
            Symbol::new(&self.state.base, id, &options).map_err(|error| PublicError::Invalid(vec![error]))
        };
        // A symbol that these options leave no room for is refused for any spelling of its id.
        encode(id.as_str())?;
        let short_id = read::image_id(&self.state.database, &id, self.context.deadline).await?;
        let tag = symbol::etag(format, &self.state.base, &short_id, &options);
        let tag = HeaderValue::from_str(&tag).map_err(|_| PublicError::Internal)?;
        let mut response = if http::holds(self.request.headers(), &tag) {
            http::not_modified()
        } else {
            let image = encode(&short_id)?.draw(format);
            http::respond(StatusCode::OK, format.media_type(), image_body(format, image))
        };
        let headers = response.headers_mut();
        headers
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
        headers.insert(header::ETAG, tag);
        Ok(response)
    }

    /// A caller who shows nothing at all need not be told what is wrong with the body. Whether a key is good, the
    /// operation's own statement finds out.
    fn somebody(&self) -> Result<(), PublicError> {
        if self.caller == Caller::Nobody { Err(PublicError::Unauthenticated) } else { Ok(()) }
    }

    fn change<'a>(&'a self, id: &'a ShortId) -> Result<Edit<'a>, PublicError> {
        Ok(Edit {
            caller: &self.caller,
            id,
            request: Uuid::new_v4(),
            if_match: IfMatch::of(self.request.headers())?,
            deadline: self.context.deadline,
        })
    }

    fn reader(&self) -> Result<Reader<'_>, PublicError> {
        let token = consistency_token(self.request.headers())?;
        Ok(Reader { caller: &self.caller, token, deadline: self.context.deadline })
    }

    fn code(&self, status: StatusCode, code: &StoredCode) -> Response<Body> {
        let mut response = http::json(status, &code.public(&self.state.base));
        response.headers_mut().insert(header::ETAG, entity_tag(code.version));
        response
    }
}

/// Tells the caller what to send along for reads that must see what was written.
fn written(mut response: Response<Body>, token: ConsistencyToken) -> Response<Body> {
    let value = HeaderValue::from_str(&token.to_string()).expect("base64url is visible ASCII");
    response.headers_mut().insert(CONSISTENCY_TOKEN, value);
    response
}

fn filter(pairs: &[(String, String)]) -> Result<Filter, PublicError> {
    let mut filter = Filter { limit: 50, ..Filter::default() };
    let mut errors = Vec::new();
    let text =
        |value: &str| (!value.contains('\0') && value.chars().count() <= 200).then(|| value.to_owned());
    for (name, value) in pairs {
        let rule = match name.as_str() {
            "userId" => {
                text(value).map(|text| filter.user_id = Some(text)).ok_or("must have at most 200 characters")
            }
            "tag" => {
                text(value).map(|text| filter.tag = Some(text)).ok_or("must have at most 200 characters")
            }
            "search" => {
                text(value).map(|text| filter.search = Some(text)).ok_or("must have at most 200 characters")
            }
            "limit" => digits(value)
                .filter(|limit| (1..=200).contains(limit))
                .map(|limit| filter.limit = limit)
                .ok_or("must be a whole number from 1 to 200"),
            "cursor" => cursor::decode(value)
                .map(|id| filter.before = Some(id))
                .ok_or("is not a nextCursor of a list"),
            _ => Err("is not a parameter of this request"),
        };
        if let Err(message) = rule {
            errors.push(FieldError::new(name.chars().take(64).collect::<String>(), message));
        }
    }
    if errors.is_empty() { Ok(filter) } else { Err(PublicError::Invalid(errors)) }
}

/// Digits alone: no sign, no space.
fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// SVG is text, and goes out as it is; PNG goes to API Gateway as base64.
fn image_body(format: ImageFormat, bytes: Vec<u8>) -> Body {
    match format {
        ImageFormat::Svg => Body::Text(String::from_utf8_lossy(&bytes).into_owned()),
        ImageFormat::Png => Body::Binary(bytes),
    }
}

/// Where a page ended, in a form that callers do not take for a number to count with.
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
