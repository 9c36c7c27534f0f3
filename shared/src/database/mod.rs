//! The one connection of a container: opened on first use, shared by concurrent requests, replaced when it is lost.
//!
//! This is the only module that talks to tokio-postgres, and only through `query_typed`, which sends the statement
//! unnamed, with its types, in one network round trip. Nothing here needs the session to remember anything, so any
//! server connection that a transaction pooler picks will do.

mod cancel;
#[cfg(feature = "migrations")]
pub mod direct;
mod endpoint;
mod failure;
mod line;
mod replica;
pub mod statement;
pub mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;
pub use tokio_postgres::Error as DriverError;
pub use tokio_postgres::Row;
pub use tokio_postgres::types::{Json, ToSql, Type};

use crate::config::{ConfigError, DatabaseConfig};
use crate::deadline::Deadline;
use crate::health::Diagnosis;
use crate::metrics::{self, Metric};
use crate::retry::{Backoff, Class};
use endpoint::Endpoints;
pub use failure::{DatabaseError, Failure};
use line::{Line, Stopped, Trust};
pub use replica::ConsistencyToken;
use replica::Replica;
use statement::Statement;
use tls::TrustStore;

/// Parameters of a statement, in order.
pub type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Further connections that a container may open for statements that hold up others. Only a container that takes
/// several requests at once (`AWS_LAMBDA_MAX_CONCURRENCY`) ever does.
const ASIDES: usize = 3;

/// A lazily opened, shared, self-healing connection.
pub struct Database {
    endpoints: Endpoints,
    /// The lock is held while connecting: ten requests that find no connection open one.
    line: Mutex<Option<Arc<Line>>>,
    asides: Arc<Semaphore>,
    /// Whether it has been connected, so that another connection is a second one.
    connected: AtomicBool,
    replica: Option<Replica>,
}

impl Database {
    /// Opens nothing yet. A connection string that is given is checked, and its TLS connector built.
    pub fn new(config: DatabaseConfig, trust: &Arc<TrustStore>) -> Result<Self, ConfigError> {
        Ok(Self::of(Endpoints::new(config, Arc::clone(trust))?))
    }

    /// With a replica to [`read`](Self::read) from.
    #[must_use]
    pub fn with_replica(mut self, replica: Option<Database>) -> Self {
        self.replica = replica.map(Replica::new);
        self
    }

    /// As [`new`](Self::new), but a connection string that is given is checked, and its TLS connector built, at first use:
    /// for a function that can answer without a database.
    #[must_use]
    pub fn late(config: DatabaseConfig, trust: &Arc<TrustStore>) -> Self {
        Self::of(Endpoints::late(config, Arc::clone(trust)))
    }

    fn of(endpoints: Endpoints) -> Self {
        let asides = Arc::new(Semaphore::new(ASIDES));
        Self { endpoints, line: Mutex::new(None), asides, connected: AtomicBool::new(false), replica: None }
    }

