//! A connection that requests share: their statements are pipelined.
//!
//! PostgreSQL answers a connection's statements one after the other, so the oldest unanswered one holds up the others,
//! and a connection that was lost unnoticed holds up all. The request whose statement is the oldest watches for both:
//! if no response comes, it asks the server to cancel the statement. If the server does, the connection is alive and
//! the statement was slow; if it does not, the connection is dead. No ping is ever sent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::{Client, Row};

use crate::deadline::Deadline;
use crate::endpoint::{ConnectionTask, Endpoint};
use crate::failure::Failure;
use crate::statement::{Parameters, Statement};

/// How long a connection may be idle before it is not used again. Gateways and load balancers drop idle connections
/// silently after about 350 s, and no keepalives are sent while a container is frozen.
const IDLE_LIMIT: Duration = Duration::from_mins(5);
/// How long a connection may be idle before the container has probably been frozen, and the connection may be dead
/// unnoticed.
const FREEZE_SUSPECTED_AFTER: Duration = Duration::from_secs(2);
/// How long to wait for the first response after a probable freeze: ten times what a statement takes, and short enough
/// that a request on a dead connection is answered within 1.5 s.
const PATIENCE_AFTER_FREEZE: Duration = Duration::from_millis(500);
/// How long to wait for a response on a connection that was used a moment ago.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the oldest statement may hold up others before it is moved to an overflow connection.
const BLOCKING_PATIENCE: Duration = Duration::from_millis(400);
/// How often a waiting request checks the state of the connection.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long closing may take. Lambda allows 500 ms after SIGTERM
/// (<https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html>).
const CLOSE_PATIENCE: Duration = Duration::from_millis(300);

/// A connection, and the statements that are in flight on it.
pub(crate) struct Connection {
    client: Client,
    // Dropped after the client, since the task ends when the client is gone.
    task: ConnectionTask,
    endpoint: Arc<Endpoint>,
    pipeline: Mutex<Pipeline>,
}

/// Counts the statements that were sent and answered. The oldest unanswered one has the number `answered + 1`.
struct Pipeline {
    sent: u64,
    answered: u64,
    /// When a statement was last sent or answered, by the wall clock, since the monotonic clock may stop while a
    /// container is frozen.
    last_used: SystemTime,
    /// Whether a request was dropped before its response, so that it is no longer known whose response comes next.
    abandoned: bool,
}

/// Why a statement has returned no rows.
pub(crate) enum RunError {
    /// The statement, or the connection, failed.
    Failed(Failure),
    /// The statement was cancelled because no response came. The server did cancel it, so the connection is alive.
    Slow,
    /// There is no function that keeps the statement's plan, or none that this role may call; nothing was done.
    PlanMissing,
    /// The statement was cancelled because it held up others. The permit is for an overflow connection.
    BlockingOthers(OwnedSemaphorePermit),
}

/// The form in which a statement is sent.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// Its text, which the server plans.
    Text,
    /// This call of the function that keeps its plan.
    Call(Arc<str>),
}

/// Why a request stops waiting for its response.
enum WaitEnded {
    Deadline,
    Slow,
    BlockingOthers(OwnedSemaphorePermit),
}

/// How long to wait for a response before the connection is suspected to be dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponsePatience {
    /// The connection is known to be alive, so wait as long as the statement may take.
    UntilDeadline,
    /// The connection may be dead unnoticed, so wait this long.
    AtMost(Duration),
}

impl RunError {
    fn new(form: &Form, error: tokio_postgres::Error) -> Self {
        if *form != Form::Text && Failure::is_uncallable_function(&error) {
            return Self::PlanMissing;
        }
        Self::Failed(Failure::running(error))
    }
}

impl ResponsePatience {
    /// A statement that may take long is not asked for twice only because it does. After a pause in which the container may
    /// have been frozen, no connection is trusted for long.
    fn after(idle: Duration, may_take_long: bool) -> Self {
        match (idle > FREEZE_SUSPECTED_AFTER, may_take_long) {
            (false, true) => Self::UntilDeadline,
            (true, false) => Self::AtMost(PATIENCE_AFTER_FREEZE),
            (true, true) | (false, false) => Self::AtMost(PATIENCE),
        }
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

    /// How long to wait for the response to `statement` before the connection is suspected to be dead.
    pub(crate) fn patience(&self, statement: &Statement) -> ResponsePatience {
        ResponsePatience::after(self.idle(), statement.may_take_long)
    }

    /// Whether a pooler is in between, whose sessions have probably served others before.
    pub(crate) fn is_pooled(&self) -> bool {
        self.endpoint.pooled
    }

    /// How long one statement may take.
    pub(crate) fn statement_timeout(&self) -> Duration {
        self.endpoint.statement_timeout
    }

    /// Sends `statement` and waits for its rows. `overflow` has a permit for each overflow connection that may be
    /// opened.
    pub(crate) async fn run(
        &self,
        statement: &Statement,
        form: &Form,
        parameters: Parameters<'_>,
        patience: ResponsePatience,
        overflow: &Arc<Semaphore>,
        deadline: Deadline,
    ) -> Result<Vec<Row>, RunError> {
        debug_assert_eq!(statement.parameters.len(), parameters.len(), "{}", statement.name);
        let typed: Vec<_> = parameters.iter().copied().zip(statement.parameters.iter().cloned()).collect();
        let text = match form {
            Form::Text => statement.sql,
            Form::Call(call) => call,
        };
        let place = self.enqueue();
        let mut query = std::pin::pin!(self.client.query_typed(text, &typed));
        // Polls are counted instead of time: a process that is short of CPU time is late itself, which is not the
        // server's fault.
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
        // Only the oldest may be cancelled: for any other, the server would cancel another request's statement.
        let oldest = place.is_oldest();
        if oldest {
            self.cancel(deadline).await;
        }
        let Ok(result) = timeout(deadline.cancel_patience(), query).await else {
            if oldest {
                // Every request on the dead connection fails at once, and tries again on a new one.
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

    /// Asks the server to cancel what it runs, over a connection of its own. If the request gets lost, the connection
    /// counts as dead.
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

    /// Closes the connection, and waits until the server has got the message `Terminate`.
    pub(crate) async fn close(self) {
        let Self { client, mut task, .. } = self;
        drop(client);
        if timeout(CLOSE_PATIENCE, task.ended()).await.is_err() {
            tracing::warn!("database: the connection did not close in time");
        }
    }

    /// How long the connection has been idle. If the clock was set back it counts as idle for too long, since a new
    /// connection is better than a dead one.
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

/// The place of a statement in the pipeline.
struct PipelinePlace<'a> {
    connection: &'a Connection,
    number: u64,
    completed: bool,
}

impl PipelinePlace<'_> {
    fn is_oldest(&self) -> bool {
        self.connection.pipeline().answered + 1 == self.number
    }

    /// Why to stop waiting, after having `waited` this long as the oldest; `None` to go on.
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

    /// Records that the response has come, so that the next statement is the oldest.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_that_may_take_long_is_asked_for_again_only_after_a_suspected_freeze() {
        let (moment, pause) = (Duration::from_millis(100), Duration::from_secs(10));
        for (idle, may_take_long, expected) in [
            (moment, false, ResponsePatience::AtMost(PATIENCE)),
            (moment, true, ResponsePatience::UntilDeadline),
            (pause, false, ResponsePatience::AtMost(PATIENCE_AFTER_FREEZE)),
            (pause, true, ResponsePatience::AtMost(PATIENCE)),
        ] {
            assert_eq!(ResponsePatience::after(idle, may_take_long), expected, "{idle:?} {may_take_long}");
        }
    }
}
