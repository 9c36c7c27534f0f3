//! A connection that requests share: their statements are pipelined, and each is answered in its turn.
//!
//! PostgreSQL answers a connection's statements one after the other, so the oldest unanswered one holds up the others, and
//! a connection that died without a word holds up all. The request whose statement is the oldest looks after both: when
//! its answer does not come, it asks the server to cancel the statement. If the server obeys, the connection is alive and
//! the statement was slow; if it does not, the connection is dead. No ping is ever sent.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::{Client, Row};

use crate::deadline::Deadline;
use crate::endpoint::{ConnectionTask, Endpoint};
use crate::failure::Failure;
use crate::plans::function;
use crate::statement::{Parameters, Statement};

/// A connection idle for longer is not used again: gateways and load balancers drop idle sockets after about 350 s
/// without a word, and keepalives stop while a container is frozen.
const IDLE_LIMIT: Duration = Duration::from_mins(5);
/// A container idle for longer has probably been frozen, and its connection may be dead without knowing.
const FREEZE_SUSPECTED_AFTER: Duration = Duration::from_secs(2);
/// How long the first answer after such a pause is waited for: ten times what a statement takes, short enough to leave
/// a request that meets a dead connection within 1.5 s.
const PATIENCE_AFTER_FREEZE: Duration = Duration::from_millis(500);
/// How long an answer is waited for on a connection that was used a moment ago.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the oldest statement may hold up others before it is moved to an overflow connection.
const BLOCKING_PATIENCE: Duration = Duration::from_millis(400);
/// How often a request that waits looks at the state of the connection.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long closing may take: Lambda allows 500 ms after SIGTERM.
const CLOSE_PATIENCE: Duration = Duration::from_millis(300);

/// One connection and the statements on it.
pub(crate) struct Connection {
    client: Client,
    // Dropped after the client, whose end it waits for.
    task: ConnectionTask,
    endpoint: Arc<Endpoint>,
    pipeline: Mutex<Pipeline>,
}

/// Statements sent and answered: the oldest unanswered one is number `answered + 1`.
struct Pipeline {
    sent: u64,
    answered: u64,
    /// By the wall clock, which goes on while a container is frozen; the monotonic one may not.
    last_used: SystemTime,
    /// A request went without waiting for its answer: whose answer is next can no longer be told.
    abandoned: bool,
}

/// Why a statement has no rows.
pub(crate) enum RunError {
    /// It failed.
    Failed(Failure),
    /// It was cancelled since its answer did not come; the server obeyed, so the connection is alive.
    Slow,
    /// There is no function that keeps its plan; nothing was done.
    PlanMissing,
    /// It was cancelled since it held up others. The permit is for an overflow connection.
    BlockingOthers(OwnedSemaphorePermit),
}

/// How a statement is put to the server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Its text, which the server plans.
    Text,
    /// A call of the function that keeps its plan.
    Call,
}

/// Why a request waits no longer.
enum WaitEnded {
    Deadline,
    Slow,
    BlockingOthers(OwnedSemaphorePermit),
}

/// How long to wait for an answer before the connection is suspected to be dead.
#[derive(Clone, Copy)]
pub(crate) enum ResponsePatience {
    /// The connection was seen alive: wait as long as the statement may take.
    UntilDeadline,
    /// The connection may have died unnoticed: wait this long.
    AtMost(Duration),
}

impl RunError {
    fn new(form: Form, error: tokio_postgres::Error) -> Self {
        if form == Form::Call && Failure::is_undefined_function(&error) {
            return Self::PlanMissing;
        }
        Self::Failed(Failure::running(error))
    }
}

impl Connection {
    /// Opens a connection.
    pub(crate) async fn open(endpoint: Arc<Endpoint>, deadline: Deadline) -> Result<Self, Failure> {
        let (client, task) = endpoint.connect(deadline).await?;
        let pipeline = Pipeline { sent: 0, answered: 0, last_used: SystemTime::now(), abandoned: false };
        Ok(Self { client, task, endpoint, pipeline: Mutex::new(pipeline) })
    }

    /// Whether another statement may be sent on it.
    pub(crate) fn is_usable(&self) -> bool {
        !self.client.is_closed() && !self.pipeline().abandoned && self.idle() < IDLE_LIMIT
    }

    /// How long to wait for the next answer before the connection is suspected to be dead.
    pub(crate) fn patience(&self) -> ResponsePatience {
        ResponsePatience::AtMost(if self.idle() > FREEZE_SUSPECTED_AFTER {
            PATIENCE_AFTER_FREEZE
        } else {
            PATIENCE
        })
    }

    /// Whether a pooler is in between, whose sessions have probably served others before.
    pub(crate) fn is_pooled(&self) -> bool {
        self.endpoint.pooled
    }

    /// How long one statement may take.
    pub(crate) fn statement_timeout(&self) -> Duration {
        self.endpoint.statement_timeout
    }

