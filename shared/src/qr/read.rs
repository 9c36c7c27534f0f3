//! Looking at codes: one, a page of them, their history, and what an image needs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::code::StoredCode;
use super::consistency::ConsistencyToken;
use super::id::ShortId;
use super::verdict::{is_ok, refusal};
use crate::error::PublicError;
use crate::http::Caller;
use tessera_postgres::Deadline;
use tessera_postgres::{Database, Json, Row, Type};
use tessera_postgres::{IdempotentBy, Statement};

/// One code, with its counts.
pub const GET: Statement = Statement {
    name: "qr.get",
    sql: concat!(
        include_str!("sql/caller.sql"),
        include_str!("sql/may_read.sql"),
        include_str!("sql/get.sql")
    ),
    parameters: &[Type::BYTEA, Type::TEXT, Type::TEXT, Type::INT8, Type::UUID],
    idempotent_by: IdempotentBy::Read,
};

/// A page of an owner's codes, with their counts.
pub const LIST: Statement = Statement {
    name: "qr.list",
    sql: concat!(include_str!("sql/caller.sql"), include_str!("sql/list.sql")),
    parameters: &[
        Type::BYTEA,
        Type::TEXT,
        Type::TEXT,
        Type::INT8,
        Type::INT8,
        Type::TEXT,
        Type::TEXT,
        Type::INT8,
        Type::UUID,
    ],
    idempotent_by: IdempotentBy::Read,
};

/// A code's targets, past and present.
pub const HISTORY: Statement = Statement {
    name: "qr.history",
    sql: concat!(
        include_str!("sql/caller.sql"),
        include_str!("sql/may_read.sql"),
        include_str!("sql/history.sql")
    ),
    parameters: &[Type::BYTEA, Type::TEXT, Type::TEXT, Type::INT8, Type::UUID],
    idempotent_by: IdempotentBy::Read,
};

/// A code's id as it was given, for its image.
pub const IMAGE: Statement = Statement {
    name: "qr.image",
    sql: include_str!("sql/image.sql"),
    parameters: &[Type::TEXT],
    idempotent_by: IdempotentBy::Read,
};

/// Who reads, how fresh it must be, and by when.
#[derive(Debug)]
pub struct Reader<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// A write that the answer must not be older than.
    pub token: Option<ConsistencyToken>,
    /// When it must have ended.
    pub deadline: Deadline,
}

impl Reader<'_> {
    /// The last two parameters of the statements that list, the fourth and fifth of those about one code.
    pub(super) fn token_parameters(&self) -> (Option<i64>, Option<Uuid>) {
        (self.token.map(|token| token.code), self.token.map(|token| token.edit))
    }

    async fn one(
        &self,
        database: &Database,
        statement: &Statement,
        id: &ShortId,
    ) -> Result<Row, PublicError> {
        let (code, edit) = self.token_parameters();
        let (hash, owner) = (self.caller.key_hash(), self.caller.owner());
        let row =
            database.read(statement, &[&hash, &owner, &id.key(), &code, &edit], is_ok, self.deadline).await?;
        accepted(&row)?;
        Ok(row)
    }
}

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
pub async fn get(database: &Database, reader: &Reader<'_>, id: &ShortId) -> Result<StoredCode, PublicError> {
    let row = reader.one(database, &GET, id).await?;
    let Json(code) = row.get("code");
    Ok(code)
}

/// A page of codes.
pub async fn list(database: &Database, reader: &Reader<'_>, filter: &Filter) -> Result<Page, PublicError> {
    let (code, edit) = reader.token_parameters();
    let row = database
        .read(
            &LIST,
            &[
                &reader.caller.key_hash(),
                &reader.caller.owner(),
                &filter.user_id,
                &filter.limit,
                &filter.before,
                &filter.tag,
                &filter.search,
                &code,
                &edit,
            ],
            is_ok,
            reader.deadline,
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
    reader: &Reader<'_>,
    id: &ShortId,
) -> Result<Vec<Version>, PublicError> {
    let row = reader.one(database, &HISTORY, id).await?;
    let Json(versions) = row.get("versions");
    Ok(versions)
}

/// The id of the code `id` as it was given, if there is such a code. Anybody may ask: it is printed on the symbol.
pub async fn image_id(database: &Database, id: &ShortId, deadline: Deadline) -> Result<String, PublicError> {
    let row = database.read(&IMAGE, &[&id.key()], is_ok, deadline).await?;
    accepted(&row)?;
    Ok(row.get("short_id"))
}

pub(super) fn accepted(row: &Row) -> Result<(), PublicError> {
    match row.get("verdict") {
        "ok" => Ok(()),
        verdict => Err(refusal(verdict)),
    }
}
