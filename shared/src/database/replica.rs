//! Reading from a replica without ever being older than what the caller has seen.
//!
//! A write's answer carries a token that names the row it left in `code_versions`. A read that brings the token asks for
//! that row in its own statement, so it is checked in the very snapshot that the answer comes from; a log position would
//! be compared before or after it. It works wherever rows are replicated: standbys, Aurora, Neon, logical replication,
//! behind any pooler.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::statement::Statement;
use super::{Database, DatabaseError, Parameters, Row};
use crate::deadline::Deadline;

/// How long a read may wait for the replica, connecting included, before it goes to the primary.
const PATIENCE: Duration = Duration::from_secs(1);
/// After a failure the replica is left alone for this long: a dead one costs one request its patience, not each of them.
const REST: Duration = Duration::from_secs(10);

/// A write that reads must not be older than.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsistencyToken {
    /// The code that was written.
    pub code: i64,
    /// The request that wrote it.
    pub edit: Uuid,
}

/// Opaque to callers: 24 bytes in base64url.
impl fmt::Display for ConsistencyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.code.to_be_bytes()[..], self.edit.as_bytes()].concat();
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for ConsistencyToken {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(text).map_err(drop)?.try_into().map_err(drop)?;
        let (code, edit) = bytes.split_first_chunk().ok_or(())?;
        Ok(Self { code: i64::from_be_bytes(*code), edit: Uuid::from_slice(edit).map_err(drop)? })
    }
}

/// A read replica beside the primary.
pub(super) struct Replica {
    pub(super) database: Box<Database>,
    /// By the wall clock, which goes on while a container is frozen.
    failed_at: Mutex<Option<SystemTime>>,
}

impl Replica {
    pub(super) fn new(database: Database) -> Self {
        Self { database: Box::new(database), failed_at: Mutex::new(None) }
    }

    fn rests(&self) -> bool {
        let failed_at = *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        failed_at.and_then(|at| at.elapsed().ok()).is_some_and(|since| since < REST)
    }

    fn rest(&self) {
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(SystemTime::now());
    }
}

impl Database {
    /// Runs a read that answers with one row and its `verdict`: on the replica if there is one, and on the primary if
    /// that says anything but `ok`, is behind the caller's token, or does not answer soon. So nothing is missing,
    /// forbidden or out of date only because the replica has not heard of it.
    pub async fn read(
        &self,
        statement: &Statement,
        parameters: Parameters<'_>,
        deadline: Deadline,
    ) -> Result<Row, DatabaseError> {
        if let Some(replica) = self.replica.as_ref().filter(|replica| !replica.rests()) {
            match replica.database.query_one(statement, parameters, deadline.within(PATIENCE)).await {
                Ok(row) if row.get::<_, &str>("verdict") == "ok" => return Ok(row),
                Ok(_) => {}
                Err(error) => {
                    replica.rest();
                    tracing::warn!(error = %error, "database: replica left alone for a while");
                }
            }
        }
        self.query_one(statement, parameters, deadline).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_as_it_was_given() {
        let token = ConsistencyToken { code: 42, edit: Uuid::from_u128(7) };
        assert_eq!(token.to_string().parse(), Ok(token));
        for wrong in ["", "abc", "!", &"A".repeat(31), &"A".repeat(33)] {
            assert_eq!(wrong.parse::<ConsistencyToken>(), Err(()), "{wrong}");
        }
    }
}
