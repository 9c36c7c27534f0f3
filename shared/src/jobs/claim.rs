//! Claims jobs that are due.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tessera_postgres::{
    Database, DatabaseError, Deadline, IdempotentBy, Parameters, Plan, Row, Statement, Type,
};
use uuid::Uuid;

use crate::metrics::{self, Metric};

/// Claims due jobs under a lease and skips those that other workers are claiming. Jobs whose worker was lost in their
/// last attempt become dead.
pub const CLAIM: Statement = Statement {
    name: "jobs.claim",
    sql: include_str!("sql/claim.sql"),
    parameters: &[Type::INT8, Type::FLOAT8, Type::UUID, Type::INT8],
    columns: &[
        ("again", Type::BOOL),
        ("retention_due", Type::BOOL),
        ("given_up", Type::INT8),
        ("queue_depth", Type::FLOAT8),
        ("connections_used_percent", Type::FLOAT8),
        ("id", Type::INT8),
        ("source", Type::TEXT),
        ("attempt", Type::INT4),
        ("last_attempt", Type::INT4),
        ("event_id", Type::TEXT),
        ("signed_digest", Type::TEXT),
        ("event_type", Type::TEXT),
        ("raw", Type::BYTEA),
    ],
    plan: Plan::Kept,
    may_take_long: false,
    idempotent_by: IdempotentBy::RequestId("claims.id, jobs.claim"),
};

/// A claimed job, with the event that it delivers.
#[derive(Clone)]
pub struct Job {
    /// The key of the job's row.
    pub id: i64,
    /// The source to whose `forwardUrl` it is delivered.
    pub source: String,
    /// How often the job was claimed, this time included; never reset.
    pub attempt: i32,
    /// The number of the attempt after which the job is given up.
    pub last_attempt: i32,
    /// The sender's id of the event.
    pub event_id: String,
    /// The hash of what the sender has signed, for GitHub and Shopify, which sign neither the event's id nor its type.
    pub signed_digest: Option<String>,
    /// The event's type, where the sender sent one.
    pub event_type: Option<String>,
    /// The payload as the sender sent it; `None` once retention has deleted it.
    pub raw: Option<Vec<u8>>,
}

impl Job {
    /// The `webhook-id` of every delivery of this event, by which the receiver recognises duplicates, and which is signed:
    /// the sender's id, or the hash of what was signed if that does not cover the id; or the hash of an id that a header
    /// cannot hold.
    #[must_use]
    pub fn message_id(&self) -> String {
        let id = self.signed_digest.as_ref().unwrap_or(&self.event_id);
        if id.bytes().all(|b| b.is_ascii_graphic()) {
            id.clone()
        } else {
            format!("sha256:{}", hex::encode(Sha256::digest(id)))
        }
    }
}

/// The result of a claim.
pub struct Claimed {
    /// The claimed jobs, at most as many as were asked for.
    pub jobs: Vec<Job>,
    /// How many jobs became dead because their worker was lost in their last attempt.
    pub given_up: i64,
    /// Whether an hour has passed since retention last ran.
    pub retention_due: bool,
}

/// How much a claim may take.
#[derive(Debug, Clone, Copy)]
pub struct ClaimLimits {
    /// The most jobs: one of each source that has some in turn.
    pub jobs: usize,
    /// The bytes of payload, about: at most twice as many, and one payload more.
    pub bytes: usize,
}

/// Claims jobs that are due, within `limits`. After `lease` they are due again, unless [`finish`](super::finish::finish)
/// has ended their attempts.
pub async fn claim(
    database: &Database,
    limits: ClaimLimits,
    lease: Duration,
    deadline: Deadline,
) -> Result<Claimed, DatabaseError> {
    let jobs = i64::try_from(limits.jobs).unwrap_or(i64::MAX);
    let bytes = i64::try_from(limits.bytes).unwrap_or(i64::MAX);
    let parameters: Parameters<'_> = &[&jobs, &lease.as_secs_f64(), &Uuid::new_v4(), &bytes];
    let mut rows = database.query(&CLAIM, parameters, deadline).await?;
    // It was sent before, and that one has ended by now: the second look sees what it took.
    if rows.first().is_some_and(|row| row.get("again")) {
        rows = database.query(&CLAIM, parameters, deadline).await?;
    }
    let first = rows.first().ok_or(DatabaseError::WrongShape { statement: CLAIM.name })?;
    metrics::set(Metric::QueueDepth, first.get("queue_depth"));
    metrics::set(Metric::ConnectionsUsedPercent, first.get("connections_used_percent"));
    Ok(Claimed {
        given_up: first.get("given_up"),
        retention_due: first.get("retention_due"),
        jobs: rows.iter().filter_map(job).collect(),
    })
}

/// Reads a claimed job; `None` for the one row without a job that the statement returns when nothing is due.
fn job(row: &Row) -> Option<Job> {
    Some(Job {
        id: row.get::<_, Option<i64>>("id")?,
        source: row.get("source"),
        attempt: row.get("attempt"),
        last_attempt: row.get("last_attempt"),
        event_id: row.get("event_id"),
        signed_digest: row.get("signed_digest"),
        event_type: row.get("event_type"),
        raw: row.get("raw"),
    })
}
