//! The one connection of a container, which is opened at its first use, shared by concurrent requests, and replaced
//! when it is lost.

mod replica;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;
use tokio_postgres::Row;

use crate::config::{ConfigError, DatabaseConfig};
use crate::connection::{Connection, Form, ResponsePatience, RunError};
use crate::deadline::Deadline;
use crate::endpoint::EndpointResolver;
use crate::failure::{DatabaseError, Failure, FailureKind};
use crate::observer::{Event, Observer};
use crate::plans::calls::PlanCalls;
use crate::plans::missing::MissingPlans;
use crate::retry::Backoff;
use crate::statement::{Parameters, Plan, Statement};
use crate::tls::TrustStore;
use replica::Replica;

/// The most overflow connections, which are opened for statements that hold up others. Only a process that serves
/// several requests at once opens any.
const MAX_OVERFLOW_CONNECTIONS: usize = 3;

/// How often a statement is sent again in one request after a fault of the server's own: enough for what passes in a
/// moment, and not so often that a caller waits for a disk that stays full.
const MAX_FAULT_RETRIES: u32 = 2;

/// A database, by one connection that requests share.
pub struct Database {
    endpoints: EndpointResolver,
    observer: Observer,
    /// Locked while connecting, so that concurrent requests without a connection open one together.
    connection: Mutex<Option<Arc<Connection>>>,
    /// A permit for each overflow connection that may still be opened.
    overflow: Arc<Semaphore>,
    /// Whether a connection has been opened before, so that the next is a replacement.
    connected: AtomicBool,
    replica: Option<Replica>,
    missing_plans: MissingPlans,
    plan_calls: PlanCalls,
}

impl Database {
    /// Configures a database without connecting to it. A connection string from the environment is parsed at once, and
    /// its TLS connector built; a secret is read at the first use. Fails if the connection string cannot be used.
    pub fn new(config: DatabaseConfig, trust: &Arc<TrustStore>) -> Result<Self, ConfigError> {
        let observer = config.observer;
        Ok(Self::from_endpoints(EndpointResolver::new(config, Arc::clone(trust))?, observer))
    }

    /// Adds a replica, from which [`read`](Self::read) reads first.
    #[must_use]
    pub fn with_replica(mut self, replica: Option<Database>) -> Self {
        self.replica = replica.map(Replica::new);
        self
    }

    /// Configures a database as [`new`](Self::new) does, but parses the connection string and builds the TLS connector
    /// only at the first use, for functions that can answer without a database.
    #[must_use]
    pub fn lazy(config: DatabaseConfig, trust: &Arc<TrustStore>) -> Self {
        let observer = config.observer;
        Self::from_endpoints(EndpointResolver::lazy(config, Arc::clone(trust)), observer)
    }

    fn from_endpoints(endpoints: EndpointResolver, observer: Observer) -> Self {
        Self {
            endpoints,
            observer,
            connection: Mutex::new(None),
            overflow: Arc::new(Semaphore::new(MAX_OVERFLOW_CONNECTIONS)),
            connected: AtomicBool::new(false),
            replica: None,
            missing_plans: MissingPlans::default(),
            plan_calls: PlanCalls::default(),
        }
    }

