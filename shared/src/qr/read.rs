//! Looking at codes: one, a page of them, their history, and what an image needs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::{Json, Type};

use super::code::StoredCode;
use super::id::ShortId;
use super::verdict::refusal;
use crate::database::statement::{Repeat, Statement};
use crate::database::{Database, Row};
use crate::deadline::Deadline;
use crate::error::PublicError;
use crate::http::Caller;

/// One code, with its counts.
pub const GET: Statement = Statement {
    name: "qr.get",
    sql: concat!(
        include_str!("sql/caller.sql"),
        include_str!("sql/may_read.sql"),
        include_str!("sql/get.sql")
    ),
    parameters: &[Type::BYTEA, Type::TEXT, Type::TEXT],
    repeat: Repeat::Read,
};

/// A page of an owner's codes, with their counts.
pub const LIST: Statement = Statement {
    name: "qr.list",
    sql: concat!(include_str!("sql/caller.sql"), include_str!("sql/list.sql")),
    parameters: &[Type::BYTEA, Type::TEXT, Type::TEXT, Type::INT8, Type::INT8, Type::TEXT, Type::TEXT],
    repeat: Repeat::Read,
};

/// A code's targets, past and present.
pub const HISTORY: Statement = Statement {
    name: "qr.history",
    sql: concat!(
        include_str!("sql/caller.sql"),
        include_str!("sql/may_read.sql"),
        include_str!("sql/history.sql")
    ),
    parameters: &[Type::BYTEA, Type::TEXT, Type::TEXT],
    repeat: Repeat::Read,
};

/// A code's id as it was given, for its image.
pub const IMAGE: Statement = Statement {
    name: "qr.image",
    sql: include_str!("sql/image.sql"),
    parameters: &[Type::TEXT],
    repeat: Repeat::Read,
};

/// Which codes to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this owner, if not the caller.
    pub user_id: Option<String>,
    /// At most this many, 1 to 200.
    pub limit: i64,
    /// Only those made before this one.
    pub before: Option<i64>,
    /// Only those with this tag.
    pub tag: Option<String>,
    /// Only those with this text in their id, name or target.
    pub search: Option<String>,
}

/// A page of codes, newest first.
#[derive(Debug)]
pub struct Page {
    /// At most as many as were asked for.
    pub codes: Vec<StoredCode>,
    /// Where the next page begins, if there is one.
    pub next: Option<i64>,
}

/// A version of a code.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    #[serde(rename = "version")]
    number: i32,
    target_url: String,
    created_at: Timestamp,
    current: bool,
}

/// The code `id`.
pub async fn get(
    database: &Database,
    caller: &Caller,
    id: &ShortId,
    deadline: Deadline,
) -> Result<StoredCode, PublicError> {
    let row = database.query_one(&GET, &[&caller.key_hash(), &caller.owner(), &id.key()], deadline).await?;
    accepted(&row)?;
    let Json(code) = row.get("code");
    Ok(code)
}

/// A page of codes.
pub async fn list(
    database: &Database,
    caller: &Caller,
    filter: &Filter,
    deadline: Deadline,
) -> Result<Page, PublicError> {
    let row = database
        .query_one(
            &LIST,
            &[
                &caller.key_hash(),
                &caller.owner(),
                &filter.user_id,
                &filter.limit,
                &filter.before,
                &filter.tag,
                &filter.search,
            ],
            deadline,
        )
        .await?;
    accepted(&row)?;
    let Json(mut codes): Json<Vec<StoredCode>> = row.get("codes");
    let limit = usize::try_from(filter.limit).unwrap_or_default();
    let more = codes.len() > limit;
    codes.truncate(limit);
    Ok(Page { next: codes.last().filter(|_| more).map(|code| code.id), codes })
}

/// The versions of the code `id`, newest first.
pub async fn history(
    database: &Database,
    caller: &Caller,
    id: &ShortId,
    deadline: Deadline,
) -> Result<Vec<Version>, PublicError> {
    let row =
        database.query_one(&HISTORY, &[&caller.key_hash(), &caller.owner(), &id.key()], deadline).await?;
    accepted(&row)?;
    let Json(versions) = row.get("versions");
    Ok(versions)
}

/// The id of the code `id` as it was given, if there is such a code. Anybody may ask: it is printed on the symbol.
pub async fn image_id(database: &Database, id: &ShortId, deadline: Deadline) -> Result<String, PublicError> {
    let rows = database.query(&IMAGE, &[&id.key()], deadline).await?;
    rows.first().map(|row| row.get("short_id")).ok_or(PublicError::NotFound)
}

fn accepted(row: &Row) -> Result<(), PublicError> {
    match row.get("verdict") {
        "ok" => Ok(()),
        verdict => Err(refusal(verdict)),
    }
}
