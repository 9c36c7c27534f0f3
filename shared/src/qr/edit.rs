//! Changing a code, pointing it back, and deleting it.

use uuid::Uuid;

use super::code::StoredCode;
use super::consistency::ConsistencyToken;
use super::id::ShortId;
use super::input::Changes;
use super::verdict::refusal;
use crate::error::PublicError;
use crate::http::{Caller, IfMatch};
use tessera_postgres::Deadline;
use tessera_postgres::{Database, DatabaseError, Json, Parameters, Row, ToSql, Type};
use tessera_postgres::{IdempotentBy, Statement};

const MARK: IdempotentBy = IdempotentBy::RequestId("codes.last_edit, code_versions.edit");

/// Changes some fields.
pub const EDIT: Statement = Statement {
    name: "qr.edit",
    sql: concat!(
        include_str!("sql/caller.sql"),
        include_str!("sql/may_write.sql"),
        include_str!("sql/edit.sql")
    ),
    parameters: &[Type::BYTEA, Type::TEXT, Type::TEXT, Type::UUID, Type::INT4, Type::JSONB],
    idempotent_by: MARK,
};

/// Takes the target of an earlier version.
pub const ROLLBACK: Statement = Statement {
    name: "qr.rollback",
    sql: concat!(
        include_str!("sql/caller.sql"),
        include_str!("sql/may_write.sql"),
        include_str!("sql/rollback.sql")
    ),
    parameters: &[Type::BYTEA, Type::TEXT, Type::TEXT, Type::UUID, Type::INT4, Type::INT4],
    idempotent_by: MARK,
};

/// Leaves a tombstone, so that the id is never given out again.
pub const DELETE: Statement = Statement {
    name: "qr.delete",
    sql: concat!(
        include_str!("sql/caller.sql"),
        include_str!("sql/may_write.sql"),
        include_str!("sql/delete.sql")
    ),
    parameters: &[Type::BYTEA, Type::TEXT, Type::TEXT, Type::UUID, Type::INT4],
    idempotent_by: MARK,
};

/// Times that another request may change the code between the look and the change.
const RACES: usize = 20;

/// Who changes what, on which condition.
#[derive(Debug)]
pub struct Edit<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// Which code.
    pub id: &'a ShortId,
    /// This request's own id: sent again, it finds what it did.
    pub request: Uuid,
    /// The version that the caller holds.
    pub if_match: IfMatch,
    /// When it must have ended.
    pub deadline: Deadline,
}

impl Edit<'_> {
    /// Changes some fields of the code.
    pub async fn change(&self, database: &Database, changes: &Changes) -> Result<StoredCode, PublicError> {
        self.code(database, &EDIT, &Json(&changes.0)).await
    }

    /// Points the code to the target that it had at `version`.
    pub async fn roll_back(&self, database: &Database, version: i32) -> Result<StoredCode, PublicError> {
        self.code(database, &ROLLBACK, &version).await
    }

    /// Deletes the code.
    pub async fn delete(&self, database: &Database) -> Result<ConsistencyToken, PublicError> {
        let (key, version) = (self.id.key(), self.if_match.version());
        let parameters: Parameters<'_> =
            &[&self.caller.key_hash(), &self.caller.owner(), &key, &self.request, &version];
        let row = self.run(database, &DELETE, parameters).await?;
        Ok(self.token(row.get("id")))
    }

    /// For reads that must see this change of `code`.
    #[must_use]
    pub fn token(&self, code: i64) -> ConsistencyToken {
        ConsistencyToken { code, edit: self.request }
    }

    async fn code(
        &self,
        database: &Database,
        statement: &Statement,
        change: &(dyn ToSql + Sync),
    ) -> Result<StoredCode, PublicError> {
        let (key, version) = (self.id.key(), self.if_match.version());
        let parameters: Parameters<'_> =
            &[&self.caller.key_hash(), &self.caller.owner(), &key, &self.request, &version, change];
        let row = self.run(database, statement, parameters).await?;
        let Json(code) = row.get("code");
        Ok(code)
    }

    /// `again` means that the row changed while the statement waited for it. What that means, only a new look can tell.
    async fn run(
        &self,
        database: &Database,
        statement: &Statement,
        parameters: Parameters<'_>,
    ) -> Result<Row, PublicError> {
        for _ in 0..RACES {
            let row = match database.query_one(statement, parameters, self.deadline).await {
                Ok(row) => row,
                Err(DatabaseError::Constraint { constraint, .. }) if constraint == "codes_window" => {
                    return Err(PublicError::invalid("expiresAt", "must be after validSince"));
                }
                Err(error) => return Err(error.into()),
            };
            match row.get("verdict") {
                "ok" => return Ok(row),
                "again" => {}
                verdict => return Err(refusal(verdict)),
            }
        }
        Err(PublicError::Unavailable)
    }
}