    /// Sends `statement` and waits for its rows. `overflow` has a permit for each further connection that may be opened.
    pub(crate) async fn run(
        &self,
        statement: &Statement,
        form: Form,
        parameters: Parameters<'_>,
        patience: ResponsePatience,
        overflow: &Arc<Semaphore>,
        deadline: Deadline,
    ) -> Result<Vec<Row>, RunError> {
        debug_assert_eq!(statement.parameters.len(), parameters.len(), "{}", statement.name);
        let typed: Vec<_> = parameters.iter().copied().zip(statement.parameters.iter().cloned()).collect();
        let text = match form {
            Form::Text => Cow::Borrowed(statement.sql),
            Form::Call => Cow::Owned(function::call(statement)),
        };
        let place = self.enqueue();
        let mut query = std::pin::pin!(self.client.query_typed(&text, &typed));
        // Polls are counted, not time alone: a process that is short of CPU time is late itself, and must not blame the
        // server.
        let mut polls = 0;
        let ended = loop {
            let next_poll = deadline.instant().min(Instant::now() + POLL_INTERVAL);
            if let Ok(result) = timeout_at(next_poll, &mut query).await {
                place.complete();
                return result.map_err(|error| RunError::new(form, error));
            }
            polls += u32::from(place.is_oldest());
            if let Some(ended) = place.wait_ended(POLL_INTERVAL * polls, patience, overflow, deadline) {
                break ended;
            }
        };
        // Only the oldest may be cancelled: behind it, the server would stop a neighbour's statement.
        let oldest = place.is_oldest();
        if oldest {
            self.cancel(deadline).await;
        }
        let Ok(result) = timeout(deadline.cancel_patience(), query).await else {
            if oldest {
                // Everybody on a dead connection is told, and asks again on a new one.
                self.task.abort();
            }
            return Err(RunError::Failed(Failure::response_timeout()));
        };
        place.complete();
        let error = match result {
            Ok(rows) => return Ok(rows),
            Err(error) => error,
        };
        match ended {
            WaitEnded::Slow if Failure::is_cancellation(&error) => Err(RunError::Slow),
            WaitEnded::BlockingOthers(permit) if Failure::is_cancellation(&error) => {
                Err(RunError::BlockingOthers(permit))
            }
            _ => Err(RunError::new(form, error)),
        }
    }

    /// Asks the server to stop what it runs, over a connection of its own. A lost request is no loss.
    async fn cancel(&self, deadline: Deadline) {
        let cancel = self.endpoint.cancel(self.client.cancel_token());
        match timeout(deadline.cancel_patience(), cancel).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = %Failure::connecting(error), "database: could not cancel");
            }
            Err(_) => tracing::warn!("database: could not cancel in time"),
        }
    }

    /// Closes the connection and waits until the server has been told (`Terminate`).
    pub(crate) async fn close(self) {
        let Self { client, mut task, .. } = self;
        drop(client);
        if timeout(CLOSE_PATIENCE, task.ended()).await.is_err() {
            tracing::warn!("database: the connection did not close in time");
        }
    }

    /// A clock that was set back makes it old: better a new connection than a dead one.
    fn idle(&self) -> Duration {
        self.pipeline().last_used.elapsed().unwrap_or(IDLE_LIMIT)
    }

    fn enqueue(&self) -> PipelinePlace<'_> {
        let mut pipeline = self.pipeline();
        pipeline.last_used = SystemTime::now();
        pipeline.sent += 1;
        PipelinePlace { connection: self, number: pipeline.sent, completed: false }
    }

    fn pipeline(&self) -> MutexGuard<'_, Pipeline> {
        self.pipeline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A statement's place in the pipeline.
struct PipelinePlace<'a> {
    connection: &'a Connection,
    number: u64,
    completed: bool,
}

impl PipelinePlace<'_> {
    fn is_oldest(&self) -> bool {
        self.connection.pipeline().answered + 1 == self.number
    }

    /// Whether to wait no longer, having waited this long as the oldest.
    fn wait_ended(
        &self,
        waited: Duration,
        patience: ResponsePatience,
        overflow: &Arc<Semaphore>,
        deadline: Deadline,
    ) -> Option<WaitEnded> {
        if deadline.left().is_zero() {
            return Some(WaitEnded::Deadline);
        }
        let pipeline = self.connection.pipeline();
        if pipeline.answered + 1 != self.number {
            return None;
        }
        if pipeline.sent > self.number
            && waited >= BLOCKING_PATIENCE
            && let Ok(permit) = Arc::clone(overflow).try_acquire_owned()
        {
            return Some(WaitEnded::BlockingOthers(permit));
        }
        matches!(patience, ResponsePatience::AtMost(limit) if waited >= limit).then_some(WaitEnded::Slow)
    }

    /// The answer is there: the next statement is the oldest.
    fn complete(mut self) {
        self.completed = true;
        let mut pipeline = self.connection.pipeline();
        pipeline.answered += 1;
        pipeline.last_used = SystemTime::now();
    }
}

impl Drop for PipelinePlace<'_> {
    fn drop(&mut self) {
        if !self.completed {
            self.connection.pipeline().abandoned = true;
        }
    }
}
