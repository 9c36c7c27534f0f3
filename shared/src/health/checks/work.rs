//! What there is to do for the worker, and for a person.

use super::duration;
use crate::health::Check;
use crate::health::Verdict::{NotVisible, Warn};
use crate::health::facts::{Answer, Facts};

const QUEUE_LIMIT: i64 = 100;
const OLDEST_JOB_LIMIT: f64 = 600.0;

pub(super) fn queue(facts: &Facts) -> Check {
    let why = "jobs are webhooks that were promised to be forwarded";
    let queue = match &facts.answers.queue {
        Answer::Here(queue) => queue,
        answer => return unanswered("queue", answer, why),
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
    match &facts.answers.queue {
        Answer::Here(queue) => Check::ok("dead_jobs", format!("{}", queue.dead), why).limit("0").when(
            queue.dead > 0,
            Warn,
            "mend the receiver, then `cargo tessera jobs redrive`; `cargo tessera jobs list` says how each ended",
        ),
        answer => unanswered("dead_jobs", answer, why),
    }
}

pub(super) fn events(facts: &Facts) -> Check {
    let why = "a failed event was signed by its sender, but its contents made no sense here";
    match &facts.answers.events {
        Answer::Here(events) => Check::ok(
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
        answer => unanswered("events", answer, why),
    }
}

pub(super) fn alerts(facts: &Facts) -> Check {
    let why = "something failed and nobody has said that it is done with";
    match &facts.answers.alerts {
        Answer::Here(alerts) => {
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
        answer => unanswered("alerts", answer, why),
    }
}

/// Why a table could not be asked. That it is missing is said by `migrations`, that it may not be read by `rights`, who
/// has locked it by `locks`.
fn unanswered<T>(name: &'static str, answer: &Answer<T>, why: &'static str) -> Check {
    let observed = match answer {
        Answer::Hidden => "the role may not read the table",
        Answer::Locked => "somebody has locked the table",
        _ => "the table is not there",
    };
    Check::ok(name, observed, why).when(true, NotVisible, "see `migrations`, `rights` and `locks`")
}
