//! The one connection of a container: opened on first use, shared by concurrent requests, replaced when it is lost.
//!
//! This is the only module that talks to tokio-postgres, and only through `query_typed`, which sends the statement
//! unnamed, with its types, in one network round trip. Nothing here needs the session to remember anything, so any
//! server connection that a transaction pooler picks will do.

#[cfg(feature = "migrations")]
pub mod direct;
mod endpoint;
mod failure;
mod replica;
pub mod statement;
pub mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
pub use tokio_postgres::Row;
pub use tokio_postgres::types::{Json, ToSql, Type};

use crate::config::{ConfigError, DatabaseConfig};
use crate::deadline::Deadline;
use crate::retry::{Backoff, Class};
use endpoint::{Endpoint, Endpoints};
pub use failure::{DatabaseError, Failure};
pub use replica::ConsistencyToken;
use replica::Replica;
use statement::Statement;
use tls::TrustStore;

/// Parameters of a statement, in order.
pub type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection idle for longer is not used again: gateways and load balancers drop idle sockets after about 350 s
/// without a word, and keepalives stop while a container is frozen.
const IDLE_LIMIT: Duration = Duration::from_mins(5);
/// A connection idle for longer may be dead without knowing: its first answer is waited for only `DOUBT_PATIENCE`.
const DOUBT_AFTER: Duration = Duration::from_secs(30);
/// Long enough for an answer over any network in use, short enough to be worth a new connection.
const DOUBT_PATIENCE: Duration = Duration::from_secs(1);
/// How long a server may take to obey a cancel request before the connection is given up.
const CANCEL_PATIENCE: Duration = Duration::from_millis(300);
/// How long closing may take: Lambda allows 500 ms after SIGTERM.
const CLOSE_PATIENCE: Duration = Duration::from_millis(300);

/// A lazily opened, shared, self-healing connection.
pub struct Database {
    endpoints: Endpoints,
    /// The lock is held while connecting: ten requests that find no connection open one.
    open: Mutex<Option<Arc<Open>>>,
    counters: Counters,
    replica: Option<Replica>,
}

/// Counted since the container started.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections opened.
    pub connects: AtomicU64,
    /// Statements sent, each one network round trip.
    pub round_trips: AtomicU64,
    /// Statements sent again.
    pub retries: AtomicU64,
    /// 42P05 and 26000: named statements that slipped through a pooler.
    pub named_statement_conflicts: AtomicU64,
}

struct Open {
    client: Client,
    task: JoinHandle<()>,
    endpoint: Arc<Endpoint>,
    last_used_ms: AtomicU64,
    /// Statements handed over and answered: the one at the head of the line is number `answered + 1`.
    sent: AtomicU64,
    answered: AtomicU64,
}

impl Open {
    /// By the wall clock, which goes on while a container is frozen; the monotonic one may not.
    fn idle(&self) -> Duration {
        Duration::from_millis(now_ms().saturating_sub(self.last_used_ms.load(Ordering::Relaxed)))
    }
}

impl Database {
    /// Opens nothing yet. A connection string that is given is checked, and its TLS connector built.
    pub fn new(config: DatabaseConfig, trust: &Arc<TrustStore>) -> Result<Self, ConfigError> {
        let endpoints = Endpoints::new(config, Arc::clone(trust))?;
        Ok(Self { endpoints, open: Mutex::new(None), counters: Counters::default(), replica: None })
    }

    /// With a replica to [`read`](Self::read) from.
    #[must_use]
    pub fn with_replica(mut self, replica: Option<Database>) -> Self {
        self.replica = replica.map(Replica::new);
        self
    }

    /// What was counted since the container started.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
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
        let mut credentials_reread = false;
        let mut lost_once = false;
        loop {
            let failure = match self.attempt(statement, parameters, deadline).await {
                Ok(rows) => return Ok(rows),
                Err(failure) => failure,
            };
            match failure.class {
                Class::NamedStatement => {
                    self.counters.named_statement_conflicts.fetch_add(1, Ordering::Relaxed);
                    return Err(DatabaseError::rejected(statement, failure));
                }
                Class::Permanent => return Err(DatabaseError::rejected(statement, failure)),
                Class::Credentials if credentials_reread || !self.endpoints.can_change() => {
                    return Err(DatabaseError::rejected(statement, failure));
                }
                Class::Credentials => {
                    credentials_reread = true;
                    self.endpoints.forget().await;
                }
                _ => {}
            }
            let at_once = failure.of_reused_connection && !lost_once || failure.class == Class::Credentials;
            lost_once |= failure.of_reused_connection;
            let wait = if at_once { Duration::ZERO } else { backoff.next_wait() };
            if wait >= deadline.left() {
                return Err(DatabaseError::Unavailable { statement: statement.name, last: failure });
            }
            tracing::warn!(
                statement = statement.name,
                class = failure.class.as_str(),
                wait_ms = wait.as_millis(),
                error = %failure,
                "database: trying again"
            );
            self.counters.retries.fetch_add(1, Ordering::Relaxed);
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
        if let Err(failure) = self.connection(deadline).await {
            tracing::warn!(error = %failure, "database: not connected ahead of the first request");
        }
    }

