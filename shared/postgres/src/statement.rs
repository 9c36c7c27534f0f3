//! Statements are data: their text, the types that go in and come out, and why each is safe to send twice.

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

/// One SQL statement, which is one operation, one network round trip and one transaction.
#[derive(Debug)]
pub struct Statement {
    /// The statement's name in logs and tests, such as `qr.create`. PostgreSQL never gets it.
    pub name: &'static str,
    /// The SQL text, without a semicolon at its end.
    pub sql: &'static str,
    /// The types of `$1`, `$2` and so on, which are sent along so that the server need not be asked for them.
    pub parameters: &'static [Type],
    /// The names and types of the result's columns, in their order. None for a statement that returns no rows.
    pub columns: &'static [(&'static str, Type)],
    /// How often the server plans the statement.
    pub plan: Plan,
    /// Whether it may take seconds where there is much data. Its response is then waited for until the deadline; any other
    /// statement is cancelled and sent again if no response comes within three seconds, since the connection may be dead.
    pub may_take_long: bool,
    /// Why the statement may be sent again if the first response was lost.
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

/// The parameters of a statement, in their order.
pub type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Why a statement is safe to send twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdempotentBy {
    /// The statement changes nothing.
    Read,
    /// A second run meets this unique constraint, and changes nothing.
    UniqueConstraint(&'static str),
    /// The sender has generated an id for its request, which is stored in these columns. A second run finds it, and
    /// returns what the first did.
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
