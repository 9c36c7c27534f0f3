//! Statements are data: their text, their parameter types, and why each is safe to send twice.

use tokio_postgres::types::{ToSql, Type};

/// One SQL statement, which is one operation, one network round trip and one transaction.
#[derive(Debug)]
pub struct Statement {
    /// Names the statement in logs, metrics and tests, e.g. `qr.create`.
    pub name: &'static str,
    /// The SQL text, sent unnamed each time.
    pub sql: &'static str,
    /// Types of `$1`, `$2`…, sent along so that the server need not be asked for them.
    pub parameters: &'static [Type],
    /// Why the statement may be sent again when the first answer was lost.
    pub idempotent_by: IdempotentBy,
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
