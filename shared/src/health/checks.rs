//! From facts to verdicts: one function a check, each with its limits in sight.

use super::check::{Check, Verdict};
use super::facts::{Answer, Facts};
use super::{MIGRATIONS, ReplicaFacts, TABLES};
use Verdict::{Fail, NotVisible, Warn};

/// Share of the connections in use from which the owner is told.
const CONNECTIONS_WARN_PERCENT: f64 = 80.0;
/// Share from which a burst of new containers is refused.
const CONNECTIONS_FAIL_PERCENT: f64 = 95.0;
/// Connections that do nothing for over 5 minutes; a warm container is one for a while, which is no leak.
const IDLE_LIMIT: i64 = 20;
/// A statement of Tessera's has 10 s; a transaction that does nothing has no excuse at all.
const IDLE_IN_TRANSACTION_LIMIT: f64 = 60.0;
const STATEMENT_LIMIT: f64 = 60.0;
const LOCK_WAIT_LIMIT: f64 = 5.0;
/// Behind this, a scan of a code that was just made meets a replica that does not know it.
const REPLICA_LAG_LIMIT: f64 = 5.0;
/// A table with more dead rows than this share is read slower than it need be.
const DEAD_ROWS_PERCENT: f64 = 30.0;
/// Fewer dead rows are no matter, whatever their share.
const DEAD_ROWS_FLOOR: i64 = 10_000;
const QUEUE_LIMIT: i64 = 100;
const OLDEST_JOB_LIMIT: f64 = 600.0;
/// Senders' signatures are refused at 300 s.
const CLOCK_LIMIT: f64 = 30.0;
const SLOW_STATEMENT_MS: f64 = 500.0;

/// Every check, in the order in which they are made.
pub(super) fn all(facts: &Facts, local_epoch_ms: f64) -> Vec<Check> {
    vec![
        migrations(facts),
        rights(facts),
        writable(facts),
        connections(facts),
        idle(facts),
        idle_in_transaction(facts),
        locks(facts),
        longest_statement(facts),
        replicas(facts),
        queue(facts),
        dead_jobs(facts),
        events(facts),
        alerts(facts),
        bloat(facts),
        clock(facts, local_epoch_ms),
        slow_statements(facts),
        visibility(facts),
    ]
}

fn migrations(facts: &Facts) -> Check {
    let why = "the functions name tables and columns that a migration makes";
    let missing: Vec<_> =
        TABLES.iter().filter(|name| facts.tables.iter().all(|table| table.name != **name)).collect();
    let applied: &[String] = match &facts.answers.migrations {
        Answer::Here(applied) => applied,
        Answer::Hidden => {
            return Check::ok("migrations", "the role may not read tessera_migrations", why)
                .when(true, NotVisible, "");
        }
        Answer::Missing | Answer::Skipped => &[],
    };
    let pending: Vec<_> = MIGRATIONS.iter().filter(|name| !applied.iter().any(|a| a == *name)).collect();
    let newer = applied.iter().filter(|name| !MIGRATIONS.contains(&name.as_str())).count();
    let observed = match (pending.as_slice(), missing.as_slice()) {
        ([], []) if newer > 0 => format!("all applied, and {newer} of a newer release"),
        ([], []) => "all applied".to_owned(),
        ([], missing) => format!("all applied, but these tables are missing: {missing:?}"),
        (pending, []) => format!("pending: {}", join(pending)),
        (pending, missing) => format!("pending: {}; {} tables missing", join(pending), missing.len()),
    };
    let advice = "run `cargo tessera migrate up` with DIRECT_URL (or DATABASE_URL) set; if it has run, check that the URL \
                  names the same database and schema";
    Check::ok("migrations", observed, why).when(!missing.is_empty(), Fail, advice).when(
        !pending.is_empty(),
        Warn,
        advice,
    )
}

fn join(names: &[&&str]) -> String {
    names.iter().map(|name| **name).collect::<Vec<_>>().join(", ")
}

fn rights(facts: &Facts) -> Check {
    let unusable: Vec<_> =
        facts.tables.iter().filter(|table| !table.usable).map(|table| table.name.as_str()).collect();
    let role = &facts.server.role;
    let observed = match unusable.as_slice() {
        [] => format!("role {role} may read and write every table"),
        tables => format!("role {role} may not read or write {}", tables.join(", ")),
    };
    Check::ok("rights", observed, "a statement that touches one table too many fails as a whole").when(
        !unusable.is_empty(),
        Fail,
        format!(
            "as the tables' owner: GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO \"{role}\"; or \
             connect as the role that ran the migrations"
        ),
    )
}

