//! Who holds connections, and who makes others wait for a lock.

use super::{duration, percent};
use crate::health::check::Check;
use crate::health::check::Verdict::{Fail, NotVisible, Warn};
use crate::health::facts::{Facts, LockedTable};

/// Share of the connections in use, in percent, at which to warn.
const CONNECTIONS_WARN_PERCENT: f64 = 80.0;
/// Share of the connections in use, in percent, from which a burst of new containers would be refused.
const CONNECTIONS_FAIL_PERCENT: f64 = 95.0;
/// Connections that may have been idle for over 5 minutes. A warm container holds one for a while, which is not a leak.
const IDLE_LIMIT: i64 = 20;
/// Time in seconds that a transaction may be idle. Tessera opens none, and gives its own statements 10 s.
const IDLE_IN_TRANSACTION_LIMIT: f64 = 60.0;
/// Time in seconds that a statement may run.
const STATEMENT_LIMIT: f64 = 60.0;
/// Time in seconds that a statement may wait for a lock.
const LOCK_WAIT_LIMIT: f64 = 5.0;

/// How many connections are in use, against the limit that is closest to being reached.
pub(in crate::health) struct ConnectionUsage {
    /// Connections that count against the limit.
    pub(in crate::health) used: i64,
    /// The limit.
    pub(in crate::health) limit: i64,
    /// What the limit belongs to: `server`, `role` or `database`.
    pub(in crate::health) limit_of: &'static str,
    /// `used` in percent of `limit`.
    pub(in crate::health) percent: f64,
}

/// Finds the limit of the server, the role or the database that is closest to being reached.
pub(in crate::health) fn connection_usage(facts: &Facts) -> ConnectionUsage {
    let (limits, used) = (&facts.connection_limits, &facts.connections_used);
    let usage =
        |used, limit, limit_of| ConnectionUsage { used, limit, limit_of, percent: percent(used, limit) };
    let of_server = usage(facts.sessions.total, limits.server, "server");
    let of_role = limits.role.map(|limit| usage(used.role, limit, "role"));
    let of_database = limits.database.map(|limit| usage(used.database, limit, "database"));
    [of_role, of_database]
        .into_iter()
        .flatten()
        .fold(of_server, |tightest, other| if other.percent >= tightest.percent { other } else { tightest })
}

pub(super) fn connections(facts: &Facts) -> Check {
    let ConnectionUsage { used, limit, limit_of, percent } = connection_usage(facts);
    let ours = facts.sessions.ours;
    let others = facts.applications.iter().flatten().filter(|other| !other.name.starts_with("tessera"));
    let others: Vec<_> = others
        .take(3)
        .map(|other| match other.name.as_str() {
            "" => format!(", {} without application_name", other.connections),
            name => format!(", {} of {name}", other.connections),
        })
        .collect();
    let advice = "each warm container holds one: lower the functions' reserved concurrency, connect through a transaction \
                  pooler, or raise the limit; end what others hold with pg_terminate_backend(pid)";
    Check::ok(
        "connections",
        format!(
            "{used} of {limit} ({percent:.0} %, limit of the {limit_of}): {ours} of Tessera's functions{}",
            others.concat()
        ),
        "a container that gets no connection answers 503",
    )
    .limit(format!("{CONNECTIONS_WARN_PERCENT} %"))
    .when(percent >= CONNECTIONS_FAIL_PERCENT, Fail, advice)
    .when(percent >= CONNECTIONS_WARN_PERCENT, Warn, advice)
}

pub(super) fn idle(facts: &Facts) -> Check {
    let idle = facts.sessions.idle_long;
    let holder = facts.applications.iter().flatten().max_by_key(|application| application.idle_long);
    let holder = match holder.filter(|holder| holder.idle_long > 0) {
        Some(holder) if holder.name.is_empty() => format!(", {} without application_name", holder.idle_long),
        Some(holder) => format!(", {} of {}", holder.idle_long, holder.name),
        None => String::new(),
    };
    Check::ok(
        "idle_connections",
        format!("{idle} idle for over 5 minutes{holder}"),
        "idle connections take slots from those who need one; many that never end are a leak",
    )
    .limit(format!("{IDLE_LIMIT}"))
    .when(
        idle > IDLE_LIMIT,
        Warn,
        "find whose they are by application_name in pg_stat_activity; end them with pg_terminate_backend(pid), which \
         Tessera's functions survive; set idle_session_timeout for the others, or connect through a transaction pooler",
    )
}