    /// Runs `statement`, and connects and retries as often as `deadline` allows.
    ///
    /// Retrying is safe because every [`Statement`] is safe to send twice. Between tries it waits as [`Backoff`] says,
    /// but the first loss of a connection that had worked is followed at once by a new connection.
    pub async fn query(
        &self,
        statement: &Statement,
        parameters: Parameters<'_>,
        deadline: Deadline,
    ) -> Result<Vec<Row>, DatabaseError> {
        let mut backoff = Backoff::default();
        let mut lost_once = false;
        let mut faults = 0;
        let mut informative: Option<Failure> = None;
        loop {
            let begun = Instant::now();
            let failure = match self.attempt(statement, parameters, deadline).await {
                Ok(rows) if statement.describes(&rows) => return Ok(rows),
                Ok(_) => return Err(DatabaseError::WrongShape { statement: statement.name }),
                Err(failure) => failure,
            };
            match failure.kind {
                FailureKind::NamedStatement => {
                    (self.observer)(Event::NamedStatementConflict);
                    return Err(DatabaseError::rejected(statement, failure));
                }
                FailureKind::Permanent => return Err(DatabaseError::rejected(statement, failure)),
                FailureKind::Credentials if !self.endpoints.can_refresh() => {
                    return Err(DatabaseError::rejected(statement, failure));
                }
                _ => {}
            }
            let at_once =
                failure.on_reused_connection && !lost_once || failure.kind == FailureKind::Credentials;
            lost_once |= failure.on_reused_connection;
            let wait = if at_once { Duration::ZERO } else { backoff.next_wait() };
            faults += u32::from(failure.kind == FailureKind::ServerFault);
            let gives_up = faults > MAX_FAULT_RETRIES || wait >= deadline.left();
            if failure.diagnosis().is_lack_of_connections() {
                let until_next_try = if gives_up { Duration::ZERO } else { wait };
                self.waited_for_connection(begun.elapsed() + until_next_try);
            }
            if gives_up {
                // The deadline may have cut the last try short, so the failure of the one before says more.
                let last = informative.filter(|_| failure.is_timeout()).unwrap_or(failure);
                return Err(DatabaseError::Unavailable { statement: statement.name, last });
            }
            tracing::warn!(
                statement = statement.name,
                kind = failure.kind.as_str(),
                wait_ms = wait.as_millis(),
                error = %failure,
                "database: trying again"
            );
            (self.observer)(Event::Retried { kind: failure.kind });
            if !failure.is_timeout() {
                informative = Some(failure);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Runs `statement` as [`query`](Self::query) does, and returns its row. Fails if the statement returns any other
    /// number of rows.
    pub async fn query_one(
        &self,
        statement: &Statement,
        parameters: Parameters<'_>,
        deadline: Deadline,
    ) -> Result<Row, DatabaseError> {
        only(statement, self.query(statement, parameters, deadline).await?)
    }

    /// Connects ahead of the first statement. A failure is only logged, since the first statement connects again.
    pub async fn connect(&self, deadline: Deadline) {
        if let Err(failure) = self.connection(deadline).await {
            tracing::warn!(error = %failure, "database: not connected ahead of the first request");
        }
    }

    /// Closes the connection, and that of the replica, and waits until the server has got the message `Terminate`.
    pub async fn close(&self) {
        if let Some(replica) = &self.replica {
            Box::pin(replica.database.close()).await;
        }
        let Some(connection) = self.connection.lock().await.take() else { return };
        if let Some(connection) = Arc::into_inner(connection) {
            connection.close().await;
        }
    }

    /// Makes one try: on the shared connection; on it again if the response was slow and the connection is alive; or on
    /// an overflow connection if the statement held up others.
    async fn attempt(
        &self,
        statement: &Statement,
        parameters: Parameters<'_>,
        deadline: Deadline,
    ) -> Result<Vec<Row>, Failure> {
        let (connection, reused) = self.connection(deadline).await?;
        let deadline = deadline.within(connection.statement_timeout());
        let patience = if reused { connection.patience(statement) } else { ResponsePatience::UntilDeadline };
        let form = self.form(statement, &connection, reused);
        let mut result = self.send(&connection, statement, &form, parameters, patience, deadline).await;
        if let Err(RunError::Slow) = result {
            tracing::warn!(statement = statement.name, "database: slow, sent again");
            let patience = ResponsePatience::UntilDeadline;
            result = self.send(&connection, statement, &form, parameters, patience, deadline).await;
        }
        let failure = match result {
            Ok(rows) => return Ok(rows),
            Err(RunError::BlockingOthers(permit)) => {
                return self.run_on_overflow(statement, parameters, permit, deadline).await;
            }
            Err(RunError::Slow | RunError::PlanMissing) => Failure::response_timeout(),
            Err(RunError::Failed(failure)) => failure,
        };
        if failure.kind.ends_connection() {
            self.discard(&connection).await;
        }
        Err(failure.with_reused_connection(reused))
    }

    /// Runs a statement on an overflow connection, which is opened for this statement only.
    async fn run_on_overflow(
        &self,
        statement: &Statement,
        parameters: Parameters<'_>,
        permit: OwnedSemaphorePermit,
        deadline: Deadline,
    ) -> Result<Vec<Row>, Failure> {
        tracing::warn!(
            statement = statement.name,
            "database: held up others, sent again on an overflow connection"
        );
        let connection = self.open(deadline).await?;
        let form = self.form(statement, &connection, false);
        let patience = ResponsePatience::UntilDeadline;
        let result = self.send(&connection, statement, &form, parameters, patience, deadline).await;
        connection.close().await;
        drop(permit);
        result.map_err(|error| match error {
            RunError::Failed(failure) => failure,
            RunError::Slow | RunError::PlanMissing | RunError::BlockingOthers(_) => {
                Failure::response_timeout()
            }
        })
    }

    /// What to send: a call of the function that keeps the plan, if there is one, or the text. The first statement of a
    /// new session that no pooler shares is sent as text, since loading and compiling the function would take longer than
    /// planning once.
    fn form(&self, statement: &Statement, connection: &Connection, reused: bool) -> Form {
        let kept = statement.plan == Plan::Kept && !self.missing_plans.contains(statement);
        if kept && (reused || connection.is_pooled()) {
            Form::Call(self.plan_calls.get(statement))
        } else {
            Form::Text
        }
    }

    /// Sends the statement once; a second time, as text, if there is no function that keeps its plan.
    async fn send(
        &self,
        connection: &Connection,
        statement: &Statement,
        form: &Form,
        parameters: Parameters<'_>,
        patience: ResponsePatience,
        deadline: Deadline,
    ) -> Result<Vec<Row>, RunError> {
        let result = self.send_once(connection, statement, form, parameters, patience, deadline).await;
        if !matches!(result, Err(RunError::PlanMissing)) {
            return result;
        }
        self.missing_plans.record(statement);
        self.send_once(connection, statement, &Form::Text, parameters, patience, deadline).await
    }

    async fn send_once(
        &self,
        connection: &Connection,
        statement: &Statement,
        form: &Form,
        parameters: Parameters<'_>,
        patience: ResponsePatience,
        deadline: Deadline,
    ) -> Result<Vec<Row>, RunError> {
        (self.observer)(Event::StatementSent);
        let begun = Instant::now();
        let result = connection.run(statement, form, parameters, patience, &self.overflow, deadline).await;
        (self.observer)(Event::StatementAnswered { took: begun.elapsed() });
        result
    }

    /// Returns the shared connection, opened if need be, and whether it had been used before.
    async fn connection(&self, deadline: Deadline) -> Result<(Arc<Connection>, bool), Failure> {
        let mut slot = match self.connection.try_lock() {
            Ok(slot) => slot,
            Err(_) => {
                let begun = Instant::now();
                let slot = timeout_at(deadline.instant(), self.connection.lock()).await;
                self.waited_for_connection(begun.elapsed());
                slot.map_err(|_| Failure::connect_timeout())?
            }
        };
        if let Some(connection) = slot.as_ref() {
            if connection.is_usable() {
                return Ok((Arc::clone(connection), true));
            }
            *slot = None;
        }
        let connection = Arc::new(self.open(deadline).await?);
        *slot = Some(Arc::clone(&connection));
        Ok((connection, false))
    }

    async fn open(&self, deadline: Deadline) -> Result<Connection, Failure> {
        let endpoint = self.endpoints.resolve(deadline).await?;
        let begun = Instant::now();
        let opened = Connection::open(Arc::clone(&endpoint), deadline).await;
        match &opened {
            Ok(_) => {
                let replacement = self.connected.swap(true, Ordering::Relaxed);
                (self.observer)(Event::Connected { took: begun.elapsed(), replacement });
                self.endpoints.credentials_accepted().await;
            }
            Err(failure) if failure.kind == FailureKind::Credentials => {
                self.endpoints.credentials_refused(&endpoint).await;
            }
            Err(_) => {}
        }
        opened
    }

    /// Drops the connection `lost`, unless another request has replaced it already.
    async fn discard(&self, lost: &Arc<Connection>) {
        let mut slot = self.connection.lock().await;
        if slot.as_ref().is_some_and(|connection| Arc::ptr_eq(connection, lost)) {
            *slot = None;
        }
    }

    fn waited_for_connection(&self, waited: Duration) {
        (self.observer)(Event::WaitedForConnection { waited });
    }
}

/// The one row of an answer that has exactly one.
fn only(statement: &Statement, mut rows: Vec<Row>) -> Result<Row, DatabaseError> {
    match (rows.pop(), rows.is_empty()) {
        (Some(row), true) => Ok(row),
        _ => Err(DatabaseError::WrongShape { statement: statement.name }),
    }
}
