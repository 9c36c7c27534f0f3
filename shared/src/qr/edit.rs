//! Changes a code, gives it an earlier target back, and deletes it.

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

/// Changes some fields of a code, if the caller may, and if its version is the one that the caller expects.
pub const EDIT: Statement = Statement {
    name: "qr.edit",
    sql: concat!(
        include_str!("sql/caller.sql"),
        include_str!("sql/may_write.sql"),
        include_str!("sql/edit.sql")
    ),
    parameters: &[Type::BYTEA, Type::TEXT, Type::TEXT, Type::UUID, Type::INT4_ARRAY, Type::JSONB],
    columns: &[("verdict", Type::TEXT), ("code", Type::JSONB)],
    plan: Plan::Kept,
    may_take_long: false,
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
    parameters: &[Type::BYTEA, Type::TEXT, Type::TEXT, Type::UUID, Type::INT4_ARRAY, Type::INT4],
    columns: &[("verdict", Type::TEXT), ("code", Type::JSONB)],
    plan: Plan::Kept,
    may_take_long: false,
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
    parameters: &[Type::BYTEA, Type::TEXT, Type::TEXT, Type::UUID, Type::INT4_ARRAY],
    columns: &[("verdict", Type::TEXT), ("id", Type::INT8)],
    plan: Plan::Kept,
    may_take_long: false,
    idempotent_by: IDEMPOTENT_BY,
};

/// How often a statement is run, if each time another request changes the code between the statement's look and its
/// change.
const MAX_ATTEMPTS: usize = 20;

/// What every change to a code needs to know besides the change: for which request, and on which condition.
#[derive(Debug)]
pub struct EditContext<'a> {
    /// The request that asks for the change.
    pub request: &'a RequestContext,
    /// The versions of which the code must have one for the change to be made.
    pub if_match: IfMatch,
}

/// A code that was changed.
#[derive(Debug)]
pub struct Edited {
    /// The code after the change.
    pub code: StoredCode,
    /// Names this write. A read that is given the token never returns what was before it.
    pub token: ConsistencyToken,
}

/// Changes those fields of the code `id` that `changes` names.
pub async fn edit(
    database: &Database,
    context: &EditContext<'_>,
    id: &ShortId,
    changes: &Changes,
) -> Result<Edited, CodeError> {
    context.run_with(database, &EDIT, id, &Json(&changes.0)).await
}

/// Gives the code `id` the target that it had at `version`, as a new version.
pub async fn roll_back(
    database: &Database,
    context: &EditContext<'_>,
    id: &ShortId,
    version: i32,
) -> Result<Edited, CodeError> {
    context.run_with(database, &ROLLBACK, id, &version).await
}

/// Deletes the code `id`, and returns the token for reads that must not find it any more.
pub async fn delete(
    database: &Database,
    context: &EditContext<'_>,
    id: &ShortId,
) -> Result<ConsistencyToken, CodeError> {
    let RequestContext { caller, id: request_id, .. } = context.request;
    let (key, versions) = (id.key(), context.if_match.versions());
    let parameters: Parameters<'_> = &[&caller.key_hash(), &caller.owner(), &key, request_id, &versions];
    let row = context.run(database, &DELETE, parameters).await?;
    Ok(context.token(row.get("id")))
}

impl EditContext<'_> {
    /// The token of this write; `code` is the key of the code's row.
    fn token(&self, code: i64) -> ConsistencyToken {
        ConsistencyToken { code, edit: self.request.id }
    }

    /// Runs a statement whose last parameter is the change.
    async fn run_with(
        &self,
        database: &Database,
        statement: &Statement,
        id: &ShortId,
        change: &(dyn ToSql + Sync),
    ) -> Result<Edited, CodeError> {
        let RequestContext { caller, id: request_id, .. } = self.request;
        let (key, versions) = (id.key(), self.if_match.versions());
        let parameters: Parameters<'_> =
            &[&caller.key_hash(), &caller.owner(), &key, request_id, &versions, change];
        let row = self.run(database, statement, parameters).await?;
        let Json::<StoredCode>(code) = row.get("code");
        let token = self.token(code.id);
        Ok(Edited { code, token })
    }

    /// Runs a statement, and again as long as its verdict is `again`: another request changed the row while the
    /// statement waited for it, and only a new snapshot shows what that means for this request.
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
