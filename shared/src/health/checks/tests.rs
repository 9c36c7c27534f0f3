//! Each problem by itself, from made-up facts.

use serde_json::{Value, json};

use super::run_all;
use crate::health::check::Verdict::{self, Fail, NotVisible, Warn};
use crate::health::check::{Check, Status};
use crate::health::expected_schema::{MIGRATIONS, TABLES};

const LOCAL_EPOCH_MS: f64 = 1_700_000_000_000.0;

/// Facts in which no check finds anything wrong.
fn healthy_facts() -> Value {
    let table =
        |name: &&str| json!({"name": name, "live": 100, "dead": 0, "lacks": [], "bytes": 1, "indexBytes": 1});
    json!({
        "results": {
            "caller": {"result": "value", "value": "ok"},
            "migrations": {"result": "value", "value": MIGRATIONS},
            "writes": {"result": "value", "value": null},
            "queue": {"result": "value", "value":
                {"ready": 0, "later": 0, "running": 0, "expired": 0, "oldestSeconds": 0, "dead": 0}},
            "alerts": {"result": "value", "value": []},
            "events": {"result": "value", "value": {"applied": 3, "failed": 0}},
            "scans": {"result": "value", "value": 5},
            "creates": {"result": "value", "value": 1},
            "statements": {"result": "value", "value": []},
        },
        "server": {
            "version": "16.4", "role": "app", "inRecovery": false, "readOnly": false, "timeZone": "UTC",
            "statementTimeout": "0", "idleInTransactionTimeout": "0", "idleSessionTimeout": "0",
            "isolation": "read committed",
            "startedAt": "2023-11-01T00:00:00Z", "epochMs": LOCAL_EPOCH_MS,
        },
        "schemaOutsideSearchPath": null,
        "connectionLimits": {"server": 97, "role": null, "database": null},
        "connectionsUsed": {"role": 5, "database": 5},
        "sessions": {
            "total": 10, "ours": 5, "hidden": 0, "active": 1, "idle": 9, "idleInTransaction": 0, "idleLong": 0,
            "idleInTransactionSeconds": 0, "statementSeconds": 0, "waitingForLocks": 0, "lockWaitSeconds": 0,
        },
        "applications": [{"name": "psql", "connections": 5, "idleLong": 0}],
        "blockers": [],
        "lockedTables": [],
        "replicas": {"known": 0, "visible": 0, "lagSeconds": 0},
        "tables": TABLES.iter().map(table).collect::<Vec<_>>(),
        "databaseBytes": 1,
    })
}

fn run_checks(facts: Value) -> Vec<Check> {
    run_all(&serde_json::from_value(facts).unwrap(), LOCAL_EPOCH_MS)
}

#[test]
fn a_healthy_installation_is_reported_as_ok() {
    let checks = run_checks(healthy_facts());
    assert_eq!(Status::from_checks(&checks), Status::Ok, "{checks:#?}");
    assert!(checks.iter().all(|check| check.advice.is_none()), "{checks:#?}");
}

fn locked_by(state: impl Into<Value>, seconds: impl Into<Value>) -> Value {
    let (state, seconds) = (state.into(), seconds.into());
    json!([{"name": "codes", "pid": 7, "application": "psql", "state": state, "seconds": seconds}])
}

#[test]
fn a_short_lock_is_not_reported_as_a_problem() {
    let mut facts = healthy_facts();
    facts["lockedTables"] = locked_by("active", 0.1);
    facts["results"]["queue"] = json!({"result": "locked"});
    assert_eq!(Status::from_checks(&run_checks(facts)), Status::Ok);
}

/// Asserts that of all checks only `name` finds something.
fn assert_only_finding(facts: Value, name: &str, verdict: Verdict, seen: &str) {
    let checks = run_checks(facts);
    let found: Vec<_> = checks.iter().filter(|check| check.verdict != Verdict::Ok).collect();
    assert_eq!(found.len(), 1, "{name}: {found:#?}");
    assert_eq!((found[0].name, found[0].verdict), (name, verdict), "{found:#?}");
    assert!(found[0].observed.contains(seen), "{seen}: {found:#?}");
    assert!(found[0].advice.is_some(), "{found:#?}");
}

