//! `GET /qr`: lists an owner's codes, page by page.

use serde::Serialize;
use shared::digits::parse_digits;
use shared::fields::{FieldError, InvalidFields};
use shared::http::{self, HandlerResult, StatusCode, query_pairs};
use shared::qr::code::Code;
use shared::qr::list::{self, Filter};

use crate::api_request::ApiRequest;
use crate::cursor;

/// A page of codes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    items: Vec<Code<'a>>,
    next_cursor: Option<String>,
}

pub(crate) async fn list(api: ApiRequest) -> HandlerResult {
    api.require_caller()?;
    let filter = parse_filter(&query_pairs(&api.http))?;
    let page = list::list(&api.state.database, &api.read_context()?, &filter).await?;
    let items = page.codes.iter().map(|code| code.public(&api.state.base)).collect();
    Ok(http::json(StatusCode::OK, &List { items, next_cursor: page.next.map(cursor::encode) }))
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