pub(super) fn idle_in_transaction(facts: &Facts) -> Check {
    let (count, seconds) = (facts.sessions.idle_in_transaction, facts.sessions.idle_in_transaction_seconds);
    let is_blocking = facts.blockers.iter().any(|blocker| {
        blocker.state.as_deref().is_some_and(|state| state.starts_with("idle in transaction"))
    });
    let observed = match count {
        0 => "none".to_owned(),
        _ => format!("{count}, the longest for {}", duration(seconds)),
    };
    let advice = "Tessera opens no transactions: find the client by application_name in pg_stat_activity, end its session \
                  with pg_terminate_backend(pid), and set idle_in_transaction_session_timeout";
    Check::ok(
        "idle_in_transaction",
        observed,
        "an open transaction keeps its locks, and dead rows everywhere",
    )
    .limit(duration(IDLE_IN_TRANSACTION_LIMIT))
    .when(is_blocking, Fail, advice)
    .when(seconds > IDLE_IN_TRANSACTION_LIMIT, Warn, advice)
}

pub(super) fn locks(facts: &Facts) -> Check {
    let (count, seconds) = (facts.sessions.waiting_for_locks, facts.sessions.lock_wait_seconds);
    let blockers: Vec<_> =
        facts.blockers.iter().map(|blocker| format!("{} ({})", blocker.pid, blocker.application)).collect();
    let mut observed: Vec<_> = facts.locked_tables.iter().map(locked).collect();
    observed.push(match count {
        0 => "nobody waits".to_owned(),
        _ => {
            format!(
                "{count} waiting, the longest for {}, for process {}",
                duration(seconds),
                blockers.join(", ")
            )
        }
    });
    let is_stuck = facts.locked_tables.iter().any(|table| match table.state.as_deref() {
        Some("active") => table.seconds.unwrap_or_default() > LOCK_WAIT_LIMIT,
        // A session that does nothing unlocks nothing.
        Some(_) => true,
        None => false,
    });
    let is_unclear = facts.locked_tables.iter().any(|table| table.state.is_none());
    let advice = "look at the process named: SELECT * FROM pg_stat_activity WHERE pid = …; end it with \
                  pg_terminate_backend(pid); a prepared transaction with ROLLBACK PREPARED (pg_prepared_xacts)";
    Check::ok(
        "locks",
        observed.join("; "),
        "a statement that waits for a lock is given up after 10 s, and its caller sees 503",
    )
    .limit(duration(LOCK_WAIT_LIMIT))
    .when(is_stuck, Fail, advice)
    .when(is_unclear || seconds > LOCK_WAIT_LIMIT, Warn, advice)
}

fn locked(table: &LockedTable) -> String {
    let holder = table.pid.map_or("a prepared transaction".to_owned(), |pid| format!("process {pid}"));
    let state = match (&table.state, table.seconds) {
        (Some(state), Some(seconds)) => format!("{state} for {}", duration(seconds)),
        _ => "state not visible".to_owned(),
    };
    format!("{} is locked by {holder} ({}, {state})", table.name, table.application)
}

pub(super) fn longest_statement(facts: &Facts) -> Check {
    let seconds = facts.sessions.statement_seconds;
    Check::ok(
        "longest_statement",
        if seconds > 0.0 { duration(seconds) } else { "none running".to_owned() },
        "Tessera's statements take milliseconds; a long one of somebody else slows all others",
    )
    .limit(duration(STATEMENT_LIMIT))
    .when(
        seconds > STATEMENT_LIMIT,
        Warn,
        "find it in pg_stat_activity (state = 'active', oldest query_start); pg_cancel_backend(pid) stops it",
    )
}

pub(super) fn visibility(facts: &Facts) -> Check {
    let hidden = facts.sessions.hidden;
    let observed = match hidden {
        0 => "all sessions".to_owned(),
        _ => format!("all but what {hidden} sessions of other roles do"),
    };
    Check::ok("visibility", observed, "what is not seen may be what is wrong").when(
        hidden > 0,
        NotVisible,
        "GRANT pg_monitor TO the role shows the rest; nothing needs it",
    )
}
