//! Reading one code: its fields, its history, and what its image needs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tessera_postgres::{Database, Deadline, IdempotentBy, Json, Parameters, Plan, Row, Statement, Type};
use uuid::Uuid;

use super::code::StoredCode;
use super::consistency::ConsistencyToken;
use super::error::CodeError;
use super::id::ShortId;
use super::verdict::{check_verdict, is_ok};
use crate::request::RequestContext;

/// Reads one code, with its counts.
pub const GET: Statement = Statement {
    name: "qr.get",
    sql: concat!(
        include_str!("sql/caller.sql"),
        include_str!("sql/may_read.sql"),
        include_str!("sql/get.sql")
    ),
    parameters: &[Type::BYTEA, Type::TEXT, Type::TEXT, Type::INT8, Type::UUID],
    columns: &[("verdict", Type::TEXT), ("code", Type::JSONB)],
    plan: Plan::Kept,
    may_take_long: false,
    idempotent_by: IdempotentBy::Read,
};

/// Reads a page of a code's targets, past and present.
pub const HISTORY: Statement = Statement {
    name: "qr.history",
    sql: concat!(
        include_str!("sql/caller.sql"),
        include_str!("sql/may_read.sql"),
        include_str!("sql/history.sql")
    ),
    parameters: &[Type::BYTEA, Type::TEXT, Type::TEXT, Type::INT8, Type::UUID, Type::INT8, Type::INT4],
    columns: &[("verdict", Type::TEXT), ("versions", Type::JSONB)],
    plan: Plan::Kept,
    may_take_long: false,
    idempotent_by: IdempotentBy::Read,
};

/// Reads a code's id in the spelling in which it was given, which its image holds.
pub const IMAGE: Statement = Statement {
    name: "qr.image",
    sql: include_str!("sql/image.sql"),
    parameters: &[Type::TEXT],
    columns: &[("verdict", Type::TEXT), ("short_id", Type::TEXT)],
    plan: Plan::Kept,
    may_take_long: false,
    idempotent_by: IdempotentBy::Read,
};

/// What every read needs to know besides what it reads: for which request, and how fresh.
#[derive(Debug)]
pub struct ReadContext<'a> {
    /// The request that asks.
    pub request: &'a RequestContext,
    /// A write that the answer must not be older than, if the caller names one.
    pub token: Option<ConsistencyToken>,
}

impl ReadContext<'_> {
    /// The token as parameters: the last two of the statement that lists, the fourth and fifth of those about one code.
    pub(super) fn token_parameters(&self) -> (Option<i64>, Option<Uuid>) {
        (self.token.map(|token| token.code), self.token.map(|token| token.edit))
    }

    async fn read_code(
        &self,
        database: &Database,
        statement: &Statement,
        id: &ShortId,
        more: Parameters<'_>,
    ) -> Result<Row, CodeError> {
        let (code, edit) = self.token_parameters();
        let (hash, owner) = (self.request.caller.key_hash(), self.request.caller.owner());
        let key = id.key();
        let common: Parameters<'_> = &[&hash, &owner, &key, &code, &edit];
        let parameters = [common, more].concat();
        let row = database.read_one(statement, &parameters, is_ok, self.request.deadline).await?;
        check_verdict(&row)?;
        Ok(row)
    }
}

/// One target that a code has or had, as callers see it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// Its number.
    #[serde(rename = "version")]
    pub number: i32,
    target_url: String,
    created_at: Timestamp,
    current: bool,
}

/// Which versions of a code are read, and how many of them.
#[derive(Debug, Clone, Copy)]
pub struct VersionFilter {
    /// At most this many versions, 1 to 200.
    pub limit: i64,
    /// Only versions before this one: the one that the page before ended with.
    pub before: Option<i32>,
}

/// A page of a code's versions, newest first.
#[derive(Debug)]
pub struct History {
    /// The versions, at most as many as the filter's limit.
    pub versions: Vec<Version>,
    /// What [`VersionFilter::before`] must be for the next page; `None` when this page is the last.
    pub next: Option<i32>,
}

/// Reads the code `id`.
pub async fn get(
    database: &Database,
    context: &ReadContext<'_>,
    id: &ShortId,
) -> Result<StoredCode, CodeError> {
    let row = context.read_code(database, &GET, id, &[]).await?;
    let Json(code) = row.get("code");
    Ok(code)
}

/// Reads the page of versions of the code `id` that `filter` describes, newest first.
pub async fn history(
    database: &Database,
    context: &ReadContext<'_>,
    id: &ShortId,
    filter: &VersionFilter,
) -> Result<History, CodeError> {
    let row = context.read_code(database, &HISTORY, id, &[&filter.limit, &filter.before]).await?;
    let Json::<Vec<Version>>(mut versions) = row.get("versions");
    let limit = usize::try_from(filter.limit).unwrap_or_default();
    let is_last = versions.len() <= limit;
    versions.truncate(limit);
    let next = versions.last().filter(|_| !is_last).map(|version| version.number);
    Ok(History { versions, next })
}

/// Reads the id of the code `id` in the spelling in which it was given. Anybody may ask: it is printed on the symbol.
pub async fn image_id(database: &Database, id: &ShortId, deadline: Deadline) -> Result<String, CodeError> {
    let row = database.read_one(&IMAGE, &[&id.key()], is_ok, deadline).await?;
    check_verdict(&row)?;
    Ok(row.get("short_id"))
}
