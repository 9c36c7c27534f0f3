//! Changing a code, pointing it back, and deleting it.

use tessera_postgres::{
    Database, DatabaseError, IdempotentBy, Json, Parameters, Plan, Row, Statement, ToSql, Type,
};

use super::code::StoredCode;
use super::consistency::ConsistencyToken;
use super::error::CodeError;
use super::id::ShortId;
use super::input::Changes;
use super::verdict::error_from_verdict;
use crate::fields::InvalidFields;
use crate::request::{IfMatch, RequestContext};

const IDEMPOTENT_BY: IdempotentBy = IdempotentBy::RequestId("codes.last_edit, code_versions.edit");

/// Changes some fields of a code, if the caller may and holds its newest version.
pub const EDIT: Statement = Statement {
    name: "qr.edit",
    sql: concat!(
        include_str!("sql/caller.sql"),
        include_str!("sql/may_write.sql"),
        include_str!("sql/edit.sql")
    ),
    parameters: &[Type::BYTEA, Type::TEXT, Type::TEXT, Type::UUID, Type::INT4, Type::JSONB],
    columns: &[("verdict", Type::TEXT), ("code", Type::JSONB)],
    plan: Plan::Kept,
    idempotent_by: IDEMPOTENT_BY,
};

/// Gives a code the target of an earlier version, as a new version.
pub const ROLLBACK: Statement = Statement {
    name: "qr.rollback",
    sql: concat!(
        include_str!("sql/caller.sql"),
        include_str!("sql/may_write.sql"),
        include_str!("sql/rollback.sql")
    ),
    parameters: &[Type::BYTEA, Type::TEXT, Type::TEXT, Type::UUID, Type::INT4, Type::INT4],
    columns: &[("verdict", Type::TEXT), ("code", Type::JSONB)],
    plan: Plan::Kept,
    idempotent_by: IDEMPOTENT_BY,
};

/// Deletes a code. Its row stays as a tombstone, so that the id is never given out again.
pub const DELETE: Statement = Statement {
    name: "qr.delete",
    sql: concat!(
        include_str!("sql/caller.sql"),
        include_str!("sql/may_write.sql"),
        include_str!("sql/delete.sql")
    ),
    parameters: &[Type::BYTEA, Type::TEXT, Type::TEXT, Type::UUID, Type::INT4],
    columns: &[("verdict", Type::TEXT), ("id", Type::INT8)],
    plan: Plan::Kept,
    idempotent_by: IDEMPOTENT_BY,
};

/// Times that the statement is run. Each but the last may find that another request has changed the code between the look
/// and the change.
const MAX_ATTEMPTS: usize = 20;

/// A change to one code that a request asks for, and on which condition.
#[derive(Debug)]
pub struct Edit<'a> {
    /// The request that asks for the change.
    pub request: &'a RequestContext,
    /// The id of the code to change.
    pub id: &'a ShortId,
    /// The version that the code must have, as the caller read it.
    pub if_match: IfMatch,
}

impl Edit<'_> {
    /// Changes the fields that `changes` names, and returns the code as it is then.
    pub async fn change(&self, database: &Database, changes: &Changes) -> Result<StoredCode, CodeError> {
        self.run_for_code(database, &EDIT, &Json(&changes.0)).await
    }

    /// Gives the code the target that it had at `version`, as a new version, and returns it as it is then.
    pub async fn roll_back(&self, database: &Database, version: i32) -> Result<StoredCode, CodeError> {
        self.run_for_code(database, &ROLLBACK, &version).await
    }

    /// Deletes the code, and returns the token for reads that must not find it any more.
    pub async fn delete(&self, database: &Database) -> Result<ConsistencyToken, CodeError> {
        let RequestContext { caller, id, .. } = self.request;
        let (key, version) = (self.id.key(), self.if_match.version());
        let parameters: Parameters<'_> = &[&caller.key_hash(), &caller.owner(), &key, id, &version];
        let row = self.run(database, &DELETE, parameters).await?;
        Ok(self.token(row.get("id")))
    }

    /// The token for reads that must see this change; `code` is the key of the code's row.
    #[must_use]
    pub fn token(&self, code: i64) -> ConsistencyToken {
        ConsistencyToken { code, edit: self.request.id }
    }

    async fn run_for_code(
        &self,
        database: &Database,
        statement: &Statement,
        change: &(dyn ToSql + Sync),
    ) -> Result<StoredCode, CodeError> {
        let RequestContext { caller, id, .. } = self.request;
        let (key, version) = (self.id.key(), self.if_match.version());
        let parameters: Parameters<'_> = &[&caller.key_hash(), &caller.owner(), &key, id, &version, change];
        let row = self.run(database, statement, parameters).await?;
        let Json(code) = row.get("code");
        Ok(code)
    }

    /// Runs the statement, again as long as its verdict is `again`: the row changed while the statement waited for it, and
    /// only a new look can tell what that means for this request.
    async fn run(
        &self,
        database: &Database,
        statement: &Statement,
        parameters: Parameters<'_>,
    ) -> Result<Row, CodeError> {
        for _ in 0..MAX_ATTEMPTS {
            let row = match database.query_one(statement, parameters, self.request.deadline).await {
                Ok(row) => row,
                Err(DatabaseError::Constraint { constraint, .. }) if constraint == "codes_window" => {
                    return Err(InvalidFields::one("expiresAt", "must be after validSince").into());
                }
                Err(error) => return Err(error.into()),
            };
            match row.get("verdict") {
                "ok" => return Ok(row),
                "again" => {}
                verdict => return Err(error_from_verdict(verdict)),
            }
        }
        Err(CodeError::Contended)
    }
}
