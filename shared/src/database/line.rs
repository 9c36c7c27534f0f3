//! A connection that requests share: their statements stand in line, and each is answered in its turn.
//!
//! PostgreSQL answers a connection's statements one after the other, so the first in line holds up the others, and a
//! connection that died without a word holds up all. The request whose statement is first looks after both: when its
//! answer does not come, it asks the server to cancel the statement. If the server obeys, the line is alive and the
//! statement was slow; if it does not, the line is dead. No ping is ever sent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::{Client, Row};

use super::endpoint::{Driver, Endpoint};
use super::statement::Statement;
use super::{Failure, Parameters};
use crate::deadline::Deadline;

/// A connection idle for longer is not used again: gateways and load balancers drop idle sockets after about 350 s
/// without a word, and keepalives stop while a container is frozen.
const IDLE_LIMIT: Duration = Duration::from_mins(5);
/// A container idle for longer has probably been frozen, and its connection may be dead without knowing.
const DOUBT_AFTER: Duration = Duration::from_secs(2);
/// How long the first answer after such a pause is waited for: ten times what a statement takes, short enough to leave
/// a request that meets a dead connection within 1.5 s.
const DOUBTFUL_PATIENCE: Duration = Duration::from_millis(500);
/// How long an answer is waited for on a connection that was used a moment ago.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the first in line may hold up others before it is asked to step aside.
const CROWD_PATIENCE: Duration = Duration::from_millis(400);
/// How often a request that waits looks at the line.
const LOOK: Duration = Duration::from_millis(50);
/// How long closing may take: Lambda allows 500 ms after SIGTERM.
const CLOSE_PATIENCE: Duration = Duration::from_millis(300);

/// One connection and the statements on it.
pub(super) struct Line {
    client: Client,
    // Dropped after the client, whose end it waits for.
    driver: Driver,
    endpoint: Arc<Endpoint>,
    queue: Mutex<Queue>,
}

/// Statements handed over and answered: the first in line is number `answered + 1`.
struct Queue {
    sent: u64,
    answered: u64,
    /// By the wall clock, which goes on while a container is frozen; the monotonic one may not.
    last_used: SystemTime,
    /// A request went without waiting for its answer: places can no longer be told.
    abandoned: bool,
}

/// Why a statement has no rows.
pub(super) enum Stopped {
    /// It failed.
    Failed(Failure),
    /// It was cancelled since its answer did not come; the server obeyed, so the line is alive.
    Slow,
    /// It was cancelled since it held up others. The permit is for a connection of its own.
    Crowding(OwnedSemaphorePermit),
}

/// Why a request waits no longer.
enum Enough {
    Deadline,
    Slow,
    Crowding(OwnedSemaphorePermit),
}

/// How long to wait before the line is doubted.
#[derive(Clone, Copy)]
pub(super) enum Trust {
    /// Until the deadline: the connection was seen alive.
    Proven,
    /// This long.
    For(Duration),
}

impl Line {
    /// Opens a connection.
    pub(super) async fn open(endpoint: Arc<Endpoint>, deadline: Deadline) -> Result<Self, Failure> {
        let (client, driver) = endpoint.connect(deadline).await?;
        let queue = Queue { sent: 0, answered: 0, last_used: SystemTime::now(), abandoned: false };
        let queue = Mutex::new(queue);
        Ok(Self { client, driver, endpoint, queue })
    }

    /// Whether another statement may join.
    pub(super) fn is_usable(&self) -> bool {
        !self.client.is_closed() && !self.queue().abandoned && self.idle() < IDLE_LIMIT
    }

    /// How long to wait for the next answer before the line is doubted.
    pub(super) fn trust(&self) -> Trust {
        Trust::For(if self.idle() > DOUBT_AFTER { DOUBTFUL_PATIENCE } else { PATIENCE })
    }

    /// The limit of one statement.
    pub(super) fn statement_timeout(&self) -> Duration {
        self.endpoint.statement_timeout
    }

