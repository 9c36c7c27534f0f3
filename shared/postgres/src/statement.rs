//! Statements are data: their text, the types that go in and come out, and why each is safe to send twice.

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

/// One SQL statement, which is one operation, one network round trip and one transaction.
#[derive(Debug)]
pub struct Statement {
    /// Names the statement in logs, metrics and tests, e.g. `qr.create`.
    pub name: &'static str,
    /// The SQL text. It holds no semicolon at its end.
    pub sql: &'static str,
    /// Types of `$1`, `$2`…, sent along so that the server need not be asked for them.
    pub parameters: &'static [Type],
    /// Names and types of the result's columns, in order. None for a statement that answers with no rows.
    pub columns: &'static [(&'static str, Type)],
    /// How often the server plans it.
    pub plan: Plan,
    /// Why the statement may be sent again when the first answer was lost.
    pub idempotent_by: IdempotentBy,
}

/// How often the server plans a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Once in each of the server's sessions: the text is kept in the database as a function, see [`crate::plans`].
    Kept,
    /// With each call: for a statement that is rarely sent, or whose best plan depends on the values.
    EachTime,
}

/// Parameters of a statement, in order.
pub type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Why a statement is safe to send twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdempotentBy {
    /// It changes nothing.
    Read,
    /// A second run meets this unique constraint and changes nothing.
    UniqueConstraint(&'static str),
    /// The sender made the id of its request and it is stored here; a second run finds it and answers as the first did.
    RequestId(&'static str),
}

impl Statement {
    /// Whether these rows have the columns that the statement declares. An answer without rows has.
    pub(crate) fn describes(&self, rows: &[Row]) -> bool {
        let Some(row) = rows.first() else { return true };
        let found = row.columns().iter().map(|column| (column.name(), column.type_()));
        found.eq(self.columns.iter().map(|(name, kind)| (*name, kind)))
    }
}