fn writable(facts: &Facts) -> Check {
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
            "ask the provider why (often: storage is full), then ALTER DATABASE … RESET default_transaction_read_only",
        )
}

/// Connections in use against the tightest limit that applies: the server's, the role's or the database's, in percent.
pub(super) fn connections_used(facts: &Facts) -> (i64, i64, &'static str, f64) {
    let (limits, used) = (&facts.limits, &facts.used);
    [
        (facts.sessions.total, Some(limits.server), "server"),
        (used.role, limits.role, "role"),
        (used.database, limits.database, "database"),
    ]
    .into_iter()
    .filter_map(|(used, limit, whose)| limit.map(|limit| (used, limit, whose, percent(used, limit))))
    .max_by(|a, b| a.3.total_cmp(&b.3))
    .unwrap_or((facts.sessions.total, 0, "server", 0.0))
}

fn percent(part: i64, whole: i64) -> f64 {
    if whole <= 0 { 100.0 } else { as_f64(part) / as_f64(whole) * 100.0 }
}

#[expect(clippy::cast_precision_loss, reason = "counts that are looked at by people")]
fn as_f64(count: i64) -> f64 {
    count as f64
}

fn connections(facts: &Facts) -> Check {
    let (used, limit, whose, percent) = connections_used(facts);
    let ours = facts.sessions.ours;
    let advice = "each warm container holds one: lower the functions' reserved concurrency, connect through a transaction \
                  pooler, or raise the limit; `applications` of the detailed report tells who holds them";
    Check::ok(
        "connections",
        format!("{used} of {limit} ({percent:.0} %, limit of the {whose}), {ours} of them Tessera's"),
        "a container that gets no connection answers 503",
    )
    .limit(format!("{CONNECTIONS_WARN_PERCENT} %"))
    .when(percent >= CONNECTIONS_FAIL_PERCENT, Fail, advice)
    .when(percent >= CONNECTIONS_WARN_PERCENT, Warn, advice)
}