    /// Runs `statement`, connecting and trying again as often as `deadline` allows.
    ///
    /// Trying again is safe since every [`Statement`] is safe to send twice. Between tries it waits as
    /// [`Backoff`] says, but the first loss of a connection that had worked is answered at once by a new one.
    pub async fn query(
        &self,
        statement: &Statement,
        parameters: Parameters<'_>,
        deadline: Deadline,
    ) -> Result<Vec<Row>, DatabaseError> {
        let mut backoff = Backoff::default();
        let mut lost_once = false;
        loop {
            let begun = Instant::now();
            let failure = match self.attempt(statement, parameters, deadline).await {
                Ok(rows) => return Ok(rows),
                Err(failure) => failure,
            };
            match failure.class {
                Class::NamedStatement => {
                    metrics::count(Metric::PreparedStatementConflicts);
                    return Err(DatabaseError::rejected(statement, failure));
                }
                Class::Permanent => return Err(DatabaseError::rejected(statement, failure)),
                Class::Credentials if !self.endpoints.can_change() => {
                    return Err(DatabaseError::rejected(statement, failure));
                }
                _ => {}
            }
            let at_once = failure.of_reused_connection && !lost_once || failure.class == Class::Credentials;
            lost_once |= failure.of_reused_connection;
            let wait = if at_once { Duration::ZERO } else { backoff.next_wait() };
            let gives_up = wait >= deadline.left();
            if matches!(Diagnosis::of(&failure), Diagnosis::SlotsFull | Diagnosis::PoolerFull) {
                let until_next_try = if gives_up { Duration::ZERO } else { wait };
                waited_for_connection(begun.elapsed() + until_next_try);
            }
            if gives_up {
                return Err(DatabaseError::Unavailable { statement: statement.name, last: failure });
            }
            tracing::warn!(
                statement = statement.name,
                class = failure.class.as_str(),
                wait_ms = wait.as_millis(),
                error = %failure,
                "database: trying again"
            );
            metrics::count(Metric::Retries);
            if let Some(retries) = retries_of(failure.class) {
                metrics::count(retries);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// As [`query`](Self::query), for a statement that answers with exactly one row.
    pub async fn query_one(
        &self,
        statement: &Statement,
        parameters: Parameters<'_>,
        deadline: Deadline,
    ) -> Result<Row, DatabaseError> {
        let mut rows = self.query(statement, parameters, deadline).await?;
        match (rows.pop(), rows.is_empty()) {
            (Some(row), true) => Ok(row),
            _ => Err(DatabaseError::WrongShape { statement: statement.name }),
        }
    }

    /// Connects ahead of the first statement. A failure is logged and left to the first statement to deal with.
    pub async fn connect(&self, deadline: Deadline) {
        if let Err(failure) = self.line(deadline).await {
            tracing::warn!(error = %failure, "database: not connected ahead of the first request");
        }
    }

    /// Closes the connection and waits until the server has been told (`Terminate`).
    pub async fn close(&self) {
        if let Some(replica) = &self.replica {
            Box::pin(replica.database.close()).await;
        }
        let Some(line) = self.line.lock().await.take() else { return };
        if let Some(line) = Arc::into_inner(line) {
            line.close().await;
        }
    }

    /// One try: in line with the others; again in line if it was slow and the line is alive; on a connection of its own
    /// if it held up others.
    async fn attempt(
        &self,
        statement: &Statement,
        parameters: Parameters<'_>,
        deadline: Deadline,
    ) -> Result<Vec<Row>, Failure> {
        let (line, reused) = self.line(deadline).await?;
        let deadline = deadline.within(line.statement_timeout());
        let trust = if reused { line.trust() } else { Trust::Proven };
        let mut result = self.send(&line, statement, parameters, trust, deadline).await;
        if let Err(Stopped::Slow) = result {
            tracing::warn!(statement = statement.name, "database: slow, sent again");
            result = self.send(&line, statement, parameters, Trust::Proven, deadline).await;
        }
        let failure = match result {
            Ok(rows) => return Ok(rows),
            Err(Stopped::Crowding(permit)) => {
                return self.step_aside(statement, parameters, permit, deadline).await;
            }
            Err(Stopped::Slow) => Failure::timeout_of_running(),
            Err(Stopped::Failed(failure)) => failure,
        };
        if failure.class.ends_connection() {
            self.give_up(&line).await;
        }
        Err(failure.on_reused_connection(reused))
    }

    /// On a connection of its own, opened for this statement alone.
    async fn step_aside(
        &self,
        statement: &Statement,
        parameters: Parameters<'_>,
        permit: OwnedSemaphorePermit,
        deadline: Deadline,
    ) -> Result<Vec<Row>, Failure> {
        tracing::warn!(
            statement = statement.name,
            "database: held up others, sent again on its own connection"
        );
        let line = self.open(deadline).await?;
        let result = self.send(&line, statement, parameters, Trust::Proven, deadline).await;
        line.close().await;
        drop(permit);
        result.map_err(|stopped| match stopped {
            Stopped::Failed(failure) => failure,
            Stopped::Slow | Stopped::Crowding(_) => Failure::timeout_of_running(),
        })
    }

    async fn send(
        &self,
        line: &Line,
        statement: &Statement,
        parameters: Parameters<'_>,
        trust: Trust,
        deadline: Deadline,
    ) -> Result<Vec<Row>, Stopped> {
        metrics::count(Metric::RoundTrips);
        let begun = Instant::now();
        let result = line.run(statement, parameters, trust, &self.asides, deadline).await;
        metrics::add_time(Metric::StatementTime, begun.elapsed());
        result
    }

    /// The open connection, or a new one; and whether it had been used before.
    async fn line(&self, deadline: Deadline) -> Result<(Arc<Line>, bool), Failure> {
        let mut slot = match self.line.try_lock() {
            Ok(slot) => slot,
            Err(_) => {
                let begun = Instant::now();
                let slot = timeout_at(deadline.instant(), self.line.lock()).await;
                waited_for_connection(begun.elapsed());
                slot.map_err(|_| Failure::timeout_of_connecting())?
            }
        };
        if let Some(line) = slot.as_ref() {
            if line.is_usable() {
                return Ok((Arc::clone(line), true));
            }
            *slot = None;
        }
        let line = Arc::new(self.open(deadline).await?);
        *slot = Some(Arc::clone(&line));
        Ok((line, false))
    }

    async fn open(&self, deadline: Deadline) -> Result<Line, Failure> {
        let endpoint = self.endpoints.current(deadline).await?;
        let begun = Instant::now();
        let opened = Line::open(Arc::clone(&endpoint), deadline).await;
        match &opened {
            Ok(_) => {
                metrics::add_time(Metric::ConnectTime, begun.elapsed());
                metrics::count(Metric::ConnectionsOpened);
                if self.connected.swap(true, Ordering::Relaxed) {
                    metrics::count(Metric::Reconnects);
                }
                self.endpoints.accepted().await;
            }
            Err(failure) if failure.class == Class::Credentials => self.endpoints.refused(&endpoint).await,
            Err(_) => {}
        }
        opened
    }

    /// Lets go of `lost`, unless another request has replaced it already.
    async fn give_up(&self, lost: &Arc<Line>) {
        let mut slot = self.line.lock().await;
        if slot.as_ref().is_some_and(|line| Arc::ptr_eq(line, lost)) {
            *slot = None;
        }
    }
}

fn waited_for_connection(time: Duration) {
    metrics::count(Metric::PoolWaits);
    metrics::add_time(Metric::PoolWaitTime, time);
}

/// Where retries of a class are counted; none for what is never retried.
fn retries_of(class: Class) -> Option<Metric> {
    match class {
        Class::NeverRan => Some(Metric::RetriesNeverRan),
        Class::Busy => Some(Metric::RetriesBusy),
        Class::Undone => Some(Metric::RetriesUndone),
        Class::UndoneElsewhere => Some(Metric::RetriesUndoneElsewhere),
        Class::Unknown => Some(Metric::RetriesUnknown),
        Class::Credentials => Some(Metric::RetriesCredentials),
        Class::Cancelled => Some(Metric::RetriesCancelled),
        Class::NamedStatement | Class::Permanent => None,
    }
}