    /// Sends `statement` and waits for its rows. `asides` has a permit for each further connection that may be opened.
    pub(super) async fn run(
        &self,
        statement: &Statement,
        parameters: Parameters<'_>,
        trust: Trust,
        asides: &Arc<Semaphore>,
        deadline: Deadline,
    ) -> Result<Vec<Row>, Stopped> {
        debug_assert_eq!(statement.parameters.len(), parameters.len(), "{}", statement.name);
        let typed: Vec<_> = parameters.iter().copied().zip(statement.parameters.iter().cloned()).collect();
        let place = self.join();
        let mut query = std::pin::pin!(self.client.query_typed(statement.sql, &typed));
        // Looks, not time alone: a process that is short of CPU time is late itself, and must not blame the server.
        let mut looks = 0;
        let enough = loop {
            let look = deadline.instant().min(Instant::now() + LOOK);
            if let Ok(result) = timeout_at(look, &mut query).await {
                place.leave();
                return result.map_err(|error| Stopped::Failed(Failure::of_running(error)));
            }
            looks += u32::from(place.is_first());
            if let Some(enough) = place.has_waited_enough(LOOK * looks, trust, asides, deadline) {
                break enough;
            }
        };
        // Only the first may be cancelled: behind it, the server would stop a neighbour's statement.
        let first = place.is_first();
        if first {
            self.cancel(deadline).await;
        }
        let Ok(result) = timeout(deadline.cancel_patience(), query).await else {
            if first {
                // Everybody on a dead line is told, and asks again on a new one.
                self.driver.abort();
            }
            return Err(Stopped::Failed(Failure::timeout_of_running()));
        };
        place.leave();
        let error = match result {
            Ok(rows) => return Ok(rows),
            Err(error) => error,
        };
        match enough {
            Enough::Slow if Failure::is_cancellation(&error) => Err(Stopped::Slow),
            Enough::Crowding(permit) if Failure::is_cancellation(&error) => Err(Stopped::Crowding(permit)),
            _ => Err(Stopped::Failed(Failure::of_running(error))),
        }
    }

    /// Asks the server to stop what it runs, over a connection of its own. A lost request is no loss.
    async fn cancel(&self, deadline: Deadline) {
        let cancel = self.endpoint.cancel(self.client.cancel_token());
        match timeout(deadline.cancel_patience(), cancel).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = %Failure::of_connecting(error), "database: could not cancel");
            }
            Err(_) => tracing::warn!("database: could not cancel in time"),
        }
    }

    /// Closes the connection and waits until the server has been told (`Terminate`).
    pub(super) async fn close(self) {
        let Self { client, mut driver, .. } = self;
        drop(client);
        if timeout(CLOSE_PATIENCE, driver.ended()).await.is_err() {
            tracing::warn!("database: the connection did not close in time");
        }
    }

    /// A clock that was set back makes it old: better a new connection than a dead one.
    fn idle(&self) -> Duration {
        self.queue().last_used.elapsed().unwrap_or(IDLE_LIMIT)
    }

    fn join(&self) -> Place<'_> {
        let mut queue = self.queue();
        queue.last_used = SystemTime::now();
        queue.sent += 1;
        Place { line: self, number: queue.sent, left: false }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A statement's place in line.
struct Place<'a> {
    line: &'a Line,
    number: u64,
    left: bool,
}

impl Place<'_> {
    fn is_first(&self) -> bool {
        self.line.queue().answered + 1 == self.number
    }

    /// `waited`: as the first in line.
    fn has_waited_enough(
        &self,
        waited: Duration,
        trust: Trust,
        asides: &Arc<Semaphore>,
        deadline: Deadline,
    ) -> Option<Enough> {
        if deadline.left().is_zero() {
            return Some(Enough::Deadline);
        }
        let queue = self.line.queue();
        if queue.answered + 1 != self.number {
            return None;
        }
        if queue.sent > self.number
            && waited >= CROWD_PATIENCE
            && let Ok(permit) = Arc::clone(asides).try_acquire_owned()
        {
            return Some(Enough::Crowding(permit));
        }
        matches!(trust, Trust::For(patience) if waited >= patience).then_some(Enough::Slow)
    }

    /// The answer is there: the next is first.
    fn leave(mut self) {
        self.left = true;
        let mut queue = self.line.queue();
        queue.answered += 1;
        queue.last_used = SystemTime::now();
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.left {
            self.line.queue().abandoned = true;
        }
    }
}
