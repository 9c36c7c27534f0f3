//! The list of an owner's codes, page by page, newest first.

use jiff::Timestamp;
use tessera_postgres::{Database, IdempotentBy, Plan, Row, Statement, Type};

use super::code::StoredCode;
use super::error::CodeError;
use super::read::ReadContext;
use super::verdict::{check_verdict, is_ok};

/// Reads a page of an owner's codes, with their counts.
pub const LIST: Statement = Statement {
    name: "qr.list",
    sql: concat!(include_str!("sql/caller.sql"), include_str!("sql/list.sql")),
    parameters: &[
        Type::BYTEA,
        Type::TEXT,
        Type::TEXT,
        Type::INT8,
        Type::TIMESTAMPTZ,
        Type::INT8,
        Type::TEXT,
        Type::TEXT,
        Type::INT8,
        Type::UUID,
    ],
    columns: &[
        ("verdict", Type::TEXT),
        ("looked_until", Type::TIMESTAMPTZ),
        ("looked_until_id", Type::INT8),
        ("id", Type::INT8),
        ("short_id", Type::TEXT),
        ("name", Type::TEXT),
        ("target_url", Type::TEXT),
        ("owner", Type::TEXT),
        ("tags", Type::TEXT_ARRAY),
        ("redirect_status", Type::INT2),
        ("forward_query", Type::BOOL),
        ("enabled", Type::BOOL),
        ("valid_since", Type::TIMESTAMPTZ),
        ("expires_at", Type::TIMESTAMPTZ),
        ("max_scans", Type::INT8),
        ("version", Type::INT4),
        ("created_at", Type::TIMESTAMPTZ),
        ("updated_at", Type::TIMESTAMPTZ),
        ("total", Type::INT8),
        ("uniques", Type::INT8),
        ("bots", Type::INT8),
        ("last_at", Type::TIMESTAMPTZ),
    ],
    plan: Plan::Kept,
    may_take_long: true,
    idempotent_by: IdempotentBy::Read,
};

/// Which codes are listed, and how many of them.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only codes of this owner; `None` means the caller's own.
    pub user_id: Option<String>,
    /// At most this many codes, 1 to 200.
    pub limit: i64,
    /// Only codes that come after this position: the one that the page before ended with.
    pub after: Option<ListPosition>,
    /// Only codes with this tag.
    pub tag: Option<String>,
    /// Only codes with this text in their id, name or target.
    pub search: Option<String>,
}

/// A place in the list: that of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListPosition {
    /// When the code was made.
    pub created_at: Timestamp,
    /// The key of its row, for codes that were made at the same time.
    pub id: i64,
}

impl ListPosition {
    /// The place of `code`.
    #[must_use]
    pub fn of(code: &StoredCode) -> Self {
        Self { created_at: code.created_at, id: code.id }
    }
}

/// A page of codes, newest first.
#[derive(Debug)]
pub struct Page {
    /// The codes, at most as many as the filter's limit. With a tag or a text there may be fewer on a page, or none, though
    /// there are more on the next: one page looks through 10,000 codes at most.
    pub codes: Vec<StoredCode>,
    /// What [`Filter::after`] must be for the next page; `None` when this page is the last.
    pub next: Option<ListPosition>,
}

/// Reads the page of codes that `filter` describes.
pub async fn list(
    database: &Database,
    context: &ReadContext<'_>,
    filter: &Filter,
) -> Result<Page, CodeError> {
    let (code, edit) = context.token_parameters();
    let rows = database
        .read(
            &LIST,
            &[
                &context.request.caller.key_hash(),
                &context.request.caller.owner(),
                &filter.user_id,
                &filter.limit,
                &filter.after.map(|position| position.created_at),
                &filter.after.map(|position| position.id),
                &filter.tag,
                &filter.search,
                &code,
                &edit,
            ],
            |rows| rows.first().is_some_and(is_ok),
            context.request.deadline,
        )
        .await?;
    rows.first().map_or(Ok(()), check_verdict)?;
    Ok(page_from_rows(&rows, filter.limit))
}

fn page_from_rows(rows: &[Row], limit: i64) -> Page {
    let mut codes: Vec<_> = rows.iter().filter_map(StoredCode::from_row).collect();
    let limit = usize::try_from(limit).unwrap_or_default();
    let next = if codes.len() > limit {
        codes.truncate(limit);
        codes.last().map(ListPosition::of)
    } else {
        rows.first().and_then(looked_until)
    };
    Page { codes, next }
}

/// Where a page that is not full stopped looking, unless it has looked through everything.
fn looked_until(row: &Row) -> Option<ListPosition> {
    let created_at: Option<Timestamp> = row.get("looked_until");
    let id: Option<i64> = row.get("looked_until_id");
    Some(ListPosition { created_at: created_at?, id: id? })
}
