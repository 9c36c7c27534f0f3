//! What waits for the worker or for a person: due jobs, dead jobs, failed events and open alerts.

use super::duration;
use crate::health::check::Check;
use crate::health::check::Verdict::{NotVisible, Warn};
use crate::health::facts::{Facts, QueryResult};

/// Due jobs from which the worker does not keep up.
const QUEUE_LIMIT: i64 = 100;
/// Time in seconds that a job may be due before the worker is suspected not to run.
const OLDEST_JOB_LIMIT: f64 = 600.0;

pub(super) fn queue(facts: &Facts) -> Check {
    let why = "jobs are webhooks that were promised to be forwarded";
    let queue = match &facts.results.queue {
        QueryResult::Value(queue) => queue,
        other => return not_queried("queue", other, why),
    };
    let is_stuck = queue.oldest_seconds > OLDEST_JOB_LIMIT;
    let observed = format!(
        "{} due, {} running, {} later, {} with an expired lease{}",
        queue.ready,
        queue.running,
        queue.later,
        queue.expired,
        if queue.waiting() > 0 {
            format!(", the oldest due for {}", duration(queue.oldest_seconds))
        } else {
            String::new()
        }
    );
    let advice = "see that the worker's schedule is enabled and its log free of errors; raise WORKER_CONCURRENCY if it is only \
                  slow";
    Check::ok("queue", observed, why)
        .limit(format!("{QUEUE_LIMIT} due, or one due for {}", duration(OLDEST_JOB_LIMIT)))
        .when(queue.waiting() > QUEUE_LIMIT || is_stuck, Warn, advice)
}

pub(super) fn dead_jobs(facts: &Facts) -> Check {
    let why = "a dead job is an event that the receiver never got; nothing tries it again by itself";
    match &facts.results.queue {
        QueryResult::Value(queue) => Check::ok("dead_jobs", format!("{}", queue.dead), why).limit("0").when(
            queue.dead > 0,
            Warn,
            "mend the receiver, then `cargo tessera jobs redrive`; `cargo tessera jobs list` says how each ended",
        ),
        other => not_queried("dead_jobs", other, why),
    }
}

pub(super) fn events(facts: &Facts) -> Check {
    let why = "a failed event was signed by its sender, but its contents made no sense here";
    match &facts.results.events {
        QueryResult::Value(events) => Check::ok(
            "events",
            format!("{} in the last hour, {} of them failed", events.applied + events.failed, events.failed),
            why,
        )
        .limit("0 failed")
        .when(
            events.failed > 0,
            Warn,
            "`cargo tessera alerts list` names the sources and the reasons",
        ),
        other => not_queried("events", other, why),
    }
}

pub(super) fn alerts(facts: &Facts) -> Check {
    let why = "something failed and nobody has said that it is done with";
    match &facts.results.alerts {
        QueryResult::Value(alerts) => {
            let codes: Vec<_> =
                alerts.iter().take(3).map(|alert| format!("{} ({})", alert.code, alert.source)).collect();
            let observed = match alerts.len() {
                0 => "none open".to_owned(),
                count => format!("{count} open: {}", codes.join(", ")),
            };
            Check::ok("alerts", observed, why).limit("0").when(
                !alerts.is_empty(),
                Warn,
                "`cargo tessera alerts list`, then `cargo tessera alerts resolve` when done",
            )
        }
        other => not_queried("alerts", other, why),
    }
}

/// The check of a table that could not be queried. It is not counted as trouble here, since other checks do so:
/// `migrations` names a missing table, `rights` a missing privilege, and `locks` the session that holds a lock.
fn not_queried<T>(name: &'static str, result: &QueryResult<T>, why: &'static str) -> Check {
    let observed = match result {
        QueryResult::NotReadable => "the role may not read the table",
        QueryResult::Locked => "somebody has locked the table",
        _ => "the table is not there",
    };
    Check::ok(name, observed, why).when(true, NotVisible, "see `migrations`, `rights` and `locks`")
}
