//! Reads from a replica first, where there is one.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio_postgres::Row;

use super::{Database, only};
use crate::deadline::Deadline;
use crate::failure::DatabaseError;
use crate::statement::{Parameters, Statement};

/// How long a read may take on the replica, including connecting, before it goes to the primary.
const READ_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a replica is not used after a failure, so that a dead one delays one request instead of each.
const SUSPENSION: Duration = Duration::from_secs(10);

/// A read replica of the primary.
pub(super) struct Replica {
    pub(super) database: Box<Database>,
    /// When it last failed, by the wall clock, which goes on while a container is frozen.
    failed_at: Mutex<Option<SystemTime>>,
}

impl Replica {
    pub(super) fn new(database: Database) -> Self {
        Self { database: Box::new(database), failed_at: Mutex::new(None) }
    }

    fn is_suspended(&self) -> bool {
        let failed_at = *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        failed_at.and_then(|at| at.elapsed().ok()).is_some_and(|since| since < SUSPENSION)
    }

    fn suspend(&self) {
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(SystemTime::now());
    }
}

impl Database {
    /// Runs a read: on the replica if there is one, and on the primary if `accept` refuses the replica's rows, or if the
    /// replica fails or does not respond within a second. So nothing is missing or out of date only because the replica is
    /// behind.
    pub async fn read(
        &self,
        statement: &Statement,
        parameters: Parameters<'_>,
        accept: impl Fn(&[Row]) -> bool,
        deadline: Deadline,
    ) -> Result<Vec<Row>, DatabaseError> {
        if let Some(replica) = self.replica.as_ref().filter(|replica| !replica.is_suspended()) {
            match replica.database.query(statement, parameters, deadline.within(READ_TIMEOUT)).await {
                Ok(rows) if accept(&rows) => return Ok(rows),
                Ok(_) => {}
                Err(error) => {
                    replica.suspend();
                    tracing::warn!(%error, "database: replica left alone for a while");
                }
            }
        }
        self.query(statement, parameters, deadline).await
    }

    /// As [`read`](Self::read), for a statement that answers with exactly one row.
    pub async fn read_one(
        &self,
        statement: &Statement,
        parameters: Parameters<'_>,
        accept: impl Fn(&Row) -> bool,
        deadline: Deadline,
    ) -> Result<Row, DatabaseError> {
        let accept = |rows: &[Row]| matches!(rows, [row] if accept(row));
        only(statement, self.read(statement, parameters, accept, deadline).await?)
    }
}
