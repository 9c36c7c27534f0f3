//! Making a code.

use uuid::Uuid;

use super::code::StoredCode;
use super::consistency::ConsistencyToken;
use super::id::ShortId;
use super::input::NewCode;
use super::verdict::refusal;
use crate::error::PublicError;
use crate::http::{Caller, IdempotencyKey};
use crate::metrics::{self, Metric};
use tessera_postgres::Deadline;
use tessera_postgres::FailureKind;
use tessera_postgres::{Database, DatabaseError, Json, Type};
use tessera_postgres::{IdempotentBy, Statement};

/// Checks the caller and the Idempotency-Key, finds a free id, and makes the code.
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
    idempotent_by: IdempotentBy::RequestId("codes.created_by, idempotency_keys.request"),
};

/// Ids to try in one statement: that all are taken is unlikely even with thousands of millions of codes.
const CANDIDATES: usize = 4;
/// Times that another request may take an id between the look and the insert.
const RACES: usize = 5;

/// What came of it.
#[derive(Debug)]
pub struct Created {
    /// The code, as it was when it was made.
    pub code: StoredCode,
    /// Whether an earlier request with the same Idempotency-Key made it.
    pub replayed: bool,
    /// For reads that must see it.
    pub token: ConsistencyToken,
}

fn candidates(new: &NewCode) -> Vec<ShortId> {
    match &new.short_id {
        Some(id) => vec![id.clone()],
        None => std::iter::repeat_with(ShortId::generate).take(CANDIDATES).collect(),
    }
}

/// Makes `new` for `caller`. `request` is this request's own id: sent again, it finds what it made.
pub async fn create(
    database: &Database,
    caller: &Caller,
    new: &NewCode,
    key: Option<&IdempotencyKey>,
    request: Uuid,
    deadline: Deadline,
) -> Result<Created, PublicError> {
    let fingerprint = new.fingerprint();
    // The same ids after a lost race: it may have been lost to this very request, sent before.
    let mut ids = candidates(new);
    for _ in 0..RACES {
        let short_ids: Vec<&str> = ids.iter().map(ShortId::as_str).collect();
        let id_keys: Vec<String> = ids.iter().map(ShortId::key).collect();
        let answer = database
            .query_one(
                &CREATE,
                &[
                    &caller.key_hash(),
                    &caller.owner(),
                    &new.user_id,
                    &request,
                    &Json(&new.columns),
                    &key.map(IdempotencyKey::as_str),
                    &fingerprint.as_slice(),
                    &short_ids,
                    &id_keys,
                ],
                deadline,
            )
            .await;
        let row = match answer {
            Ok(row) => row,
            Err(DatabaseError::Constraint { constraint, .. }) if constraint == "codes_id_key" => continue,
            Err(DatabaseError::Unavailable { last, .. })
                if key.is_some() && last.kind == FailureKind::Cancelled =>
            {
                return Err(PublicError::StillRunning);
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
            verdict => return Err(refusal(verdict)),
        };
        if !replayed {
            metrics::count(Metric::Creates);
        }
        let Json::<StoredCode>(code) = row.get("code");
        let token = ConsistencyToken { code: code.id, edit: row.get("edit") };
        return Ok(Created { code, replayed, token });
    }
    tracing::error!("no free id found");
    Err(PublicError::Unavailable)
}