fn idle(facts: &Facts) -> Check {
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

fn idle_in_transaction(facts: &Facts) -> Check {
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

fn locks(facts: &Facts) -> Check {
    let (count, seconds) = (facts.sessions.waiting_for_locks, facts.sessions.lock_wait_seconds);
    let blockers: Vec<_> =
        facts.blockers.iter().map(|blocker| format!("{} ({})", blocker.pid, blocker.application)).collect();
    let observed = match count {
        0 => "nobody waits".to_owned(),
        _ => {
            format!(
                "{count} waiting, the longest for {}, for process {}",
                duration(seconds),
                blockers.join(", ")
            )
        }
    };
    Check::ok("locks", observed, "a statement that waits for a lock is given up after 10 s, and its caller sees 503")
        .limit(duration(LOCK_WAIT_LIMIT))
        .when(
            seconds > LOCK_WAIT_LIMIT,
            Warn,
            "look at the process named: SELECT * FROM pg_stat_activity WHERE pid = …; end it with pg_terminate_backend(pid)",
        )
}

fn longest_statement(facts: &Facts) -> Check {
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

fn replicas(facts: &Facts) -> Check {
    let replicas = &facts.replicas;
    let why = "a replica that lags answers with what was true a while ago";
    match (replicas.known, replicas.visible) {
        (0, _) => Check::ok("replicas", "none", why),
        (known, 0) => Check::ok("replicas", format!("{known}, their delay is not visible to this role"), why)
            .when(true, NotVisible, "GRANT pg_monitor TO the role shows it"),
        (known, _) => lag(
            Check::ok("replicas", format!("{known}, at most {} behind", duration(replicas.lag_seconds)), why),
            replicas.lag_seconds,
        ),
    }
}

/// What the replica says of itself.
pub(super) fn replica(facts: &ReplicaFacts) -> Check {
    let why =
        "reads go to DATABASE_READ_URL; what it does not know yet costs a second round trip to the primary";
    let seconds = facts.lag_seconds;
    let observed = if facts.in_recovery {
        format!("{} behind", duration(seconds))
    } else {
        "not a replica: it takes writes".to_owned()
    };
    lag(Check::ok("read_replica", observed, why), seconds)
}

fn lag(check: Check, seconds: f64) -> Check {
    check.limit(duration(REPLICA_LAG_LIMIT)).when(
        seconds > REPLICA_LAG_LIMIT,
        Warn,
        "look for a long query, a paused replay (recovery_min_apply_delay) or too small a machine on the replica; unset \
         DATABASE_READ_URL until it has caught up",
    )
}

fn queue(facts: &Facts) -> Check {
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

fn dead_jobs(facts: &Facts) -> Check {
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

fn events(facts: &Facts) -> Check {
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

fn alerts(facts: &Facts) -> Check {
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

/// Why a table could not be asked. That it is missing is said by `migrations`, that it may not be read by `rights`.
fn unanswered<T>(name: &'static str, answer: &Answer<T>, why: &'static str) -> Check {
    let observed = match answer {
        Answer::Hidden => "the role may not read the table",
        _ => "the table is not there",
    };
    Check::ok(name, observed, why).when(true, NotVisible, "see `migrations` and `rights`")
}

fn bloat(facts: &Facts) -> Check {
    let share = |table: &super::facts::Table| percent(table.dead, table.dead + table.live);
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

fn clock(facts: &Facts, local_epoch_ms: f64) -> Check {
    let seconds = (facts.server.epoch_ms - local_epoch_ms) / 1000.0;
    let which = if seconds < 0.0 { "behind" } else { "ahead of" };
    // Nothing below a second is told apart from the way there and back.
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

fn slow_statements(facts: &Facts) -> Check {
    let why = "every statement of Tessera's takes milliseconds; a slow one lacks an index or waits";
    let statements = match &facts.answers.statements {
        Answer::Here(statements) => statements,
        Answer::Skipped => {
            return Check::ok("slow_statements", "not asked for", why).when(true, NotVisible, "");
        }
        Answer::Missing | Answer::Hidden => {
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

fn visibility(facts: &Facts) -> Check {
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

/// `1.4 s`, `6 min`, `3 h`: as exact as a person needs it.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Status;
    use super::*;

    const LOCAL_EPOCH_MS: f64 = 1_700_000_000_000.0;

    /// Nothing is wrong with these.
    fn sound() -> Value {
        let table = |name: &&str| json!({"name": name, "live": 100, "dead": 0, "usable": true, "bytes": 1, "indexBytes": 1});
        json!({
            "answers": {
                "caller": {"is": "here", "value": "ok"},
                "migrations": {"is": "here", "value": MIGRATIONS},
                "queue": {"is": "here", "value":
                    {"ready": 0, "later": 0, "running": 0, "expired": 0, "oldestSeconds": 0, "dead": 0}},
                "alerts": {"is": "here", "value": []},
                "events": {"is": "here", "value": {"applied": 3, "failed": 0}},
                "scans": {"is": "here", "value": 5},
                "creates": {"is": "here", "value": 1},
                "statements": {"is": "here", "value": []},
            },
            "server": {
                "version": "16.4", "role": "app", "inRecovery": false, "readOnly": false, "timeZone": "UTC",
                "statementTimeout": "0", "idleInTransactionTimeout": "0", "idleSessionTimeout": "0",
                "startedAt": "2023-11-01T00:00:00Z", "epochMs": LOCAL_EPOCH_MS,
            },
            "limits": {"server": 97, "role": null, "database": null},
            "used": {"role": 5, "database": 5},
            "sessions": {
                "total": 10, "ours": 5, "hidden": 0, "active": 1, "idle": 9, "idleInTransaction": 0, "idleLong": 0,
                "idleInTransactionSeconds": 0, "statementSeconds": 0, "waitingForLocks": 0, "lockWaitSeconds": 0,
            },
            "applications": [{"name": "psql", "connections": 5, "idleLong": 0}],
            "blockers": [],
            "replicas": {"known": 0, "visible": 0, "lagSeconds": 0},
            "tables": TABLES.iter().map(table).collect::<Vec<_>>(),
            "databaseBytes": 1,
        })
    }

    fn judge(facts: Value) -> Vec<Check> {
        all(&serde_json::from_value(facts).unwrap(), LOCAL_EPOCH_MS)
    }

    #[test]
    fn a_sound_installation_is_called_so() {
        let checks = judge(sound());
        assert_eq!(Status::of(&checks), Status::Ok, "{checks:#?}");
        assert!(checks.iter().all(|check| check.advice.is_none()), "{checks:#?}");
    }

    /// What becomes wrong, as a JSON pointer and its value; which check alone says so, and a word of what it saw.
    #[test]
    fn each_fault_is_named_by_its_own_check_and_no_other() {
        let table = [
            (
                vec![("/sessions/idleLong", json!(30)), ("/applications/0/idleLong", json!(30))],
                "idle_connections",
                Warn,
                "30 of psql",
            ),
            (vec![("/sessions/total", json!(80))], "connections", Warn, "80 of 97"),
            (vec![("/sessions/total", json!(96))], "connections", Fail, "96 of 97"),
            (vec![("/limits/role", json!(5))], "connections", Fail, "limit of the role"),
            (
                vec![
                    ("/sessions/idleInTransaction", json!(1)),
                    ("/sessions/idleInTransactionSeconds", json!(90)),
                ],
                "idle_in_transaction",
                Warn,
                "90 s",
            ),
            (
                vec![("/sessions/waitingForLocks", json!(2)), ("/sessions/lockWaitSeconds", json!(7))],
                "locks",
                Warn,
                "2 waiting",
            ),
            (vec![("/sessions/statementSeconds", json!(600))], "longest_statement", Warn, "10 min"),
            (
                vec![("/replicas", json!({"known": 1, "visible": 1, "lagSeconds": 10}))],
                "replicas",
                Warn,
                "10 s behind",
            ),
            (vec![("/answers/queue/value/ready", json!(101))], "queue", Warn, "101 due"),
            (
                vec![
                    ("/answers/queue/value/expired", json!(1)),
                    ("/answers/queue/value/oldestSeconds", json!(900)),
                ],
                "queue",
                Warn,
                "15 min",
            ),
            (vec![("/answers/queue/value/dead", json!(4))], "dead_jobs", Warn, "4"),
            (vec![("/answers/events/value/failed", json!(2))], "events", Warn, "2 of them failed"),
            (vec![("/tables/3/dead", json!(50_000))], "bloat", Warn, "are dead rows"),
            (vec![("/server/epochMs", json!(LOCAL_EPOCH_MS + 120_000.0))], "clock", Warn, "2 min ahead"),
            (vec![("/server/epochMs", json!(LOCAL_EPOCH_MS - 45_000.0))], "clock", Warn, "45 s behind"),
            (vec![("/server/inRecovery", json!(true))], "writable", Fail, "standby"),
            (vec![("/server/readOnly", json!(true))], "writable", Fail, "read_only"),
            (vec![("/tables/0/usable", json!(false))], "rights", Fail, TABLES[0]),
            (vec![("/tables/0/name", json!("other"))], "migrations", Fail, TABLES[0]),
            (vec![("/answers/migrations/value", json!(["0001_codes"]))], "migrations", Warn, "pending"),
            (
                vec![(
                    "/answers/statements/value",
                    json!([{"text": "SELECT 1", "calls": 9, "meanMs": 900, "maxMs": 1000}]),
                )],
                "slow_statements",
                Warn,
                "900 ms",
            ),
            (
                vec![("/answers/statements", json!({"is": "missing"}))],
                "slow_statements",
                NotVisible,
                "not there",
            ),
            (vec![("/sessions/hidden", json!(3))], "visibility", NotVisible, "3 sessions"),
            (
                vec![("/replicas", json!({"known": 1, "visible": 0, "lagSeconds": 0}))],
                "replicas",
                NotVisible,
                "not visible",
            ),
        ];
        for (changes, name, verdict, seen) in table {
            let mut facts = sound();
            for (pointer, value) in changes {
                *facts.pointer_mut(pointer).expect(pointer) = value;
            }
            let checks = judge(facts);
            let told: Vec<_> = checks.iter().filter(|check| check.verdict != Verdict::Ok).collect();
            assert_eq!(told.len(), 1, "{name}: {told:#?}");
            assert_eq!((told[0].name, told[0].verdict), (name, verdict), "{told:#?}");
            assert!(told[0].observed.contains(seen), "{seen}: {told:#?}");
            assert!(told[0].advice.is_some(), "{told:#?}");
        }
    }
}
