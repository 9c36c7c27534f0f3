//! Taking jobs that are due.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tessera_postgres::{Database, DatabaseError, Deadline, IdempotentBy, Plan, Row, Statement, Type};
use uuid::Uuid;

use crate::metrics::{self, Metric};

/// Takes due jobs under a lease, skipping those that others are taking; gives up those that were lost too often.
pub const CLAIM: Statement = Statement {
    name: "jobs.claim",
    sql: include_str!("sql/claim.sql"),
    parameters: &[Type::INT8, Type::FLOAT8, Type::UUID],
    columns: &[
        ("retention_due", Type::BOOL),
        ("given_up", Type::INT8),
        ("queue_depth", Type::FLOAT8),
        ("connections_used_percent", Type::FLOAT8),
        ("id", Type::INT8),
        ("source", Type::TEXT),
        ("attempt", Type::INT4),
        ("last_attempt", Type::INT4),
        ("event_id", Type::TEXT),
        ("topic", Type::TEXT),
        ("event_type", Type::TEXT),
        ("raw", Type::BYTEA),
    ],
    plan: Plan::Kept,
    idempotent_by: IdempotentBy::RequestId("jobs.claim"),
};

/// A job taken, with what it delivers.
#[derive(Clone)]
pub struct Job {
    /// Its row.
    pub id: i64,
    /// The source whose endpoint gets it.
    pub source: String,
    /// How often it was taken, this time included. Never goes back.
    pub attempt: i32,
    /// The attempt after which it is given up.
    pub last_attempt: i32,
    /// The sender's id of the event.
    pub event_id: String,
    /// Empty but for Shopify, which gives one id to several webhooks.
    pub topic: String,
    /// What happened, where the sender said it.
    pub event_type: Option<String>,
    /// What was sent; none once retention has taken it.
    pub raw: Option<Vec<u8>>,
}

impl Job {
    /// The id that every delivery of this event carries: by it the receiver knows one that it has seen. The sender's id,
    /// or its hash where no header could hold it.
    #[must_use]
    pub fn message_id(&self) -> String {
        let id = if self.topic.is_empty() {
            self.event_id.clone()
        } else {
            format!("{}:{}", self.event_id, self.topic)
        };
        if id.bytes().all(|b| b.is_ascii_graphic()) {
            id
        } else {
            format!("sha256:{}", hex::encode(Sha256::digest(id)))
        }
    }
}

/// What a claim gave.
pub struct Claimed {
    /// At most as many as were asked for.
    pub jobs: Vec<Job>,
    /// Jobs that were lost in their last attempt and are dead now.
    pub given_up: i64,
    /// Whether an hour has passed since retention ran.
    pub retention_due: bool,
}

/// Takes up to `max_jobs` jobs. After `lease` they are due again, unless [`finish`](super::finish::finish) ended them.
pub async fn claim(
    database: &Database,
    max_jobs: usize,
    lease: Duration,
    deadline: Deadline,
) -> Result<Claimed, DatabaseError> {
    let max_jobs = i64::try_from(max_jobs).unwrap_or(i64::MAX);
    let rows = database.query(&CLAIM, &[&max_jobs, &lease.as_secs_f64(), &Uuid::new_v4()], deadline).await?;
    let first = rows.first().ok_or(DatabaseError::WrongShape { statement: CLAIM.name })?;
    metrics::set(Metric::QueueDepth, first.get("queue_depth"));
    metrics::set(Metric::ConnectionsUsedPercent, first.get("connections_used_percent"));
    Ok(Claimed {
        given_up: first.get("given_up"),
        retention_due: first.get("retention_due"),
        jobs: rows.iter().filter_map(job).collect(),
    })
}

/// The one row without a job is what a claim gives when nothing is due.
fn job(row: &Row) -> Option<Job> {
    Some(Job {
        id: row.get::<_, Option<i64>>("id")?,
        source: row.get("source"),
        attempt: row.get("attempt"),
        last_attempt: row.get("last_attempt"),
        event_id: row.get("event_id"),
        topic: row.get("topic"),
        event_type: row.get("event_type"),
        raw: row.get("raw"),
    })
}
