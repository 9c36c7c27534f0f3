//! `GET /qr/{shortId}/history`: lists the targets of a code, past and present, page by page.

use shared::fields::{FieldError, InvalidFields};
use shared::http::{self, HandlerResult, StatusCode, query_pairs};
use shared::qr::id::ShortId;
use shared::qr::read::{self, VersionFilter};

use crate::api_request::ApiRequest;
use crate::cursor;
use crate::page::{DEFAULT_LIMIT, Page, parse_limit};

pub(crate) async fn history(api: ApiRequest, id: ShortId) -> HandlerResult {
    api.require_caller()?;
    let filter = parse_filter(&query_pairs(&api.http))?;
    let history = read::history(&api.state.database, &api.read_context()?, &id, &filter).await?;
    let versions = &history.versions;
    let page = Page::new(versions.iter(), history.next.map(cursor::encode_version), |last| {
        cursor::encode_version(versions[last].number)
    });
    Ok(http::json(StatusCode::OK, &page))
}

/// Reads the query, and names every parameter that is wrong.
fn parse_filter(pairs: &[(String, String)]) -> Result<VersionFilter, InvalidFields> {
    let mut filter = VersionFilter { limit: DEFAULT_LIMIT, before: None };
    let mut errors = Vec::new();
    for (name, value) in pairs {
        let parsed = match name.as_str() {
            "limit" => parse_limit(value).map(|limit| filter.limit = limit),
            "cursor" => cursor::decode_version(value)
                .map(|version| filter.before = Some(version))
                .ok_or("is not a nextCursor of a history"),
            _ => Err("is not a parameter of this request"),
        };
        if let Err(message) = parsed {
            errors.push(FieldError::for_sent_name(name, message));
        }
    }
    if errors.is_empty() { Ok(filter) } else { Err(InvalidFields(errors)) }
}
