//! Creates a code.

use tessera_postgres::{Database, DatabaseError, FailureKind, IdempotentBy, Json, Plan, Statement, Type};

use super::code::StoredCode;
use super::consistency::ConsistencyToken;
use super::error::CodeError;
use super::id::ShortId;
use super::input::NewCode;
use super::verdict::error_from_verdict;
use crate::metrics::{self, Metric};
use crate::request::{IdempotencyKey, RequestContext};

/// Checks the caller and the Idempotency-Key, finds a free id, and creates the code.
pub const CREATE: Statement = Statement {
    name: "qr.create",
    sql: concat!(include_str!("sql/caller.sql"), include_str!("sql/create.sql")),
    parameters: &[
        Type::BYTEA,
        Type::TEXT,
        Type::TEXT,
        Type::UUID,
        Type::JSONB,
        Type::TEXT,
        Type::BYTEA,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
    ],
    columns: &[("verdict", Type::TEXT), ("code", Type::JSONB), ("edit", Type::UUID)],
    plan: Plan::Kept,
    may_take_long: false,
    idempotent_by: IdempotentBy::RequestId("codes.created_by, idempotency_keys.request"),
};

/// How many random ids one statement tries. Even with thousands of millions of codes it is unlikely that all are taken.
const CANDIDATES: usize = 4;
/// How often the statement is run, if each time every id is taken, or another request takes the id between the look and
/// the insert.
const MAX_ATTEMPTS: usize = 5;

/// A code that was created, now or by an earlier request with the same Idempotency-Key.
#[derive(Debug)]
pub struct Created {
    /// The code, as it was when it was created.
    pub code: StoredCode,
    /// Whether an earlier request with the same Idempotency-Key created it.
    pub replayed: bool,
    /// Names this write. A read that is given the token never returns what was before it.
    pub token: ConsistencyToken,
}

fn candidates(new: &NewCode) -> Vec<ShortId> {
    match &new.short_id {
        Some(id) => vec![id.clone()],
        None => std::iter::repeat_with(ShortId::generate).take(CANDIDATES).collect(),
    }
}

/// Creates `new` for the caller of `request`, or answers as the first request with this `key` was answered.
pub async fn create(
    database: &Database,
    request: &RequestContext,
    new: &NewCode,
    key: Option<&IdempotencyKey>,
) -> Result<Created, CodeError> {
    let fingerprint = new.fingerprint();
    // The ids stay the same after a lost race, which may have been lost to this very request, sent before.
    let mut ids = candidates(new);
    for _ in 0..MAX_ATTEMPTS {
        let short_ids: Vec<&str> = ids.iter().map(ShortId::as_str).collect();
        let id_keys: Vec<String> = ids.iter().map(ShortId::key).collect();
        let answer = database
            .query_one(
                &CREATE,
                &[
                    &request.caller.key_hash(),
                    &request.caller.owner(),
                    &new.user_id,
                    &request.id,
                    &Json(&new.columns),
                    &key.map(IdempotencyKey::as_str),
                    &fingerprint.as_slice(),
                    &short_ids,
                    &id_keys,
                ],
                request.deadline,
            )
            .await;
        let row = match answer {
            Ok(row) => row,
            Err(DatabaseError::Constraint { constraint, .. }) if constraint == "codes_id_key" => continue,
            Err(error) if waited_for_key(&error) => {
                return Err(CodeError::StillRunning(error));
            }
            Err(error) => return Err(error.into()),
        };
        let replayed = match row.get("verdict") {
            "created" => false,
            "replayed" => true,
            "taken" if new.short_id.is_none() => {
                ids = candidates(new);
                continue;
            }
            verdict => return Err(error_from_verdict(verdict)),
        };
        if !replayed {
            metrics::count(Metric::Creates);
        }
        let Json::<StoredCode>(code) = row.get("code");
        let token = ConsistencyToken { code: code.id, edit: row.get("edit") };
        return Ok(Created { code, replayed, token });
    }
    Err(CodeError::Contended)
}

/// Whether the statement waited until the deadline for another one with the same Idempotency-Key, and not for a table that
/// somebody has locked.
fn waited_for_key(error: &DatabaseError) -> bool {
    matches!(error, DatabaseError::Unavailable { last, .. }
        if last.kind == FailureKind::Cancelled && last.waited_for_row_of("idempotency_keys"))
}
