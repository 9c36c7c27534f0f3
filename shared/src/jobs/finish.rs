//! Ends attempts: the job is done, will be tried again, or is given up.

use std::time::Duration;

use tessera_postgres::{Database, DatabaseError, Deadline, IdempotentBy, Plan, Statement, Type};

use super::claim::Job;
use super::schedule;

/// Ends attempts, each only if it is still the latest of its job.
pub const FINISH: Statement = Statement {
    name: "jobs.finish",
    sql: include_str!("sql/finish.sql"),
    parameters: &[
        Type::INT8_ARRAY,
        Type::INT4_ARRAY,
        Type::TEXT_ARRAY,
        Type::TEXT_ARRAY,
        Type::INT2_ARRAY,
        Type::TEXT_ARRAY,
        Type::FLOAT8_ARRAY,
    ],
    columns: &[("ended", Type::INT8)],
    plan: Plan::Kept,
    may_take_long: false,
    idempotent_by: IdempotentBy::RequestId("jobs.attempt, jobs.claim"),
};

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint responded with 2xx.
    Delivered,
    /// The endpoint responded with 410 Gone, so that it gets no further attempt.
    Gone,
    /// The endpoint responded with any other status, redirects included, which are not followed.
    Refused,
    /// The endpoint did not respond in time.
    Timeout,
    /// No connection could be opened, or it was lost.
    Unreachable,
    /// The host's address is private, or another to which nothing may be sent.
    ForbiddenAddress,
    /// The source is no longer configured, or no longer has a `forwardUrl`.
    NoEndpoint,
    /// Retention has deleted the payload.
    NoPayload,
}

impl Outcome {
    /// The outcome as the database stores it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Gone => "gone",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::ForbiddenAddress => "forbidden_address",
            Self::NoEndpoint => "no_endpoint",
            Self::NoPayload => "no_payload",
        }
    }
}

/// The result of an attempt.
#[derive(Debug, Clone)]
pub struct DeliveryResult {
    /// How the attempt ended.
    pub outcome: Outcome,
    /// The status of the response, if there was one.
    pub status: Option<u16>,
    /// The redacted beginning of a refusing response's body; see [`redact`](super::redact).
    pub response_excerpt: Option<String>,
    /// How long the endpoint asks not to be sent anything (`Retry-After`).
    pub retry_after: Option<Duration>,
}

impl DeliveryResult {
    /// Makes the result of an attempt without a response.
    #[must_use]
    pub fn without_response(outcome: Outcome) -> Self {
        Self { outcome, status: None, response_excerpt: None, retry_after: None }
    }
}

/// The state of a job after an attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NextState {
    /// The job is delivered.
    Done,
    /// The job is due again after this time.
    Waiting(Duration),
    /// The job is given up, until it is redriven.
    Dead,
}

impl NextState {
    /// The state of `job` after an attempt with this `result`.
    #[must_use]
    pub fn after(job: &Job, result: &DeliveryResult) -> Self {
        match result.outcome {
            Outcome::Delivered => Self::Done,
            Outcome::Gone | Outcome::NoPayload => Self::Dead,
            _ => {
                let attempts_left = job.last_attempt.saturating_sub(job.attempt);
                schedule::retry_delay(attempts_left, result.retry_after).map_or(Self::Dead, Self::Waiting)
            }
        }
    }

    fn state(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Waiting(_) => "waiting",
            Self::Dead => "dead",
        }
    }
}

/// Ends the attempts of one run, and returns how many of the results were accepted. The others came too late: their
/// leases had ended, and another worker has claimed the jobs.
pub async fn finish(
    database: &Database,
    results: &[(Job, DeliveryResult, NextState)],
    deadline: Deadline,
) -> Result<i64, DatabaseError> {
    let column = |outcome: fn(&(Job, DeliveryResult, NextState)) -> &'static str| -> Vec<&'static str> {
        results.iter().map(outcome).collect()
    };
    let ids: Vec<i64> = results.iter().map(|(job, ..)| job.id).collect();
    let attempts: Vec<i32> = results.iter().map(|(job, ..)| job.attempt).collect();
    let statuses: Vec<Option<i16>> = results
        .iter()
        .map(|(_, result, _)| result.status.and_then(|status| i16::try_from(status).ok()))
        .collect();
    let excerpts: Vec<Option<&str>> =
        results.iter().map(|(_, result, _)| result.response_excerpt.as_deref()).collect();
    let waits: Vec<f64> = results
        .iter()
        .map(
            |(.., next_state)| {
                if let NextState::Waiting(wait) = next_state { wait.as_secs_f64() } else { 0.0 }
            },
        )
        .collect();
    let row = database
        .query_one(
            &FINISH,
            &[
                &ids,
                &attempts,
                &column(|(.., next_state)| next_state.state()),
                &column(|(_, result, _)| result.outcome.as_str()),
                &statuses,
                &excerpts,
                &waits,
            ],
            deadline,
        )
        .await?;
    Ok(row.get("ended"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(attempt: i32) -> Job {
        Job {
            id: 1,
            source: "s".to_owned(),
            attempt,
            last_attempt: 5,
            event_id: "e".to_owned(),
            signed_digest: None,
            event_type: None,
            raw: None,
        }
    }

    #[test]
    fn a_job_is_done_dead_or_waiting_after_an_attempt() {
        let next_state =
            |attempt, outcome| NextState::after(&job(attempt), &DeliveryResult::without_response(outcome));
        assert_eq!(next_state(1, Outcome::Delivered), NextState::Done);
        assert_eq!(next_state(1, Outcome::Gone), NextState::Dead);
        assert_eq!(next_state(1, Outcome::NoPayload), NextState::Dead);
        for outcome in [Outcome::Refused, Outcome::Timeout, Outcome::Unreachable, Outcome::NoEndpoint] {
            assert!(matches!(next_state(4, outcome), NextState::Waiting(_)), "{outcome:?}");
            assert_eq!(next_state(5, outcome), NextState::Dead, "{outcome:?}");
        }
    }

    #[test]
    fn a_message_id_is_nothing_that_the_sender_did_not_sign() {
        let mut job = job(1);
        assert_eq!(job.message_id(), "e");
        job.event_id = "line\nbreak".to_owned();
        assert!(job.message_id().starts_with("sha256:"), "a header could not hold it");
        job.signed_digest = Some("sha256:00".to_owned());
        assert_eq!(job.message_id(), "sha256:00");
    }
}
