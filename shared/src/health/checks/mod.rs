//! The checks: each is one pure function from facts to a verdict, with its limits beside it.

mod replicas;
mod schema;
mod server;
mod sessions;
#[cfg(test)]
mod tests;
mod work;

use super::check::Check;
use super::facts::Facts;

pub(super) use replicas::read_replica;
pub(super) use sessions::connection_usage;

/// Runs every check on `facts`. `local_epoch_ms` is this machine's time when they arrived, in milliseconds since 1970.
pub(super) fn run_all(facts: &Facts, local_epoch_ms: f64) -> Vec<Check> {
    vec![
        schema::migrations(facts),
        schema::rights(facts),
        server::writable(facts),
        server::writes(facts),
        server::isolation(facts),
        sessions::connections(facts),
        sessions::idle(facts),
        sessions::idle_in_transaction(facts),
        sessions::locks(facts),
        sessions::longest_statement(facts),
        replicas::replicas(facts),
        work::queue(facts),
        work::dead_jobs(facts),
        work::events(facts),
        work::alerts(facts),
        server::bloat(facts),
        server::clock(facts, local_epoch_ms),
        server::slow_statements(facts),
        sessions::visibility(facts),
    ]
}

fn percent(part: i64, whole: i64) -> f64 {
    if whole <= 0 { 100.0 } else { as_f64(part) / as_f64(whole) * 100.0 }
}

#[expect(clippy::cast_precision_loss, reason = "a count is shown to people, who do not need 53 bits of it")]
fn as_f64(count: i64) -> f64 {
    count as f64
}

/// Writes a duration for a person, as exact as one needs it: `50 ms`, `40 s`, `6 min`, `3 h`.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} h", s / 3600.0),
    }
}
