//! `GET /qr`: lists an owner's codes, page by page.

use shared::fields::{FieldError, InvalidFields};
use shared::http::{self, HandlerResult, StatusCode, query_pairs};
use shared::qr::list::{self, Filter, ListPosition};

use crate::api_request::ApiRequest;
use crate::cursor;
use crate::page::{DEFAULT_LIMIT, Page, parse_limit};

pub(crate) async fn list(api: ApiRequest) -> HandlerResult {
    api.require_caller()?;
    let filter = parse_filter(&query_pairs(&api.http))?;
    let page = list::list(&api.state.database, &api.read_context()?, &filter).await?;
    let items = page.codes.iter().map(|code| code.public(&api.state.base));
    let page = Page::new(items, page.next.map(cursor::encode), |last| {
        cursor::encode(ListPosition::of(&page.codes[last]))
    });
    Ok(http::json(StatusCode::OK, &page))
}

/// Reads the query of a list, and names every parameter that is wrong.
fn parse_filter(pairs: &[(String, String)]) -> Result<Filter, InvalidFields> {
    let mut filter = Filter { limit: DEFAULT_LIMIT, ..Filter::default() };
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
            "limit" => parse_limit(value).map(|limit| filter.limit = limit),
            "cursor" => cursor::decode(value)
                .map(|position| filter.after = Some(position))
                .ok_or("is not a nextCursor of a list"),
            _ => Err("is not a parameter of this request"),
        };
        if let Err(message) = parsed {
            errors.push(FieldError::for_sent_name(name, message));
        }
    }
    if errors.is_empty() { Ok(filter) } else { Err(InvalidFields(errors)) }
}