    /// Closes the connection and waits until the server has been told (`Terminate`).
    pub async fn close(&self) {
        if let Some(replica) = &self.replica {
            Box::pin(replica.database.close()).await;
        }
        let Some(open) = self.open.lock().await.take() else { return };
        let Some(Open { client, task, .. }) = Arc::into_inner(open) else { return };
        drop(client);
        if tokio::time::timeout(CLOSE_PATIENCE, task).await.is_err() {
            tracing::warn!("database: the connection did not close in time");
        }
    }

    async fn attempt(
        &self,
        statement: &Statement,
        parameters: Parameters<'_>,
        deadline: Deadline,
    ) -> Result<Vec<Row>, Failure> {
        let (open, reused) = self.connection(deadline).await?;
        let in_doubt = reused && open.idle() > DOUBT_AFTER;
        let deadline = deadline.within(open.endpoint.statement_timeout);
        let patience = if in_doubt { deadline.within(DOUBT_PATIENCE) } else { deadline };

        let result = self.run(&open, statement, parameters, patience).await;
        if let Err(failure) = &result
            && failure.class.ends_connection()
        {
            self.give_up(&open).await;
        }
        result.map_err(|failure| failure.on_reused_connection(reused))
    }

    async fn run(
        &self,
        open: &Open,
        statement: &Statement,
        parameters: Parameters<'_>,
        deadline: Deadline,
    ) -> Result<Vec<Row>, Failure> {
        debug_assert_eq!(statement.parameters.len(), parameters.len(), "{}", statement.name);
        let typed: Vec<_> = parameters.iter().copied().zip(statement.parameters.iter().cloned()).collect();
        let place = open.sent.fetch_add(1, Ordering::Relaxed) + 1;
        open.last_used_ms.store(now_ms(), Ordering::Relaxed);
        self.counters.round_trips.fetch_add(1, Ordering::Relaxed);

        let mut query = std::pin::pin!(open.client.query_typed(statement.sql, &typed));
        let result = match tokio::time::timeout_at(deadline.instant(), &mut query).await {
            Ok(result) => result,
            Err(_) => {
                // Only the head of the line may be cancelled; behind it, the server would stop a neighbour's statement.
                if open.answered.load(Ordering::Relaxed) + 1 == place {
                    Self::cancel(open).await;
                }
                let Ok(late) = tokio::time::timeout(CANCEL_PATIENCE, query).await else {
                    return Err(Failure::timeout_of_running());
                };
                late
            }
        };
        open.answered.fetch_add(1, Ordering::Relaxed);
        open.last_used_ms.store(now_ms(), Ordering::Relaxed);
        result.map_err(Failure::of_running)
    }

    /// Asks the server to stop what it runs, over a connection of its own. A lost request is no loss.
    async fn cancel(open: &Open) {
        let cancel = open.endpoint.cancel(open.client.cancel_token());
        match tokio::time::timeout(CANCEL_PATIENCE, cancel).await {
            Ok(Ok(())) => tracing::warn!("database: statement cancelled at its deadline"),
            Ok(Err(error)) => {
                tracing::warn!(error = %Failure::of_connecting(error), "database: could not cancel");
            }
            Err(_) => tracing::warn!("database: could not cancel in time"),
        }
    }

    /// The open connection, or a new one; and whether it had been used before.
    async fn connection(&self, deadline: Deadline) -> Result<(Arc<Open>, bool), Failure> {
        let Ok(mut slot) = tokio::time::timeout_at(deadline.instant(), self.open.lock()).await else {
            return Err(Failure::timeout_of_connecting());
        };
        if let Some(open) = slot.as_ref() {
            if !open.client.is_closed() && open.idle() < IDLE_LIMIT {
                return Ok((Arc::clone(open), true));
            }
            *slot = None;
        }
        let open = Arc::new(self.open(deadline).await?);
        *slot = Some(Arc::clone(&open));
        Ok((open, false))
    }

    async fn open(&self, deadline: Deadline) -> Result<Open, Failure> {
        let endpoint = self.endpoints.current(deadline).await?;
        let (client, task) = endpoint.connect(deadline).await?;
        self.counters.connects.fetch_add(1, Ordering::Relaxed);
        Ok(Open {
            client,
            task,
            endpoint,
            last_used_ms: AtomicU64::new(now_ms()),
            sent: AtomicU64::new(0),
            answered: AtomicU64::new(0),
        })
    }

    /// Lets go of `lost`, unless another request has replaced it already.
    async fn give_up(&self, lost: &Arc<Open>) {
        let mut slot = self.open.lock().await;
        if slot.as_ref().is_some_and(|open| Arc::ptr_eq(open, lost)) {
            *slot = None;
        }
    }
}

fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}
