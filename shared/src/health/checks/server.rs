//! The server itself: whether it accepts writes, how its clock runs, and where dead rows or slow statements hold it up.

use tessera_postgres::Diagnosis;

use super::{duration, percent};
use crate::health::advice;
use crate::health::check::Check;
use crate::health::check::Verdict::{Fail, NotVisible, Warn};
use crate::health::facts::{Facts, QueryResult, Table};

/// Share of dead rows in percent from which a table is read noticeably slower than after a `VACUUM`.
const DEAD_ROWS_PERCENT: f64 = 30.0;
/// Fewer dead rows than this do not matter, whatever their share.
const DEAD_ROWS_FLOOR: i64 = 10_000;
/// Difference of the clocks in seconds at which to warn. At 300 s, signatures of webhooks begin to be refused.
const CLOCK_LIMIT: f64 = 30.0;
/// Mean duration in milliseconds from which a statement is slow.
const SLOW_STATEMENT_MS: f64 = 500.0;

pub(super) fn writable(facts: &Facts) -> Check {
    let server = &facts.server;
    let observed = match (server.in_recovery, server.read_only) {
        (true, _) => "a standby, which takes no writes",
        (_, true) => "default_transaction_read_only is on",
        _ => "a primary that takes writes",
    };
    Check::ok("writable", observed, "creates, scans and webhooks write")
        .when(server.in_recovery, Fail, "point DATABASE_URL at the primary; a replica belongs in DATABASE_READ_URL")
        .when(
            server.read_only,
            Fail,
            "see that the disk is not full, which is why providers set it; then RESET default_transaction_read_only by ALTER \
             DATABASE, ALTER ROLE or ALTER SYSTEM, as `SELECT source FROM pg_settings WHERE name = \
             'default_transaction_read_only'` says, in a session begun with PGOPTIONS='-c default_transaction_read_only=off'",
        )
}

/// Whether a write that was tried has failed. Standbys, rights, tables and locks have checks of their own, which say more.
pub(super) fn writes(facts: &Facts) -> Check {
    let why =
        "a scan that cannot be stored is not counted; a code or an event that cannot be stored is refused";
    let sqlstate = match &facts.results.writes {
        QueryResult::Value(None) => return Check::ok("writes", "a scan could be stored", why),
        QueryResult::Value(Some(sqlstate)) => sqlstate,
        _ => return Check::ok("writes", "not tried", why).when(true, NotVisible, ""),
    };
    let diagnosis = Diagnosis::from_sqlstate(sqlstate);
    let observed = format!("{}: {} (SQLSTATE {sqlstate})", diagnosis.name(), diagnosis.summary());
    let has_own_check =
        matches!(diagnosis, Diagnosis::ReadOnly | Diagnosis::Rights | Diagnosis::Schema | Diagnosis::Slow);
    Check::ok("writes", observed, why).when(has_own_check, NotVisible, "").when(
        !has_own_check,
        Fail,
        match diagnosis {
            Diagnosis::Other => "the server's log has the whole error: see triggers, constraints and policies of the table scans",
            _ => advice(diagnosis),
        },
    )
}

pub(super) fn isolation(facts: &Facts) -> Check {
    let level = &facts.server.isolation;
    let why = "each statement is written for read committed; above it, one that waited for another fails and is sent again";
    Check::ok("isolation", format!("default_transaction_isolation is {level}"), why)
        .limit("read committed")
        .when(
            level != "read committed",
            Warn,
            format!(
                "ALTER ROLE \"{}\" SET default_transaction_isolation = 'read committed'",
                facts.server.role
            ),
        )
}

pub(super) fn bloat(facts: &Facts) -> Check {
    let share = |table: &Table| percent(table.dead, table.dead + table.live);
    let worst = facts
        .tables
        .iter()
        .filter(|table| table.dead >= DEAD_ROWS_FLOOR)
        .max_by(|a, b| share(a).total_cmp(&share(b)));
    let observed = worst.map_or("little".to_owned(), |table| {
        let vacuumed = table.vacuumed_at.map_or("never".to_owned(), |at| format!("{at:.0}"));
        format!("{:.0} % of {} are dead rows, last vacuumed: {vacuumed}", share(table), table.name)
    });
    Check::ok("bloat", observed, "dead rows are read and skipped, and fill memory")
        .limit(format!("{DEAD_ROWS_PERCENT} % of a table"))
        .when(
            worst.is_some_and(|table| share(table) > DEAD_ROWS_PERCENT),
            Warn,
            format!(
                "VACUUM (ANALYZE) {}; if it comes back, see that autovacuum is on and that no old transaction or replication \
                 slot holds it up",
                worst.map_or("", |table| &table.name)
            ),
        )
}

pub(super) fn clock(facts: &Facts, local_epoch_ms: f64) -> Check {
    let seconds = (facts.server.epoch_ms - local_epoch_ms) / 1000.0;
    let which = if seconds < 0.0 { "behind" } else { "ahead of" };
    // A difference below a second cannot be told from the time that the round trip took.
    let observed = if seconds.abs() < 1.0 {
        "the database and this machine agree".to_owned()
    } else {
        format!("the database is {} {which} this machine", duration(seconds.abs()))
    };
    Check::ok(
        "clock",
        observed,
        "expiry runs by the database's clock, signatures of webhooks by the functions'",
    )
    .limit(duration(CLOCK_LIMIT))
    .when(
        seconds.abs() > CLOCK_LIMIT,
        Warn,
        "see which of the two is wrong (`date -u`), and that it runs NTP or chrony",
    )
}

pub(super) fn slow_statements(facts: &Facts) -> Check {
    let why = "every statement of Tessera's takes milliseconds; a slow one lacks an index or waits";
    let statements = match &facts.results.statements {
        QueryResult::Value(statements) => statements,
        QueryResult::NotRequested => {
            return Check::ok("slow_statements", "not asked for", why).when(true, NotVisible, "");
        }
        QueryResult::NoTable | QueryResult::NotReadable | QueryResult::Locked => {
            return Check::ok("slow_statements", "pg_stat_statements is not there", why).when(
                true,
                NotVisible,
                "CREATE EXTENSION pg_stat_statements shows them (it must be in shared_preload_libraries; on RDS, Neon and \
                 Supabase it is)",
            );
        }
    };
    let slowest = statements.first().filter(|statement| statement.mean_ms > SLOW_STATEMENT_MS);
    let observed = match (slowest, statements.first()) {
        (Some(slow), _) => {
            format!("{:.0} ms on average over {} calls: {}", slow.mean_ms, slow.calls, slow.text)
        }
        (None, Some(first)) => format!("the slowest takes {:.1} ms on average", first.mean_ms),
        (None, None) => "none seen yet".to_owned(),
    };
    Check::ok("slow_statements", observed, why).limit(format!("{SLOW_STATEMENT_MS} ms on average")).when(
        slowest.is_some(),
        Warn,
        "EXPLAIN (ANALYZE, BUFFERS) it; ANALYZE the tables in it; see `locks` and `bloat`",
    )
}