#[test]
fn a_write_that_fails_is_named_by_its_reason_unless_another_check_says_more() {
    let mut facts = healthy_facts();
    facts["results"]["writes"]["value"] = json!("53100");
    assert_only_finding(facts.clone(), "writes", Fail, "disk_full: the server has no room");
    for elsewhere in ["25006", "42501", "42P01", "55P03"] {
        facts["results"]["writes"]["value"] = json!(elsewhere);
        assert_eq!(Status::from_checks(&run_checks(facts.clone())), Status::Ok, "{elsewhere}");
    }
}

/// Each row has the facts that go wrong, as JSON pointers with values; the one check that must report it, its verdict,
/// and a part of what it observes.
#[test]
fn each_problem_is_reported_by_its_own_check_and_no_other() {
    let table = [
        (
            vec![("/sessions/idleLong", json!(30)), ("/applications/0/idleLong", json!(30))],
            "idle_connections",
            Warn,
            "30 of psql",
        ),
        (vec![("/sessions/total", json!(80))], "connections", Warn, ": 5 of Tessera's functions, 5 of psql"),
        (vec![("/sessions/total", json!(96))], "connections", Fail, "96 of 97"),
        (vec![("/connectionLimits/role", json!(5))], "connections", Fail, "limit of the role"),
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
        (
            vec![("/lockedTables", locked_by("active", 7.0))],
            "locks",
            Fail,
            "codes is locked by process 7 (psql,",
        ),
        (
            vec![("/lockedTables", locked_by("idle in transaction", 0.1))],
            "locks",
            Fail,
            "idle in transaction",
        ),
        (vec![("/lockedTables", locked_by(Value::Null, Value::Null))], "locks", Warn, "state not visible"),
        (vec![("/sessions/statementSeconds", json!(600))], "longest_statement", Warn, "10 min"),
        (
            vec![("/replicas", json!({"known": 1, "visible": 1, "lagSeconds": 10}))],
            "replicas",
            Warn,
            "10 s behind",
        ),
        (vec![("/results/queue/value/ready", json!(101))], "queue", Warn, "101 due"),
        (
            vec![
                ("/results/queue/value/expired", json!(1)),
                ("/results/queue/value/oldestSeconds", json!(900)),
            ],
            "queue",
            Warn,
            "15 min",
        ),
        (vec![("/results/queue/value/dead", json!(4))], "dead_jobs", Warn, "4"),
        (vec![("/results/events/value/failed", json!(2))], "events", Warn, "2 of them failed"),
        (vec![("/tables/3/dead", json!(50_000))], "bloat", Warn, "are dead rows"),
        (vec![("/server/epochMs", json!(LOCAL_EPOCH_MS + 120_000.0))], "clock", Warn, "2 min ahead"),
        (vec![("/server/epochMs", json!(LOCAL_EPOCH_MS - 45_000.0))], "clock", Warn, "45 s behind"),
        (vec![("/server/inRecovery", json!(true))], "writable", Fail, "standby"),
        (vec![("/server/isolation", json!("serializable"))], "isolation", Warn, "serializable"),
        (vec![("/server/readOnly", json!(true))], "writable", Fail, "read_only"),
        (vec![("/tables/7/lacks", json!(["UPDATE", "DELETE"]))], "rights", Fail, "(UPDATE, DELETE)"),
        (vec![("/tables/7/lacks", json!(["DELETE"]))], "rights", Warn, TABLES[7]),
        (vec![("/tables/0/name", json!("other"))], "migrations", Fail, TABLES[0]),
        (vec![("/results/migrations/value", json!(["0001_codes"]))], "migrations", Warn, "pending"),
        (
            vec![(
                "/results/statements/value",
                json!([{"text": "SELECT 1", "calls": 9, "meanMs": 900, "maxMs": 1000}]),
            )],
            "slow_statements",
            Warn,
            "900 ms",
        ),
        (
            vec![("/results/statements", json!({"result": "no_table"}))],
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
        let mut facts = healthy_facts();
        for (pointer, value) in changes {
            *facts.pointer_mut(pointer).expect(pointer) = value;
        }
        assert_only_finding(facts, name, verdict, seen);
    }
}
